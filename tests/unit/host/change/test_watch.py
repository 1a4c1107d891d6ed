"""What the owner of a switch makes of what it hears, or no longer hears."""

import json
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.errors import CommandError, RemoteError
from deploy_lib.host.change import watch as watching_module
from deploy_lib.host.change.following import Following
from deploy_lib.host.change.history import event
from deploy_lib.host.change.place import Placement
from deploy_lib.host.change.signs import ASKED, BEGUN, NEVER, SAME, UNKNOWN
from deploy_lib.host.change.switch import Switch
from deploy_lib.host.change.switch_faults import LostError, NotBegunError, SwitchError, UncertainError
from deploy_lib.host.change.watch import Watch
from deploy_lib.release.release import Release
from deploy_lib.shell import ScriptExit
from deploy_lib.ssh.process import Process
from deploy_lib.ssh.session import Session
from tests.unit import build
from tests.unit.host.look.test_gather import ANSWER

STACK = build.stack()
HAPPENED = event("started", Release("r2", "sha-0000002", None, {}, {}))
ORDERS = Switch("token", Placement(), Placement(), [HAPPENED], HAPPENED, HAPPENED)
LOOK = ("=== containers", "=== .")


GONE = RemoteError("the session ended")


class Lines:
    """What the host says, and then nothing more."""

    def __init__(self, *lines: str) -> None:
        self._lines = iter(lines)

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def extend(self, seconds: float) -> None:
        pass

    def send(self, data: bytes) -> None:
        self.sent = data

    def wait(self) -> int:
        raise RemoteError("the session ended")


class Sessions:
    """The session with a host, and those that follow it.

    Args:
        ends: how each script on them ends, one after the other: with an error, or without one. Then no host answers any more.
    """

    def __init__(self, *ends: RemoteError | None) -> None:
        self._ends = iter(ends)

    def run(self, *_: Any, **__: Any) -> None:
        error = next(self._ends, RemoteError("no route"))
        if error is not None:
            raise error

    def require_alive(self) -> None:
        pass

    def twin(self) -> "Sessions":
        return self

    def close(self) -> None:
        pass


def watching(*lines: str, verdict: RemoteError | None = None, asked: RemoteError | None = GONE) -> Watch:
    session = cast(Session, Sessions(verdict, asked))
    process = cast(Process, Lines(*lines))
    return Watch(session, STACK, ORDERS, Following(session, "A", "switch", process, lambda line: None))


def begun(*lines: str, verdict: RemoteError | None = None, asked: RemoteError | None = GONE) -> Watch:
    return watching(BEGUN, *lines, verdict=verdict, asked=asked)


def hears(watch: Watch, process: Lines) -> None:
    """From now on."""
    watch._following._process = cast(Process, process)


def look(state: str) -> tuple[str, ...]:
    said = {
        "id": "1",
        "name": "/web-1",
        "image": "x",
        "image_id": "i",
        "state": state,
        "exit_code": 0,
        "restarts": 0,
    }
    more = {"started": "t", "labels": {"com.docker.compose.service": "web"}, "ports": None, "health": None}
    return "=== containers", json.dumps(said | more), "=== ."


@pytest.mark.parametrize(
    "told",
    [
        (*look("old"), *look("old"), ASKED, *look("new")),
        (*look("old"), look("old")[0], ASKED, *look("old")[1:], *look("new")),
        (*look("old") * 9, ASKED, *look("new")),
    ],
    ids=["looks from before", "one under way", "many that nobody has read"],
)
def test_a_look_of_now_is_none_that_was_printed_before_it_was_asked_for(told: tuple[str, ...]) -> None:
    assert begun(*told).look()[0].state == "new"


