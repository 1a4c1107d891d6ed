"""Histories of commands and faults on a simulated host, and what holds after each of them: docs/simulation.md."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from . import invariants
from .faults import FAULTS
from .moments import Fault
from .project import BAD, GATEWAY, TAGS
from .shells import SHELLS
from .world import Told, World

HISTORIES, MANY = 7, 100
"""How many there are of each form of the project: about a minute's worth, and what a full run takes. SIMULATED_HISTORIES in the environment wins."""

OTHERS = 2
"""How many on hosts with another shell than the first."""

MOMENTS = 130
"""A deployment has about 112, one that goes back 130; with a later one nothing befalls it."""

COMMANDS: dict[str, Callable[[World], Told]] = {
    **{f"deploy {tag}": lambda world, tag=tag: world.deploy(tag) for tag in (*TAGS, *BAD)},
    "rollback": lambda world: world.roll_back(),
    "rotate": lambda world: (world.renew(), world.rotate())[1],
    "edit and deploy 2.0": lambda world: (world.edit(f"{len(world.events())}"), world.deploy("2.0"))[1],
    "prune": lambda world: world.prune(),
}
"""What an operator gives. A new one is a line here."""

DOWN = ("power", "engine")
"""What ends all containers, and so loses requests."""

SAID_TO_LOSE = ("is replaced at once", "is taken back at once")
"""What a command says where requests may be lost."""

NOTHING = "nothing to change"
"""How it says that it took no lock and changed nothing."""

SWITCHED = re.compile(rf"  switch +(.*, )?{GATEWAY}(,|$)", re.MULTILINE)
"""How it says that the gateway itself is replaced, which loses some."""

REPAIRING = ("deploy", "edit", "rollback")
"""How the names of those begin that bring a host which was switched off in the middle to a whole release."""


@dataclass(frozen=True)
class Saved:
    """A host as a history begins with it."""

    host: Any
    secrets: str


class Hosts:
    """One host for each shell and form of the project, which is made what it was for each history."""

    def __init__(self, shell: str, *, rolling: bool = False) -> None:
        self.first = shell == SHELLS[0]
        self.folder = Path(tempfile.mkdtemp(prefix="sim-project-"))
        self.world = World(self.folder, shell, rolling=rolling)
        self._saved: dict[str, Saved] = {}
        for name, make in self._states().items():
            make()
            self.world.host.settle()
            secrets = (self.folder / "secrets.json").read_text()
            self._saved[name] = Saved(self.world.host.save(), secrets)

    def _states(self) -> dict[str, Callable[[], object]]:
        world = self.world

        def by_hand() -> None:
            self.begin("empty")
            world.start_by_hand("1.0")

        def deployed() -> None:
            self.begin("empty")
            assert world.deploy("1.0").exit == 0, world.said

        return {
            "empty": lambda: None,
            "started by hand": by_hand,
            "deployed": deployed,
            "deployed twice": lambda: world.deploy("2.0"),
        }

    def begin(self, state: str) -> World:
        """The host as it was in a state."""
        saved = self._saved[state]
        self.world.host.cut()
        self.world.host.settle()
        self.world.host.load(saved.host)
        self.world.host.engine.refusing = 0
        (self.folder / "secrets.json").write_text(saved.secrets)
        self.world.edit("first")
        return self.world

    def close(self) -> None:
        """Removes all."""
        self.world.host.close()
        shutil.rmtree(self.folder)
        for saved in self._saved.values():
            shutil.rmtree(saved.host[0])


STATES = ("empty", "started by hand", "deployed", "deployed twice")


STEP = st.tuples(
    st.sampled_from(sorted(COMMANDS)), st.sampled_from(["none", *FAULTS]), st.integers(1, MOMENTS)
)
"""A command, what befalls it, and at which of its moments."""

HISTORY = st.tuples(st.sampled_from(STATES), st.lists(STEP, min_size=1, max_size=4))
"""Drawn as a whole before its first command runs: how a host behaves in time must have no say in what is drawn."""


def check_said(lost: Sequence[str], said: str) -> None:
    """Where requests would be lost, the command has said so."""
    assert not lost or any(word in said for word in SAID_TO_LOSE) or SWITCHED.search(said), (
        f"requests would be lost: {lost[:3]}"
    )


