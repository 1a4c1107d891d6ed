"""A switch that is taken back: what is judged then, and what the history gets."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.compose.labels import CONFIG_HASH
from deploy_lib.config import Probe
from deploy_lib.errors import DeployError
from deploy_lib.host.change.switch_faults import LostError, SwitchError
from deploy_lib.host.change.watch import Watch
from deploy_lib.node import proof
from deploy_lib.node.site import Site
from deploy_lib.node.switching import Switching
from deploy_lib.plan.decision import Decision
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from tests.unit import build

BEFORE = Release("r1", "1.0", None, {}, {}, ends={"job": "must", "server": "may"})
AFTER = Release("r2", "2.0", None, {}, {}, ends={"task": "must", "server": "may"})


class World:
    """A switch whose proof does what a test wants."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        judge: Callable[[], object],
        *,
        kept: bool = False,
        aside: tuple[str, ...] = (),
    ) -> None:
        self.judged: list[Release] = []
        self.recorded: dict[str, str] = {}
        self.verdicts: list[tuple[str, list[tuple[str, str]]]] = []
        self.tolerated: list[set[str]] = []

        def prove(*arguments: Any, clock: Any) -> Any:
            self.tolerated.append(set(arguments[-1]))
            self.judged.append(arguments[2])
            return judge()

        monkeypatch.setattr(proof, "prove", prove)
        self.said: list[tuple[str, str]] = []
        self.started = started = SimpleNamespace(
            conclude=lambda word, events: self.verdicts.append((word, events)),
            finish=lambda: None,
            notes=[],
            ill=(),
            await_back=lambda: None,
            await_end=lambda _: True,
            looks=list,
            clock=float,
            look=list,
        )
        console = SimpleNamespace(redactor=SimpleNamespace(clean=lambda text: text.replace("value", "***")))
        site = SimpleNamespace(
            say=lambda *words: self.said.append(words),
            console=console,
            session=None,
            node=SimpleNamespace(name="A", stack=SimpleNamespace(rolled=[SimpleNamespace(service="web")])),
            follow=None,
            follow_back=None,
        )
        plan = SimpleNamespace(
            back=SimpleNamespace(release=BEFORE),
            desired=SimpleNamespace(release=AFTER),
            ill=("mcp",),
            subject="",
            aside=aside,
            before=SimpleNamespace(hashes={"web": "old", "other": "old"}),
            next_before=None,
        )

        def happens(kind: str, detail: str = "", **more: Any) -> Any:
            self.recorded |= more.get("hashes", {})
            return kind, detail

        self.switching = Switching(
            cast(Site, site),
            cast(Decision, SimpleNamespace(plan=plan, applies=(), keep_values=kept)),
            cast(Watch, started),
            happens,
        )


def test_what_was_ill_before_and_what_ends_by_itself_is_no_failure_of_going_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, list)
    world.switching.go_back("a probe failed")
    assert world.tolerated == [{"mcp", "job"}]
    assert world.verdicts == [
        ("revert", [("failed", "a probe failed")]),
        ("leave", [("reverted", "a probe failed")]),
    ]


def test_what_was_not_asked_for_and_is_not_as_recorded_is_neither_judged_nor_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probes = tuple(Probe(name=name, service=name, url="http://127.0.0.1:1/") for name in ("web", "other"))
    images = {"web": Image("x", "1"), "other": Image("y", "1")}
    whole = Release("r2", "2.0", None, images, {}, replicas=dict.fromkeys(images, 1), probes=probes)
    monkeypatch.setitem(globals(), "AFTER", whole)
    world = World(monkeypatch, list, aside=("other",))
    world.switching.prove()
    (judged,) = world.judged
    assert [*judged.images] == [*judged.replicas] == [probe.name for probe in judged.probes or ()] == ["web"]
    made = {"web": "new", "other": "by hand"}
    world.switching.record([build.container(service=s, labels={CONFIG_HASH: h}) for s, h in made.items()])
    assert world.recorded == {"web": "new", "other": "old"}


@pytest.mark.parametrize(("kept", "tolerated"), [(False, set()), (True, {"task"})])
def test_the_new_release_is_judged_whole_and_an_earlier_one_without_what_it_does_once(
    monkeypatch: pytest.MonkeyPatch, kept: bool, tolerated: set[str]
) -> None:
    world = World(monkeypatch, list, kept=kept)
    world.switching.prove()
    assert world.tolerated == [tolerated]


def test_the_history_gets_the_first_line_of_what_failed_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> object:
        raise DeployError("it has no value\n  | a line of a log")

    world = World(monkeypatch, fails)
    with pytest.raises(DeployError, match="it has no value"):
        world.switching.go_back("a probe failed")
    assert world.verdicts[-1] == ("leave", [("failed", "it has no ***")])


def test_a_session_that_is_lost_gives_no_second_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> object:
        raise LostError("gone")

    world = World(monkeypatch, lost)
    with pytest.raises(LostError):
        world.switching.go_back("a probe failed")
    assert [word for word, _ in world.verdicts] == ["revert"]


def test_where_requests_may_have_been_lost_is_said_although_the_switch_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, list)
    monkeypatch.setattr(proof, "explain", lambda session, service, container: f"\n  | the log of {container}")

    def failing() -> None:
        world.started.ill = ("web", "c11")
        world.started.notes = ["web is replaced at once"]
        raise SwitchError("it is not healthy", step="switch")

    world.started.finish = failing
    with pytest.raises(SwitchError, match=r"it is not healthy\n  \| the log of c11"):
        world.switching.prove()
    assert world.said == [("switch", ""), ("rolling", "web is replaced at once")]
    # Left in place, there are two.
    world.started.looks = lambda: iter([[]])
    world.switching.leave("it is not healthy")
    assert world.verdicts == [("leave", [("failed", "it is not healthy")])]
    assert "web: what answered goes on" in world.said[-1][1]
    # Of replicas that are replaced one after the other, the old one is gone.
    world.started.ill = ("job-1", "c12")
    world.switching.leave("it is not healthy")
    assert "job-1" not in str(world.said)