def test_a_host_that_does_not_say_that_it_was_asked_is_believed_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = iter(range(0, 900, 4))
    monkeypatch.setattr(watching_module, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    told = [look(f"{number}") for number in range(9)]
    assert begun(*(line for lines in told for line in lines)).look()[0].state in {"1", "2", "3"}


def refused(code: int) -> CommandError:
    error = CommandError("refused")
    error.code = code
    return error


def test_what_changed_nothing_is_told_from_what_failed() -> None:
    with pytest.raises(NotBegunError, match="lapsed"):
        watching(f"=== end {ScriptExit.LAPSED}").finish()
    with pytest.raises(NotBegunError, match=r"/run/ktrdr-secrets is mallory's\n  -> rm it"):
        watching("/run/ktrdr-secrets is mallory's\trm it", f"=== end {ScriptExit.NO_PLACE}").finish()
    with pytest.raises(NotBegunError, match=r"switch: a file was changed\n  -> rm it"):
        watching("something else", "a file was changed\trm it", f"=== end {ScriptExit.CHANGED}").finish()
    with pytest.raises(NotBegunError, match=r"nothing could go back to it\n +the secret A"):
        watching("the secret A cannot be read", f"=== end {ScriptExit.NO_OLD_VALUES}").finish()
    with pytest.raises(NotBegunError, match="it does not fit: no room"):
        watching("no room", "it does not fit", f"=== end {ScriptExit.NO_PLACE}").finish()
    with pytest.raises(SwitchError, match=r"exit status 17[^\0]*no such network"):
        watching("no such network", "=== switched 17").finish()
    with pytest.raises(SwitchError, match="did not end in time"):
        watching("=== switched 124").finish()
    watching("=== switched 0").finish()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("=== end 137",), SwitchError),
        # Its owner was gone for a while: it has gone back by itself.
        (("=== back 0", "=== done revert", "=== end 0"), LostError),
        ((), LostError),
    ],
)
def test_a_script_that_was_killed_goes_back_to_nothing_by_itself(
    lines: tuple[str, ...], expected: type[RemoteError]
) -> None:
    watch = watching(*LOOK, *lines)
    looks = watch.looks()
    assert next(looks) == []
    with pytest.raises(expected):
        next(looks)
    with pytest.raises(expected):
        watch.await_back()


def test_a_verdict_waits_until_there_is_a_switch_to_hear_it() -> None:
    """Ctrl-C may come before the script on the host has even begun."""
    heard: list[str] = []
    watch = begun("=== switched 0")
    watch._session = cast(
        Session, SimpleNamespace(run=lambda *_, **__: heard.append("verdict"), require_alive=bool)
    )
    watch.conclude("revert", [HAPPENED])
    assert heard == ["verdict"]
    for code, expected in ((ScriptExit.LAPSED, NotBegunError), (137, SwitchError)):
        with pytest.raises(expected):
            watching(f"=== end {code}").conclude("revert", [HAPPENED])
    with pytest.raises(LostError):
        watching().conclude("revert", [HAPPENED])


def test_a_verdict_that_nobody_hears_is_told_from_one_that_comes_too_late() -> None:
    with pytest.raises(SwitchError):
        begun(verdict=refused(ScriptExit.ENDED)).conclude("proven", [HAPPENED])
    with pytest.raises(LostError):
        begun(verdict=refused(ScriptExit.LAPSED)).conclude("proven", [HAPPENED])
    with pytest.raises(LostError):
        begun(verdict=RemoteError("the session ended")).conclude("proven", [HAPPENED])


class Cut(Lines):
    """What the host says until the deadline passes, which a process says in its own way."""

    def __iter__(self) -> Iterator[str]:
        yield from self._lines
        raise RemoteError("the host did not answer in time")


def test_a_release_that_is_recorded_is_that_however_the_session_ends() -> None:
    for lines in (Lines, Cut):
        watch = watching()
        hears(watch, lines("=== containers", "=== .", "=== done proven"))
        assert watch.await_end("proven")


def test_whether_a_release_was_recorded_may_be_uncertain() -> None:
    for lines in (Lines, Cut):
        watch = watching(verdict=GONE)
        hears(watch, lines(*LOOK))
        with pytest.raises(UncertainError):
            watch.await_end("proven")
        with pytest.raises(LostError):
            watch.await_end("revert")
    with pytest.raises(UncertainError):
        begun(verdict=RemoteError("the session ended")).conclude("proven", [HAPPENED])
    for code in (ScriptExit.LAPSED, ScriptExit.ENDED):
        with pytest.raises(RemoteError) as raised:
            begun(verdict=refused(code)).conclude("proven", [HAPPENED])
        assert not isinstance(raised.value, UncertainError)


RECORDED = None
ENDINGS = {
    "nothing": (),
    "an end that says nothing": ("=== end 0",),
    "an end by a signal": ("=== end 137",),
}
"""What the host still says when it was given its verdict, and no answer is among it."""


@pytest.mark.parametrize("lines", ENDINGS.values(), ids=ENDINGS)
def test_what_the_host_has_recorded_counts_although_it_was_not_heard_to_say_so(
    lines: tuple[str, ...],
) -> None:
    for kind in (Lines, Cut) if not lines else (Lines,):
        watch = begun(asked=RECORDED)
        watch.conclude("proven", [HAPPENED])
        hears(watch, kind(*LOOK, *lines))
        assert watch.await_end("proven")


