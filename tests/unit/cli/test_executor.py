"""What one host's failure means for the others' turns."""

import signal
import threading
from typing import Any

import pytest
from invoke.exceptions import Exit

from deploy_lib.cli.executor import HostExecutor
from deploy_lib.errors import ExitCode
from deploy_lib.fleet.interruption import handled


def outcome(*turns: tuple[str, int], ctrl_c: bool = False) -> tuple[int, list[str]]:
    """The exit status of an executor whose tasks end with these statuses, and which of them had their turn."""
    executor = HostExecutor.__new__(HostExecutor)
    executor._exits, executor._task = [], None
    done: list[str] = []

    def task(name: str) -> Any:
        def run(code: int) -> None:
            done.append(name)
            if ctrl_c:
                with handled(threading.Event(), lambda: None, lambda: None):
                    signal.raise_signal(signal.SIGINT)
            if code:
                raise Exit(code=code)

        return run

    tasks = {name: task(name) for name, _ in turns}
    try:
        for name, code in turns:
            executor.turn(tasks[name], code)
        executor._end()
    except Exit as end:
        return end.code, done
    return 0, done


def test_every_host_gets_its_turn_and_the_worst_status_counts() -> None:
    assert outcome(("status", 3), ("status", 0), ("status", 12)) == (3, ["status"] * 3)
    assert outcome(("deploy", 10), ("deploy", 11)) == (11, ["deploy"] * 2)
    assert outcome(("status", 0), ("status", 0)) == (0, ["status"] * 2)


def test_the_next_task_begins_only_where_the_one_before_has_succeeded_everywhere() -> None:
    turns = [("preflight", 3), ("preflight", 0), ("deploy", 0)]
    assert outcome(*turns) == (3, ["preflight"] * 2)
    assert outcome(("preflight", 0), ("deploy", 0)) == (0, ["preflight", "deploy"])


@pytest.mark.parametrize("code", [ExitCode.INTERRUPTED, ExitCode.FAILED_REVERTED])
def test_ctrl_c_means_all_of_them(code: ExitCode) -> None:
    ctrl_c = code is not ExitCode.INTERRUPTED
    assert outcome(("deploy", code), ("deploy", 0), ctrl_c=ctrl_c) == (code, ["deploy"])


def test_a_status_of_somebody_elses_task_is_kept() -> None:
    assert outcome(("own", 1)) == (1, ["own"])
