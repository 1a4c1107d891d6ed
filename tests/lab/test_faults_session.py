"""The command or its session ends, at every step: the host ends wholly on one release, by itself."""

import signal
from collections.abc import Callable

import pytest

from .conftest import FIRST, SECOND
from .faults import Bench, Command, again, until

full = pytest.mark.full

STEPS = {
    "at the start": ("environment", 1),
    "pull": (" pull ", 1),
    "switch": (" switch ", 1),
    "healthy": (" healthy ", 1),
    "the first probe": (" probe ", 1),
    "just before done": (" probe ", 3),
    "done": (" done ", 1),
}


def stop(bench: Bench, step: str, act: Callable[[Command], object]) -> Command:
    """A deployment to the second tag, to which something happens at a step."""
    sign, times = STEPS[step]
    bench.forget()
    if step == "pull":
        with bench.stuck("pull --quiet"):
            command = Command("deploy-core", "--tag", SECOND)
            command.until(sign)
            bench.reached()
            act(command)
        return command
    command = Command("deploy-core", "--tag", SECOND)
    command.until(sign, times)
    act(command)
    return command


def ends_whole(bench: Bench, since: int) -> str:
    """The host is on one of the two releases, and a plain second run of the same command succeeds."""
    bench.settle()
    tag = until(bench.version, "the API does not answer", 90)
    assert tag in (FIRST, SECOND)
    bench.invariants(tag)
    assert tag == (SECOND if "proven" in bench.kinds(since) else FIRST)
    again("deploy-core", "--tag", SECOND)
    assert bench.version() == SECOND
    return tag


@pytest.mark.parametrize(
    "step",
    [
        pytest.param("at the start", marks=full),
        pytest.param("pull", marks=full),
        "switch",
        pytest.param("healthy", marks=full),
        pytest.param("the first probe", marks=full),
        pytest.param("just before done", marks=full),
        pytest.param("done", marks=full),
    ],
)
def test_a_command_that_is_killed(bench: Bench, step: str) -> None:
    since = bench.count()
    command = stop(bench, step, lambda c: c.process.kill())
    assert command.end() == -signal.SIGKILL
    tag = ends_whole(bench, since)
    if step == "done":
        assert tag == SECOND
    elif step != "just before done":
        assert tag == FIRST


@pytest.mark.parametrize(
    ("step", "codes"),
    [
        pytest.param("at the start", {130}, marks=full),
        ("pull", {130}),
        pytest.param("switch", {10}, marks=full),
        pytest.param("healthy", {10}, marks=full),
        pytest.param("the first probe", {10}, marks=full),
        pytest.param("just before done", {0, 10}, marks=full),
        pytest.param("done", {0}, marks=full),
    ],
)
def test_ctrl_c(bench: Bench, step: str, codes: set[int]) -> None:
    since = bench.count()
    command = stop(bench, step, lambda c: c.process.send_signal(signal.SIGINT))
    code = command.end()
    assert code in codes, command.said
    assert bench.version() == (SECOND if code == 0 else FIRST)
    assert (
        bench.kinds(since)
        == {
            0: ["started", "proven"],
            10: ["started", "failed", "reverted"],
            130: [] if step == "at the start" else ["aborted"],
        }[code]
    )
    ends_whole(bench, since)


@full
def test_ctrl_c_twice_leaves_it_to_the_host(bench: Bench) -> None:
    def twice(command: Command) -> None:
        command.process.send_signal(signal.SIGINT)
        command.until("interrupted: ")
        command.process.send_signal(signal.SIGINT)

    since = bench.count()
    command = stop(bench, "healthy", twice)
    assert command.end() == 11, command.said
    assert "by itself" in command.said
    assert ends_whole(bench, since) == FIRST


@pytest.mark.parametrize(
    ("step", "codes"),
    [
        pytest.param("pull", {10}, marks=full),
        pytest.param("switch", {11}, marks=full),
        ("healthy", {11}),
        pytest.param("the first probe", {11}, marks=full),
        pytest.param("just before done", {0, 11}, marks=full),
    ],
)
def test_a_connection_that_is_cut(bench: Bench, step: str, codes: set[int]) -> None:
    since = bench.count()
    command = stop(bench, step, lambda c: bench.cut())
    code = command.end()
    assert code in codes, command.said
    if code == 11:
        assert "by itself" in command.said
    ends_whole(bench, since)


@full
@pytest.mark.parametrize("step", ["pull", "switch", "healthy", "just before done"])
def test_a_network_that_goes_silent(bench: Bench, step: str) -> None:
    """Nobody is told of it: both sides have to notice, and neither may wait for ever."""
    since = bench.count()
    command = stop(bench, step, lambda c: bench.silence())
    code = command.end(120)
    assert code in ({10} if step == "pull" else {0, 11} if step == "just before done" else {11}), command.said
    ends_whole(bench, since)


@full
def test_a_command_that_sleeps_longer_than_its_lock(bench: Bench) -> None:
    """A laptop's lid is shut during the switch, and opened again when the host has gone back."""
    since = bench.count()
    command = stop(bench, "healthy", lambda c: c.process.send_signal(signal.SIGSTOP))
    bench.settle()
    assert bench.kinds(since) == ["started", "reverted"]
    command.process.send_signal(signal.SIGCONT)
    assert command.end() == 11, command.said
    assert ends_whole(bench, since) == FIRST


@full
def test_sshd_is_restarted(bench: Bench) -> None:
    """Sessions outlive their server's restart; the deployment does not notice."""
    command = stop(bench, "switch", lambda c: bench.core.sh("pkill -o -x sshd"))
    assert command.end() == 0, command.said
    bench.invariants(SECOND)
