"""Where a command's time went."""

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from deploy_lib.output import timings
from deploy_lib.output.timings import TIMINGS, Timings, phase


@dataclass
class Clock:
    now: float = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timings, "time", clock)
    return clock


def test_spans_come_in_the_order_in_which_they_began_and_the_command_last(clock: Clock) -> None:
    found = Timings()
    clock.now += 1
    with found.span("core", "phase", "preflight"):
        with found.span("core", "channel", "gathering facts"):
            clock.now += 2
        clock.now += 1
    told = [(span.node, span.what, span.began, span.seconds) for span in found.spans]
    assert told == [
        ("core", "preflight", 1.0, 3.0),
        ("core", "gathering facts", 1.0, 2.0),
        ("", "the whole command", 0.0, 4.0),
    ]
    assert json.dumps([span.as_dict() for span in found.spans])
    assert found.spans[-1].row == ("0.00", "4.00", "-", "phase", "the whole command")


def test_what_fails_has_taken_time_all_the_same(clock: Clock) -> None:
    found = Timings()

    def fail() -> None:
        clock.now += 4
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), found.span("core", "channel", "verdict"):
        fail()
    assert found.spans[0].seconds == 4.0
    found.begin()
    assert [span.what for span in found.spans] == ["the whole command"]


def test_a_step_of_a_node_is_a_phase_there(clock: Clock) -> None:
    class Node:
        node = SimpleNamespace(name="B")

        @phase("staging")
        def stage(self, what: Any) -> Any:
            """It is brought."""
            clock.now += 5
            return what

    TIMINGS.begin()
    assert Node().stage("it") == "it"
    assert Node.stage.__doc__ == "It is brought."
    assert [(span.node, span.kind, span.what, span.seconds) for span in TIMINGS.spans[:1]] == [
        ("B", "phase", "staging", 5.0)
    ]
