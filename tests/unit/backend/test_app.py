from typing import Any

import httpx
import psycopg
import pytest
from fastapi.testclient import TestClient

from ktrdr_backend import app
from ktrdr_backend.dispatch import Dispatcher
from ktrdr_backend.workers import Workers

from .fakes import MemoryOperations

JOIN = {"worker_id": "w1", "worker_type": "backtesting", "endpoint_url": "http://b:5003"}


class WorkerHosts:
    """The network: what is asked of workers, and how they answer."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.health: dict[str, Any] = {"worker_status": "idle"}
        self.start = 202
        self.gone = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.gone:
            raise httpx.ConnectError("refused")
        self.asked.append(f"{request.method} {request.url}")
        if request.url.path == "/health":
            return httpx.Response(200, json=self.health)
        return httpx.Response(self.start)


class Backend:
    """The API with its surroundings."""

    def __init__(self) -> None:
        self.hosts = WorkerHosts()
        self.operations = MemoryOperations()
        self.workers = Workers()
        self.dispatcher = Dispatcher(self.workers, self.operations, httpx.MockTransport(self.hosts))
        self.database = "ok"
        self.client = TestClient(
            app.create(lambda: self.database, self.operations, self.workers, self.dispatcher, "sha-1234567")
        )


@pytest.fixture
def backend() -> Backend:
    # Without the context manager no thread runs: a round is made where a test asks for one.
    return Backend()


def test_health_says_how_the_database_is(backend: Backend) -> None:
    answer = backend.client.get("/api/v1/health")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["version"], body["database"]) == ("ok", "sha-1234567", "ok")
    backend.database = "unavailable"
    answer = backend.client.get("/api/v1/health")
    assert (answer.status_code, answer.json()["database"]) == (200, "unavailable")


@pytest.mark.parametrize(("state", "value"), [("ok", "1.0"), ("unavailable", "0.0")])
def test_metrics_say_how_the_database_is(backend: Backend, state: str, value: str) -> None:
    backend.database = state
    assert f"ktrdr_database_up {value}" in backend.client.get("/metrics").text.splitlines()


@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
def test_metrics_have_the_contract_s_names(backend: Backend, path: str) -> None:
    backend.client.get("/api/v1/workers/no-such-worker")
    backend.client.get("/nowhere/at/all")
    backend.client.post("/api/v1/workers/register", json=JOIN)
    answer = backend.client.get(path, follow_redirects=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes"):
        assert f"\n{name} " in text
    assert 'ktrdr_workers_registered_total{worker_type="backtesting"} 1.0' in text
    assert 'ktrdr_workers_available{worker_type="training"} 0.0' in text
    # By route, not by path, or every id would make a series of its own.
    assert 'http_route="/api/v1/workers/{worker_id}",http_status_code="404"' in text
    assert 'http_route="unmatched"' in text
    assert "no-such-worker" not in text
    assert "http_server_duration_milliseconds_bucket" in text


def test_a_worker_registers_is_listed_and_says_good_bye(backend: Backend) -> None:
    assert backend.client.post("/api/v1/workers/register", json=JOIN).status_code == 200
    (row,) = backend.client.get("/api/v1/workers?worker_type=backtesting&status=available").json()
    assert {**JOIN, "status": "available"}.items() <= row.items()
    assert backend.client.get("/api/v1/workers/w1").json() == row
    assert backend.client.get("/api/v1/workers?worker_type=training").json() == []
    assert backend.client.delete("/api/v1/workers/w1").status_code == 204
    assert backend.client.get("/api/v1/workers/w1").status_code == 404


@pytest.mark.parametrize(
    "wrong", [{"worker_type": "mining"}, {"endpoint_url": "b:5003"}, {"worker_id": ""}], ids=str
)
def test_a_wrong_registration_is_refused(backend: Backend, wrong: dict[str, str]) -> None:
    assert backend.client.post("/api/v1/workers/register", json={**JOIN, **wrong}).status_code == 422
    assert backend.client.get("/api/v1/workers").json() == []


def test_a_backtest_goes_to_a_free_worker(backend: Backend) -> None:
    backend.client.post("/api/v1/workers/register", json=JOIN)
    answer = backend.client.post("/api/v1/backtests/start", json={"symbol": "GBPUSD", "steps": 10})
    assert answer.status_code == 202
    started = answer.json()
    assert (started["status"], started["worker_id"]) == ("running", "w1")
    assert backend.hosts.asked == [f"POST http://b:5003/operations/{started['operation_id']}/start"]
    row = backend.client.get(f"/api/v1/operations/{started['operation_id']}").json()
    assert (row["status"], row["worker_id"], row["parameters"]["symbol"]) == ("running", "w1", "GBPUSD")
    assert backend.client.get("/api/v1/workers/w1").json()["status"] == "busy"


def test_without_a_free_worker_nothing_is_started(backend: Backend) -> None:
    backend.client.post("/api/v1/workers/register", json={**JOIN, "worker_type": "training"})
    assert backend.client.post("/api/v1/backtests/start", json={}).status_code == 503
    assert backend.operations.rows == {}


def test_without_its_database_it_says_so_and_no_more(backend: Backend) -> None:
    backend.client.post("/api/v1/workers/register", json=JOIN)
    backend.operations.down = True
    for answer in (
        backend.client.post("/api/v1/backtests/start", json={}),
        backend.client.get("/api/v1/operations/x"),
    ):
        assert (answer.status_code, answer.json()) == (503, {"detail": "the database does not answer"})


def test_an_unknown_operation_is_not_found(backend: Backend) -> None:
    assert backend.client.get("/api/v1/operations/x").status_code == 404


def test_who_refuses_or_is_gone_is_passed_over(backend: Backend) -> None:
    backend.client.post("/api/v1/workers/register", json=JOIN)
    backend.hosts.gone = True
    started = backend.client.post("/api/v1/backtests/start", json={}).json()
    assert (started["status"], started["worker_id"]) == ("pending", None)

    backend.hosts.gone = False
    backend.client.post(
        "/api/v1/workers/register", json={**JOIN, "worker_id": "w2", "endpoint_url": "http://c:5003"}
    )
    backend.dispatcher.hand_over()
    row = backend.operations.rows[started["operation_id"]]
    assert (row["status"], row["worker_id"]) == ("running", "w2")


def test_polls_find_out_who_is_busy_and_who_is_gone(backend: Backend) -> None:
    backend.client.post("/api/v1/workers/register", json=JOIN)

    def status() -> str:
        backend.dispatcher.poll()
        found: str = backend.client.get("/api/v1/workers/w1").json()["status"]
        return found

    assert status() == "available"
    assert backend.hosts.asked == ["GET http://b:5003/health"]
    backend.hosts.health = {"worker_status": "busy"}
    assert status() == "busy"
    backend.hosts.health = {"something": "else"}
    assert [status(), status(), status()] == ["busy", "busy", "temporarily_unavailable"]
    backend.hosts.health = {"worker_status": "idle"}
    assert status() == "available"


def test_what_a_worker_left_behind_goes_to_the_next_that_comes() -> None:
    backend = Backend()
    with backend.client as client:  # with its thread
        client.post("/api/v1/workers/register", json=JOIN)
        operation_id = client.post("/api/v1/backtests/start", json={}).json()["operation_id"]
        backend.operations.interrupt(operation_id, "w1")
        client.post("/api/v1/workers/register", json={**JOIN, "worker_id": "w1-again"})
        row = backend.operations.rows[operation_id]
        for _ in range(500):
            if row["status"] == "running":
                break
            client.get("/api/v1/health")
        assert (row["status"], row["worker_id"]) == ("running", "w1-again")


def test_a_dispatcher_outlives_its_database(backend: Backend) -> None:
    backend.operations.down = True
    with pytest.raises(psycopg.OperationalError):
        backend.dispatcher.hand_over()
    backend.operations.down = False
    backend.dispatcher.hand_over()