class History:
    """One history.

    Attributes:
        whole: the host has a whole release, as nothing that needs a further command has befallen it.
        went_down: it was switched off, or its engine was, and may have a verdict that nobody waits for any more.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.whole = True
        self.went_down = False

    def command(self, what: str, fault: str, moment: int) -> None:
        """A command that something befalls."""
        world, before = self.world, {c.id: dict(c.files) for c in self.world.containers.values()}
        values = invariants.held(world)
        befalls = Fault(moment, lambda: FAULTS[fault].befall(world) if fault in FAULTS else None)
        world.watch(on=fault not in DOWN)
        told = world.armed(befalls, lambda: COMMANDS[what](world))
        world.host.settle()
        lost = world.watch(on=False)
        where = f"{what}, {fault} at moment {moment} ({befalls.where or 'did not come'}): exit {told.exit}\n{told.said}"
        try:
            self._judge(what, fault if befalls.came else "none", told, before, values)
            check_said(lost, told.said)
        except AssertionError as error:
            raise AssertionError(f"{where}\n{error}") from error

    def _judge(self, what: str, fault: str, told: Told, before: Any, values: invariants.Held) -> None:
        world = self.world
        stopped = (130,) if fault == "interrupted" else ()
        assert told.exit in (0, 3, 4, 10, 11, *stopped), "an exit status of no such command"
        odd, world.host.docker.odd = world.host.docker.odd, []
        assert odd == [], "the simulated docker does not know a call, or a fault could not befall"
        invariants.check_free(world)
        heals = fault == "none" or FAULTS[fault].heals
        if not heals:
            self.whole, self.went_down = False, True
            return
        if told.exit == 0 and what.startswith(REPAIRING) and NOTHING not in told.said:
            self.went_down = False
        if not self.went_down:
            invariants.check_no_verdict(world)
        if told.exit in (0, 10) and what.startswith(REPAIRING):
            self.whole = True
        if told.exit == 11 and fault not in ("cut",):
            raise AssertionError("the host is not as it was before, and nothing prevented that")
        if not self.whole:
            return
        if invariants.recorded(world) is not None:
            invariants.check_history(world)
            invariants.check_whole(world)
        if told.exit in (3, 4, 130) and fault != "second":
            assert {c.id: dict(c.files) for c in world.containers.values()} == before, "something was changed"
        if world.rolling and fault == "none":
            invariants.check_gateway(world)
        if told.exit == 10 and fault != "second":
            invariants.check_values(world, values)
            kinds = [event["kind"] for event in world.events()]
            # Before the first change there may be nothing to tell, or nobody to tell it.
            assert kinds[-1:] in ([], ["proven"], ["adopted"], ["reverted"], ["aborted"]), kinds

    def end(self) -> None:
        """One plain run, and all is well."""
        world = self.world
        world.watch(on=True)
        told = world.deploy("2.0")
        world.host.settle()
        lost = world.watch(on=False)
        assert told.exit == 0, told.said
        untouched = NOTHING in told.said
        try:
            invariants.check_free(world)
            if not (untouched and self.went_down):
                invariants.check_no_verdict(world)
            invariants.check_history(world)
            invariants.check_whole(world)
            invariants.check_values(world, invariants.current(world))
            invariants.check_clean(world, untouched=untouched)
            release = invariants.recorded(world)
            assert release is not None
            assert release["tag"] == "2.0"
            status = world.status()
            assert (status.outcome, status.drift) == ("as recorded", ())
            invariants.check_gateway(world)
            check_said(lost, told.said)
        except AssertionError as error:
            raise AssertionError(f"{told.said}\n{error}") from error


@pytest.fixture(
    scope="module",
    params=[*[(shell, False) for shell in SHELLS], (SHELLS[0], True)],
    ids=lambda p: p[0] + " rolling" * p[1],
)
def hosts(request: pytest.FixtureRequest) -> Iterator[Hosts]:
    shell, rolling = request.param
    made = Hosts(shell, rolling=rolling)
    yield made
    made.close()


def _run(hosts: Hosts, count: int) -> None:
    @settings(
        max_examples=int(os.environ.get("SIMULATED_HISTORIES", count)),
        derandomize=True,
        database=None,
        deadline=None,
        # What fails is short as it is; to make it shorter would take minutes.
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
        print_blob=False,
    )
    @given(HISTORY)
    def each(drawn: tuple[str, list[tuple[str, str, int]]]) -> None:
        state, steps = drawn
        history = History(hosts.begin(state))
        for what, fault, moment in steps:
            history.command(what, fault, moment)
        history.end()

    each()


@pytest.mark.timeout(1800)
def test_whatever_befalls_a_host_one_plain_run_makes_it_well(hosts: Hosts) -> None:
    _run(hosts, HISTORIES if hosts.first else OTHERS)


@pytest.mark.full
@pytest.mark.timeout(7200)
def test_the_same_many_times(hosts: Hosts) -> None:
    _run(hosts, MANY)
