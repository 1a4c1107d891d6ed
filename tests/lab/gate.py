"""A registry that wants a login, for one that wants none; it runs in a container of a lab's host.

Arguments: the registry behind it, the port of the loopback interface, the user. The password is the environment's GATE.
"""

from __future__ import annotations

import base64
import http.client
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REFUSAL = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
KEPT = {"content-type", "docker-content-digest", "docker-distribution-api-version", "etag"}


class Gate(BaseHTTPRequestHandler):
    """One request: refused without the login, and otherwise answered by the registry behind."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        upstream, _, user = sys.argv[1:]
        wanted = base64.b64encode(f"{user}:{os.environ['GATE']}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            self.reply(
                401, {"WWW-Authenticate": 'Basic realm="gate"', "Content-Type": "application/json"}, REFUSAL
            )
            return
        behind = http.client.HTTPConnection(upstream)
        accepted = ", ".join(self.headers.get_all("Accept") or ["*/*"])
        behind.request(self.command, self.path, headers={"Accept": accepted})
        answer = behind.getresponse()
        headers = {name: value for name, value in answer.getheaders() if name.lower() in KEPT}
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.reply(answer.status, headers, answer.read(), length)

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def reply(self, status: int, headers: dict[str, str], body: bytes, length: str | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Gate).serve_forever()
