import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from ktrdr_backend import backtest
from ktrdr_backend.runner import NotMine, Occupied, Runner

from .fakes import MemoryOperations

ME = "backtest-worker-b-5003-abc"


def until(true: Callable[[], Any], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def given(operations: MemoryOperations, name: str = "op", steps: int = 50, seconds: float = 0.1) -> None:
    operations.create(name, "backtest", {"symbol": "EURUSD", "steps": steps, "seconds": seconds})
    assert operations.assign(name, ME)


@pytest.fixture
def operations() -> MemoryOperations:
    return MemoryOperations()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def runner(operations: MemoryOperations, registry: CollectorRegistry, tmp_path: Path) -> Runner:
    return Runner(operations, ME, tmp_path, registry, checkpoint_seconds=0.01)


def another(operations: MemoryOperations, shared: Path) -> Runner:
    return Runner(operations, ME, shared, CollectorRegistry(), checkpoint_seconds=0.01)


def test_a_backtest_ends_with_a_result_in_the_database_and_on_shared_storage(
    runner: Runner, operations: MemoryOperations, registry: CollectorRegistry, tmp_path: Path
) -> None:
    given(operations)
    runner.start("op")
    until(lambda: operations.rows["op"]["status"] == "completed")
    until(lambda: runner.current is None)
    row = operations.rows["op"]
    assert row["progress"] == 1
    assert row["result"]["steps"] == 50
    written = json.loads((tmp_path / "results" / "op.json").read_text())
    assert written["final_equity"] == row["result"]["final_equity"]
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["op.json"]
    ended = {"operation_type": "backtest", "status": "completed"}
    assert registry.get_sample_value("ktrdr_operations_total", ended) == 1
    assert registry.get_sample_value("ktrdr_operations_active", {"operation_type": "backtest"}) == 0


def test_stopped_it_checkpoints_and_another_container_comes_to_the_same_result(
    runner: Runner, operations: MemoryOperations, tmp_path: Path
) -> None:
    given(operations, "whole", seconds=0)
    runner.start("whole")
    until(lambda: runner.current is None)

    given(operations, "broken", seconds=5)
    runner.start("broken")
    until(lambda: operations.rows["broken"]["progress"] > 0)
    runner.stop(5)
    assert operations.rows["broken"]["status"] == "interrupted"
    assert operations.kinds[-1] == "shutdown"

    operations.rows["broken"]["parameters"]["seconds"] = 0
    assert operations.assign("broken", ME)
    successor = another(operations, tmp_path)
    successor.start("broken")
    until(lambda: operations.rows["broken"]["status"] == "completed")
    whole, broken = operations.rows["whole"]["result"], operations.rows["broken"]["result"]
    assert broken.pop("resumed_from_step") > whole.pop("resumed_from_step") == 0
    assert broken == whole


def test_one_at_a_time_and_none_while_stopping(runner: Runner, operations: MemoryOperations) -> None:
    given(operations, seconds=5)
    given(operations, "second")
    runner.start("op")
    with pytest.raises(Occupied):
        runner.start("second")
    runner.stop(5)
    with pytest.raises(Occupied):
        runner.start("second")


def test_it_runs_only_what_was_given_to_it(runner: Runner, operations: MemoryOperations) -> None:
    operations.create("pending", "backtest", {})
    operations.create("theirs", "backtest", {})
    operations.assign("theirs", "backtest-worker-b-5004-def")
    for name in ("pending", "theirs", "unknown"):
        with pytest.raises(NotMine):
            runner.start(name)
    assert runner.current is None


def test_it_lets_go_of_an_operation_that_was_given_to_another(
    runner: Runner, operations: MemoryOperations, tmp_path: Path
) -> None:
    given(operations, seconds=5)
    runner.start("op")
    until(lambda: operations.rows["op"]["progress"] > 0)
    operations.rows["op"]["worker_id"] = "another"
    until(lambda: runner.current is None)
    assert operations.rows["op"]["status"] == "running"
    assert not (tmp_path / "results").exists()


def test_it_waits_for_a_database_that_is_away(runner: Runner, operations: MemoryOperations) -> None:
    given(operations, seconds=0.05)
    runner.start("op")
    operations.down = True
    time.sleep(0.1)
    assert runner.current == "op"
    operations.down = False
    until(lambda: operations.rows["op"]["status"] == "completed")


def test_without_shared_storage_it_fails_and_says_why(operations: MemoryOperations, tmp_path: Path) -> None:
    runner = another(operations, tmp_path / "missing")
    given(operations, seconds=0)
    runner.start("op")
    until(lambda: operations.rows["op"]["status"] == "failed")
    assert operations.rows["op"]["result"] == {"error": "FileNotFoundError: No such file or directory"}
    until(lambda: runner.current is None)


def test_a_state_survives_json() -> None:
    state = backtest.begin()
    for _ in range(30):
        assert backtest.advance(json.loads(json.dumps(state)), "X") == backtest.advance(state, "X")
        state = backtest.advance(state, "X")
    assert state["step"] == 30
