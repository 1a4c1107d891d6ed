import pytest

from ktrdr_backend.workers import AVAILABLE, BUSY, UNAVAILABLE, Workers

B1, B2 = "http://b:5003", "http://b:5004"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workers(clock: Clock) -> Workers:
    return Workers(clock)


def status(workers: Workers, worker_id: str) -> str:
    row = workers.get(worker_id)
    assert row is not None
    return row.status


def test_a_new_container_takes_its_predecessor_s_row(workers: Workers) -> None:
    workers.register("w1-old", "backtesting", B1, {})
    workers.register("w2", "backtesting", B2, {})
    workers.register("w1-new", "backtesting", B1, {})
    assert [row.worker_id for row in workers.all()] == ["w1-new", "w2"]


def test_rows_are_chosen_by_type_and_status(workers: Workers) -> None:
    workers.register("b", "backtesting", B1, {})
    workers.register("t", "training", B2, {})
    workers.answered("t", busy=True)
    assert [row.worker_id for row in workers.all("training")] == ["t"]
    assert [row.worker_id for row in workers.all(status=AVAILABLE)] == ["b"]
    assert [row.worker_id for row in workers.all("training", AVAILABLE)] == []


def test_the_third_missed_poll_makes_it_unavailable_and_an_answer_brings_it_back(workers: Workers) -> None:
    workers.register("b", "backtesting", B1, {})
    workers.missed("b")
    workers.missed("b")
    assert status(workers, "b") == AVAILABLE
    workers.missed("b")
    assert status(workers, "b") == UNAVAILABLE
    assert workers.take("backtesting") is None
    workers.answered("b", busy=True)
    assert status(workers, "b") == BUSY
    workers.missed("b")
    assert status(workers, "b") == BUSY


def test_300_seconds_after_its_last_answer_it_is_forgotten(workers: Workers, clock: Clock) -> None:
    workers.register("gone", "backtesting", B1, {})
    workers.register("here", "backtesting", B2, {})
    clock.now += 299
    workers.answered("here", busy=False)
    workers.evict()
    assert len(workers.all()) == 2
    clock.now += 2
    workers.evict()
    assert [row.worker_id for row in workers.all()] == ["here"]


def test_work_goes_to_who_rested_longest(workers: Workers, clock: Clock) -> None:
    for name, endpoint in (("one", B1), ("two", B2)):
        workers.register(name, "backtesting", endpoint, {})
    given = []
    for _ in range(4):
        clock.now += 1
        row = workers.take("backtesting")
        assert row is not None
        given.append(row.worker_id)
        workers.answered(row.worker_id, busy=False)
    assert given in (["one", "two"] * 2, ["two", "one"] * 2)


def test_nobody_is_given_work_twice(workers: Workers) -> None:
    workers.register("b", "backtesting", B1, {})
    assert workers.take("backtesting") is not None
    assert workers.take("backtesting") is None
    assert workers.take("training") is None


def test_what_is_said_of_an_unknown_worker_is_ignored(workers: Workers) -> None:
    workers.answered("nobody", busy=False)
    workers.missed("nobody")
    assert workers.all() == []
    assert not workers.remove("nobody")
