import threading
import time

import httpx
import pytest

from ktrdr_backend import dispatch
from ktrdr_backend.workers import Workers
from tests.unit.backend.fakes import MemoryOperations


def test_workers_that_come_and_go_do_not_keep_it_from_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "POLL_SECONDS", 0.2)
    polled = threading.Event()

    def host(request: httpx.Request) -> httpx.Response:
        polled.set()
        return httpx.Response(200, json={"worker_status": "idle"})

    workers = Workers()
    workers.register("w1", "backtesting", "http://b:5003", {})
    dispatcher = dispatch.Dispatcher(workers, MemoryOperations(), httpx.MockTransport(host))
    dispatcher.start()
    deadline = time.monotonic() + 5
    while not polled.is_set() and time.monotonic() < deadline:
        dispatcher.hurry()
        time.sleep(0.02)
    dispatcher.stop()
    assert polled.is_set()
