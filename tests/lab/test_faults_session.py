"""The command or its session ends, at every step: the host ends wholly on one release, by itself."""

import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import pytest

from .changes import restart_sshd
from .conftest import FIRST, SECOND
from .faults import HOME, Bench, Command, again, going_back, until

full = pytest.mark.full


@dataclass(frozen=True)
class Step:
    """Where a deployment is when something happens to it.

    Attributes:
        sign: what it has said, `times` times.
        held: words of a call on the host that is held meanwhile, so that it is in the middle of that.
    """

    sign: str = ""
    times: int = 1
    held: str = ""
    program: str = "docker"


STEPS = {
    "at the start": Step("environment"),
    "upload": Step(held=f"{HOME}/.deploy/objects.new", program="sync"),
    "pull": Step(" pull ", held="pull --quiet"),
    "just before the switch": Step(" switch ", held="sh", program="setsid"),
    "switch": Step(" switch ", held="up -d"),
    "healthy": Step(" healthy "),
    "the first probe": Step(" probe "),
    "just before done": Step(" probe ", 3),
    "pruning": Step(" healthy ", held="ktrdr-deploy.local/keep"),
    "done": Step(" done "),
}

GONE_BACK, PROVEN = ["started", "reverted"], ["started", "proven"]


def stop(bench: Bench, step: str, act: Callable[[Command], object]) -> Command:
    """A deployment to the second tag, to which something happens at a step."""
    at = STEPS[step]
    bench.forget()
    with bench.stuck(at.held, at.program) if at.held else nullcontext():
        command = Command("deploy-core", "--tag", SECOND)
        command.until(at.sign, at.times)
        if at.held:
            bench.reached()
        act(command)
    return command


def ends_whole(bench: Bench, since: int) -> str:
    """The host is on one of the two releases, and a plain second run of the same command succeeds."""
    bench.settle()
    tag = until(bench.version, "the API does not answer", 90)
    assert tag in (FIRST, SECOND)
    bench.invariants(tag)
    assert tag == (SECOND if "proven" in bench.kinds(since) else FIRST)
    # Nobody watched a host that went back by itself; its metrics tell of it all the same.
    assert bench.measured() == bench.history()[-1]["kind"]
    again("deploy-core", "--tag", SECOND)
    assert bench.version() == SECOND
    return tag


@pytest.mark.parametrize(
    ("step", "ends"),
    [
        pytest.param("at the start", [[]], marks=full),
        pytest.param("upload", [[]], marks=full),
        pytest.param("pull", [[]], marks=full),
        pytest.param("just before the switch", [[]], marks=full),
        ("switch", [GONE_BACK]),
        pytest.param("healthy", [GONE_BACK], marks=full),
        pytest.param("the first probe", [GONE_BACK], marks=full),
        pytest.param("just before done", [GONE_BACK, PROVEN], marks=full),
        pytest.param("pruning", [PROVEN], marks=full),
        pytest.param("done", [PROVEN], marks=full),
    ],
)
def test_a_command_that_is_killed(bench: Bench, step: str, ends: list[list[str]]) -> None:
    since = bench.count()
    command = stop(bench, step, lambda c: c.process.kill())
    assert command.end() == -signal.SIGKILL
    bench.settle()
    assert bench.kinds(since) in ends
    ends_whole(bench, since)


@pytest.mark.parametrize(
    ("step", "codes"),
    [
        pytest.param("at the start", {130}, marks=full),
        pytest.param("upload", {130}, marks=full),
        ("pull", {130}),
        pytest.param("just before the switch", {10}, marks=full),
        pytest.param("switch", {10}, marks=full),
        pytest.param("healthy", {10}, marks=full),
        pytest.param("the first probe", {10}, marks=full),
        pytest.param("just before done", {0, 10}, marks=full),
        pytest.param("pruning", {0}, marks=full),
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
        pytest.param("upload", {10}, marks=full),
        pytest.param("pull", {10}, marks=full),
        pytest.param("switch", {11}, marks=full),
        pytest.param("healthy", {11}, marks=full),
        pytest.param("the first probe", {11}, marks=full),
        pytest.param("just before done", {0, 11}, marks=full),
        pytest.param("pruning", {0}, marks=full),
    ],
)
def test_a_connection_that_is_cut(bench: Bench, step: str, codes: set[int]) -> None:
    since = bench.count()

    def cut(command: Command) -> None:
        with command.frozen():
            bench.cut()

    command = stop(bench, step, cut)
    code = command.end()
    assert code in codes, command.said
    if code == 11:
        assert "by itself" in command.said
    bench.settle()
    assert bench.kinds(since) == {0: PROVEN, 10: [], 11: GONE_BACK}[code]
    ends_whole(bench, since)


@full
@pytest.mark.parametrize("step", ["pull", "switch", "healthy", "just before done"])
def test_a_network_that_goes_silent(bench: Bench, step: str) -> None:
    """Nobody is told of it: both sides have to notice, and neither may wait for ever."""
    since = bench.count()

    def silence(command: Command) -> None:
        with command.frozen():
            bench.silence()

    command = stop(bench, step, silence)
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
    command = stop(bench, "switch", lambda c: restart_sshd(bench.core.sh))
    assert command.end() == 0, command.said
    bench.invariants(SECOND)
    assert again("deploy-core", "--tag", SECOND).core["outcome"] == "unchanged"


@full
@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("how", ["killed", "cut"])
def test_a_command_that_ends_while_the_host_goes_back(bench: Bench, how: str) -> None:
    """What it had told the host to do is done all the same; only nobody has proven it."""
    since = bench.count()
    with bench.stuck("up -d"):
        command = going_back(bench)
        if how == "killed":
            command.process.kill()
        else:
            bench.cut()
    assert command.end() == (-signal.SIGKILL if how == "killed" else 11), command.said
    bench.settle()
    assert bench.kinds(since) == ["started", "failed", "reverted"]
    bench.invariants(FIRST)
    assert again("deploy-core", "--tag", FIRST).core["outcome"] == "unchanged"
