import json
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from ktrdr_backend import settings, worker_app
from ktrdr_backend.dispatch import USER_AGENT
from ktrdr_backend.registration import Registration

from .fakes import MemoryOperations

ENVIRONMENT = {
    "DB_HOST": "ktrdr-core.internal",
    "DB_NAME": "ktrdr",
    "DB_USER": "ktrdr",
    "DB_PASSWORD": "a password of some length",
    "KTRDR_API_URL": "http://ktrdr-core.internal:8000/",
    "WORKER_TYPE": "backtesting",
    "WORKER_HOSTNAME": "ktrdr-workers-b.internal",
    "WORKER_PORT": "5003",
    "WORKER_PUBLIC_BASE_URL": "http://ktrdr-workers-b.internal:5003",
    "KTRDR_VERSION": "sha-1234567",
}
ME = "backtest-worker-ktrdr-workers-b.internal-5003-abc"


class Backend:
    """The other side of the network."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}
        self.refusals = 0
        self.gone = False
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.gone:
            raise httpx.ConnectError("refused")
        if request.method == "POST":
            if self.refusals:
                self.refusals -= 1
                return httpx.Response(503)
            row = json.loads(request.content)
            self.known[row["worker_id"]] = row
            return httpx.Response(200, json=row)
        worker_id = request.url.path.rpartition("/")[2]
        if request.method == "DELETE":
            return httpx.Response(204 if self.known.pop(worker_id, None) else 404)
        return httpx.Response(200 if worker_id in self.known else 404)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def config(tmp_path: Any) -> settings.Worker:
    return settings.worker({**ENVIRONMENT, "SHARED_MOUNT_PATH": str(tmp_path)})


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch, registration: Registration) -> list[float]:
    """The times that were waited, in no time."""
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return False

    monkeypatch.setattr(registration._stop, "wait", wait)
    return waited


@pytest.fixture
def registration(config: settings.Worker, backend: Backend, clock: Clock) -> Registration:
    return Registration(config, ME, MemoryOperations(), httpx.MockTransport(backend), clock)


def test_it_says_who_it_is_and_where(registration: Registration, backend: Backend) -> None:
    assert registration.register()
    assert backend.known[ME] == {
        "worker_id": ME,
        "worker_type": "backtesting",
        "endpoint_url": "http://ktrdr-workers-b.internal:5003",
        "capabilities": {"version": "sha-1234567"},
    }


def test_a_backend_that_is_not_there_yet_is_tried_again(
    registration: Registration, backend: Backend, waits: list[float]
) -> None:
    backend.refusals = 2
    assert registration.register()
    assert waits == [1, 2]


def test_after_five_tries_it_gives_up_for_now(
    registration: Registration, backend: Backend, waits: list[float]
) -> None:
    backend.gone = True
    assert not registration.register()
    assert backend.asked == 5
    assert waits == [1, 2, 4, 8]


def test_a_worker_that_is_not_polled_asks_whether_it_is_known(
    registration: Registration, backend: Backend, clock: Clock
) -> None:
    registration.register()
    asked = backend.asked
    clock.now += 29
    assert not registration.forgotten()
    assert backend.asked == asked
    clock.now += 2
    assert not registration.forgotten()  # asked, and still known
    assert backend.asked == asked + 1
    backend.known.clear()  # a new backend
    clock.now += 31
    assert registration.forgotten()
    clock.now += 31
    backend.gone = True
    assert not registration.forgotten()


def test_it_signs_on_when_it_starts_and_off_when_it_stops(
    config: settings.Worker, registration: Registration, backend: Backend
) -> None:
    app = worker_app.create(config, ME, lambda: "ok", MemoryOperations(), registration)
    with TestClient(app) as client:
        for _ in range(500):
            if backend.known:
                break
            client.get("/health")
        assert list(backend.known) == [ME]
    assert backend.known == {}


def test_only_the_backend_s_question_is_a_poll(
    config: settings.Worker, registration: Registration, backend: Backend, clock: Clock
) -> None:
    client = TestClient(worker_app.create(config, ME, lambda: "ok", MemoryOperations(), registration))
    registration.register()
    backend.known.clear()
    clock.now += 31
    client.get("/health")  # Docker's health check, say
    assert registration.forgotten()
    clock.now += 31
    client.get("/health", headers={"User-Agent": USER_AGENT})
    assert not registration.forgotten()


def test_health_keeps_the_contract(config: settings.Worker, registration: Registration) -> None:
    client = TestClient(
        worker_app.create(config, ME, lambda: "unavailable", MemoryOperations(), registration)
    )
    body = client.get("/health").json()
    assert (body["healthy"], body["worker_status"], body["current_operation"]) == (True, "idle", None)
    assert {"service", "timestamp", "status"} <= body.keys()
    assert (body["database"], body["shared_storage"]) == ("unavailable", "ok")
    assert "ktrdr_operations_active" in client.get("/metrics").text


def test_an_operation_is_started_refused_and_reported(
    config: settings.Worker, registration: Registration
) -> None:
    operations = MemoryOperations()
    with TestClient(worker_app.create(config, ME, lambda: "ok", operations, registration)) as client:
        operations.create("op", "backtest", {"symbol": "X", "steps": 1000, "seconds": 60})
        assert client.post("/operations/op/start").status_code == 404  # pending: nobody's
        operations.assign("op", ME)
        assert client.post("/operations/op/start").status_code == 202
        assert client.get("/health").json()["current_operation"] == "op"
        assert client.get("/health").json()["worker_status"] == "busy"
        assert client.post("/operations/op/start").status_code == 409
    # Leaving, it saved and handed back.
    assert operations.rows["op"]["status"] == "interrupted"
    assert operations.kinds[-1] == "shutdown"


def test_what_an_earlier_container_of_this_place_left_running_is_released(
    config: settings.Worker, backend: Backend
) -> None:
    operations = MemoryOperations()
    owners = {"mine": f"{config.slot}-old", "neighbour": "backtest-worker-ktrdr-workers-b.internal-5004-xyz"}
    for name, worker_id in owners.items():
        operations.create(name, "backtest", {})
        operations.assign(name, worker_id)
    registration = Registration(config, ME, operations, httpx.MockTransport(backend))
    with TestClient(worker_app.create(config, ME, lambda: "ok", operations, registration)) as client:
        for _ in range(500):
            if backend.known:
                break
            client.get("/health")
    assert {name: row["status"] for name, row in operations.rows.items()} == {
        "mine": "interrupted",
        "neighbour": "running",
    }
