"""A stand-in for Grafana: its health, the provisioned datasources, and an admin whose password is in its data alone."""

import base64
import hashlib
import hmac
import json
import os
import re
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PROVISIONED = Path("/etc/grafana/provisioning/datasources")
ADMIN = Path("/var/lib/grafana/admin")


def derived(password: bytes, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password, salt, 10_000)


def keep(password: bytes) -> None:
    salt = os.urandom(16)
    new = ADMIN.with_suffix(".new")
    new.write_bytes(salt + derived(password, salt))
    new.replace(ADMIN)


def matches(password: bytes) -> bool:
    kept = ADMIN.read_bytes()
    return hmac.compare_digest(derived(password, kept[:16]), kept[16:])


def first_password() -> bytes:
    """What counts when there is no data yet, and never again."""
    file = os.environ.get("GF_SECURITY_ADMIN_PASSWORD__FILE")
    given = Path(file).read_bytes() if file else os.environb.get(b"GF_SECURITY_ADMIN_PASSWORD", b"admin")
    return given.rstrip(b"\n")


def datasources() -> list[str]:
    files = sorted(PROVISIONED.glob("*.y*ml")) if PROVISIONED.is_dir() else []
    return [uid for file in files for uid in re.findall(r"^\s*uid:\s*(\S+)", file.read_text(), re.MULTILINE)]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/api/health":
            return self.answer(200, {"database": "ok", "version": "stand-in", "standin": True})
        if not self.authorized():
            return self.answer(401, {"message": "Invalid username or password"})
        if self.path == "/api/user":
            return self.answer(200, {"id": 1, "login": "admin", "isGrafanaAdmin": True})
        if self.path == "/api/org":
            return self.answer(200, {"id": 1, "name": "Main Org."})
        if self.path == "/api/datasources":
            return self.answer(200, [{"uid": uid} for uid in datasources()])
        return self.answer(404, {"message": "this is a stand-in, not Grafana"})

    def authorized(self) -> bool:
        try:
            given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic "))
        except ValueError:
            return False
        user, _, password = given.partition(b":")
        return user == b"admin" and matches(password)

    def answer(self, status: int, data: object) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def main(arguments: list[str]) -> None:
    if arguments == ["cli", "admin", "reset-admin-password", "--password-from-stdin"]:
        keep(sys.stdin.buffer.readline().rstrip(b"\n"))
        print("Admin password changed successfully ✔")
        return
    if arguments != ["server"]:
        raise SystemExit(f"this is a stand-in, not Grafana: it does not know {' '.join(arguments)}")
    if not ADMIN.exists():
        keep(first_password())
    print("stand-in for Grafana, listening on port 3000", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    ThreadingHTTPServer(("", 3000), Handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
