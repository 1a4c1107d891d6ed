"""What one host's failure means for the others' turns."""

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fabric import Config
from invoke.exceptions import Exit, UnexpectedExit
from invoke.parser import ParseResult
from invoke.runners import Result
from invoke.tasks import Call, Task
from invoke.util import Lexicon

from deploy_lib import host_collection
from deploy_lib.cli.executor import HostExecutor
from deploy_lib.errors import ExitCode, UsageError
from deploy_lib.fleet.interruption import handled
from deploy_lib.operations.connections import session_on
from tests.unit import sample


def outcome(*turns: tuple[str, int], ctrl_c: bool = False, failed: bool = False) -> tuple[int, list[str]]:
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
            if code and failed:
                raise UnexpectedExit(Result(command="make", exited=code))
            if code:
                raise Exit("it says why", code=code)

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


def test_a_status_of_somebody_elses_task_is_kept_and_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(("own", 7)) == (7, ["own"])
    assert capsys.readouterr().err == "it says why\n"


def test_a_command_that_fails_in_somebody_elses_task_ends_one_turn(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert outcome(("own", 7), ("own", 0), failed=True) == (7, ["own"] * 2)
    assert "Command: 'make'" in capsys.readouterr().err


@pytest.fixture
def executor(tmp_path: Path) -> Callable[..., HostExecutor]:
    """Makes the executor of a command line, for the sample's hosts, whose nodes on one of them have two users."""
    text = sample.DEPLOY.replace('host = "a.example"', 'host = "me@a.example"', 1)
    folder = sample.project(tmp_path, deploy=text)
    (tmp_path / "ssh_config").touch()

    def made(hosts: str, remainder: str = "") -> HostExecutor:
        args = Lexicon(
            {
                name: SimpleNamespace(value=value)
                for name, value in {
                    "hosts": hosts,
                    "ssh-config": str(tmp_path / "ssh_config"),
                    "identity": [],
                }.items()
            }
        )
        core = ParseResult([SimpleNamespace(args=args)])
        core.remainder = remainder
        tasks = host_collection(folder)
        tasks.loaded_from = str(folder)
        return HostExecutor(tasks, core=core)

    return made


def ended(executor: HostExecutor, *calls: Call) -> int:
    with pytest.raises(Exit) as caught:
        executor.expand_calls(list(calls))
    return caught.value.code


def test_a_task_of_ones_own_needs_the_user_where_a_hosts_nodes_have_several(
    executor: Callable[..., HostExecutor], capsys: pytest.CaptureFixture[str]
) -> None:
    own = Call(Task(lambda c: None, name="own"))
    assert ended(executor("a.example"), own) == 2
    assert "me@a.example, a.example" in capsys.readouterr().err
    assert len(executor("you@a.example,b.example").expand_calls([own])) == 2
    ours = executor("a.example")
    (call,) = ours.expand_calls([Call(ours.collection["status"])])
    assert call.make_context(Config()).target.user == "me"


def test_a_command_behind_two_dashes_is_refused(
    executor: Callable[..., HostExecutor], capsys: pytest.CaptureFixture[str]
) -> None:
    made = executor("b.example", "id")
    assert ended(made, Call(made.collection["status"], kwargs={"json": True})) == 2
    said = capsys.readouterr()
    assert "behind --" in said.err
    document = json.loads(said.out)
    assert (document["command"], document["exit"], document["nodes"]) == ("status", 2, {})


def test_an_own_dry_run_shows_what_a_task_of_ones_own_runs_and_runs_no_operation(
    executor: Callable[..., HostExecutor],
) -> None:
    (call,) = executor("b.example").expand_calls([Call(Task(lambda c: None, name="own"))])
    connection = call.make_context(Config(overrides={"run": {"dry": True}}))
    assert connection.config.run.dry
    with pytest.raises(UsageError, match="cannot show this operation"):
        session_on(connection)
