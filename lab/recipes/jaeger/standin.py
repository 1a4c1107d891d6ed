"""A stand-in for Jaeger: it answers its health and query ports, and takes traces only to forget them."""

import json
import os
import signal
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"status": "Server available", "standin": True}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class Forget(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while self.request.recv(65536):
            pass


class Traces(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    print("stand-in for Jaeger, listening on ports 16686, 14269 and 4317", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    for server in (ThreadingHTTPServer(("", 14269), Handler), Traces(("", 4317), Forget)):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    ThreadingHTTPServer(("", 16686), Handler).serve_forever()
