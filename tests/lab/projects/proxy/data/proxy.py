import http.server
import pathlib
import urllib.request

ROUTES = pathlib.Path("/etc/proxy/routes")
ROUTE = (ROUTES / "main.conf").read_text().split()
if ROUTE[0] != "route":
    raise SystemExit(f"unknown directive {ROUTE[0]}")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        with urllib.request.urlopen(ROUTE[1]) as answer:
            self.send_response(answer.status)
        self.end_headers()
        self.wfile.write(" ".join(ROUTE).encode())


http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
