"""A stand-in for Grafana: it answers its health endpoint, lists the provisioned datasources, and knows one password."""

import base64
import hmac
import json
import os
import re
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PROVISIONED = Path("/etc/grafana/provisioning/datasources")


def password() -> str:
    file = os.environ.get("GF_SECURITY_ADMIN_PASSWORD__FILE")
    return Path(file).read_text() if file else os.environ.get("GF_SECURITY_ADMIN_PASSWORD", "")


def datasources() -> list[str]:
    files = sorted(PROVISIONED.glob("*.y*ml")) if PROVISIONED.is_dir() else []
    return [uid for file in files for uid in re.findall(r"^\s*uid:\s*(\S+)", file.read_text(), re.MULTILINE)]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/api/health":
            return self.answer(200, {"database": "ok", "version": "stand-in", "standin": True})
        if not self.authorized():
            return self.answer(401, {"message": "Unauthorized"})
        if self.path == "/api/datasources":
            return self.answer(200, [{"uid": uid} for uid in datasources()])
        return self.answer(404, {"message": "this is a stand-in, not Grafana"})

    def authorized(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        expected = base64.b64encode(f"admin:{password()}".encode()).decode()
        return hmac.compare_digest(given, expected)

    def answer(self, status: int, data: object) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


if __name__ == "__main__":
    print("stand-in for Grafana, listening on port 3000", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    ThreadingHTTPServer(("", 3000), Handler).serve_forever()
