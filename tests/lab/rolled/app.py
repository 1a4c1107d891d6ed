"""A service for a gateway: it says who answers, takes its time where it is asked to, and ends when it has answered."""

import json
import os
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BORN = time.monotonic()
LEAVING = threading.Event()
KIND = os.environ["KIND"]
"""fit: as it should be; sick: never healthy; lying: healthy, and its probe fails."""
under_way = 0
counting = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        global under_way
        with counting:
            under_way += 1
        try:
            self.answer()
        finally:
            # Also of one that was no longer waited for: a check that the gateway has given up.
            with counting:
                under_way -= 1

    def answer(self) -> None:
        # A container that was told to go gets nothing more.
        late = LEAVING.is_set()
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        status = 200
        if self.path.startswith("/slow/"):
            time.sleep(float(self.path.removeprefix("/slow/")))
        elif self.path == "/health":
            status = 200 if KIND != "sick" and time.monotonic() - BORN > 1.5 else 503
        said = {
            "host": socket.gethostname(),
            "version": os.environ["VERSION"],
            "kind": KIND,
            "late": late,
            "body": body,
        }
        answer = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815 - http.server asks for it by that name

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


def leave() -> None:
    time.sleep(0.3)
    while under_way:
        time.sleep(0.05)
    os._exit(0)


def told(number: int, frame: object) -> None:
    LEAVING.set()
    threading.Thread(target=leave).start()


signal.signal(signal.SIGTERM, told)
Server(("", 8000), Handler).serve_forever()