def test_a_verdict_of_which_no_answer_came_may_have_been_recorded() -> None:
    watch = begun(verdict=GONE, asked=RECORDED)
    watch.conclude("proven", [HAPPENED])
    assert watch.await_end("proven")


def test_what_the_host_has_not_recorded_does_not_count() -> None:
    unrecorded = refused(ScriptExit.ENDED)
    with pytest.raises(LostError, match=r"recorded \(the session ended\), and the host has not") as raised:
        begun(verdict=GONE, asked=unrecorded).conclude("proven", [HAPPENED])
    assert not isinstance(raised.value, UncertainError)
    for lines, expected in ((), LostError), (("=== end 0",), LostError), (("=== end 137",), SwitchError):
        watch = begun(asked=unrecorded)
        watch.conclude("proven", [HAPPENED])
        hears(watch, Lines(*LOOK, *lines))
        with pytest.raises(expected) as raised:
            watch.await_end("proven")
        assert not isinstance(raised.value, UncertainError)


def test_a_host_that_cannot_record_a_release_goes_back_and_is_not_waited_for() -> None:
    assert not watching(*LOOK, "=== back 0", *LOOK).await_end("proven")


def test_silence_is_the_end_of_the_session() -> None:
    for step in (lambda w: next(w.looks()), lambda w: w.finish(), lambda w: w.await_back()):
        watch = watching()
        hears(watch, Cut())
        with pytest.raises(LostError):
            step(watch)


def test_a_verdict_that_could_not_be_written_is_no_lost_session() -> None:
    with pytest.raises(LostError, match="verdict could not be written"):
        begun(verdict=refused(1)).conclude("proven", [HAPPENED])


class Ended(Lines):
    """A channel whose command has come to its end."""

    stderr = "sh: 1: env: Argument list too long\n"

    def wait(self) -> int:
        return 126


@pytest.mark.parametrize("lines", [(), ("sh: setsid: not found", NEVER, "=== end 127")])
def test_a_switch_that_never_began_is_no_lost_session(lines: tuple[str, ...]) -> None:
    steps: list[Callable[[Watch], Any]] = [
        Watch.finish,
        lambda watch: watch.conclude("revert", [HAPPENED]),
    ]
    for step in steps:
        watch = watching()
        hears(watch, Ended(*lines))
        with pytest.raises(NotBegunError, match=r"could not be started: exit status 12\d\n +sh: .*env"):
            step(watch)


def test_a_look_at_which_the_engine_tells_nothing_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """No containers, and a line that is none, would be taken for a stack that is not there."""
    odd = ("=== containers", '{"id": 1}', "=== .")
    silent = ("=== containers", UNKNOWN, "=== .")
    looks = watching(BEGUN, *silent, *odd, *LOOK, *silent).looks()
    assert next(looks) == []
    with pytest.raises(LostError):
        next(looks)
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(watching_module.time, "monotonic", lambda: next(clock))
    with pytest.raises(SwitchError, match="does not list"):
        next(watching(BEGUN, *silent * 9).looks())


def test_what_is_as_before_need_not_be_said_again() -> None:
    line = next(line for line in ANSWER.splitlines() if '"image_id"' in line)
    whole, same = ("=== containers", line, "=== ."), ("=== containers", SAME, "=== .")
    looks = watching(BEGUN, *whole, *same, *LOOK, *same).looks()
    assert [len(next(looks) or ()) for _ in range(4)] == [1, 1, 0, 0]


def test_a_look_is_of_the_time_that_its_host_says_or_else_of_when_it_arrives() -> None:
    early, late, odd = (("=== containers" + at, "=== .") for at in (" 12.50", " 14", " x"))
    watch = watching(BEGUN, *early, *late, *odd)
    looks = watch.looks()
    seen = [(next(looks), watch.clock())[1] for _ in range(2)]
    assert seen == [12.5, 14.0]
    next(looks)
    assert abs(watch.clock() - time.monotonic()) < 5


def test_a_container_that_did_not_get_healthy_is_named() -> None:
    watch = watching(
        "=== ill web c11", "the new container of web is not healthy: it is starting", "=== switched 1"
    )
    with pytest.raises(SwitchError, match="the new container of web is not healthy"):
        watch.finish()
    assert watch.ill == ("web", "c11")
    assert watching("=== switched 0").ill == ()


def test_what_an_operator_is_to_see_is_kept() -> None:
    watch = watching(" Container web-2  Started", "=== note web is replaced at once", "=== switched 0")
    watch.finish()
    assert watch.notes == ["web is replaced at once"]
