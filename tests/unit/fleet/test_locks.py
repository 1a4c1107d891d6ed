"""Several nodes' locks: all or none, and given back whatever happens."""

import io
import signal
import threading
import time
from types import SimpleNamespace
from typing import cast

import pytest

from deploy_lib.errors import LockedError
from deploy_lib.fleet.locks import locked
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console


class Fleet:
    """Nodes that say in which order their locks are taken and given back."""

    def __init__(self, *names: str, taken: str = "") -> None:
        self.events: list[str] = []
        self.stop = threading.Event()
        self.err = io.StringIO()
        self.closed = threading.Semaphore(0)
        self.nodes = [self._node(name, taken) for name in names]

    def _node(self, name: str, taken: str) -> Deployment:
        def lock() -> None:
            if name == taken:
                raise LockedError(f"{name} is locked")
            self.events.append(f"+{name}")

        def close() -> None:
            self.closed.release()

        session = SimpleNamespace(stop=self.stop, close=close)
        release = lambda: self.events.append(f"-{name}")  # noqa: E731
        return cast(Deployment, SimpleNamespace(session=session, lock=lock, release_lock=release))

    @property
    def console(self) -> Console:
        return Console(err=self.err)


def test_they_are_taken_in_the_given_order_and_given_back() -> None:
    fleet = Fleet("east", "front", "night")
    with locked(fleet.nodes, fleet.console):
        assert fleet.events == ["+east", "+front", "+night"]
    assert fleet.events[3:] == ["-east", "-front", "-night"]


def test_one_that_somebody_else_holds_gives_all_back_and_nothing_is_done() -> None:
    fleet = Fleet("east", "front", "night", taken="front")
    with pytest.raises(LockedError, match="front"), locked(fleet.nodes, fleet.console):
        raise AssertionError("nothing may be done without all locks")
    assert "+night" not in fleet.events
    assert "-east" in fleet.events


def test_they_are_given_back_after_a_failure() -> None:
    fleet = Fleet("east")
    with pytest.raises(ValueError, match="x"), locked(fleet.nodes, fleet.console):
        raise ValueError("x")
    assert fleet.events == ["+east", "-east"]


@pytest.mark.timeout(30)
def test_ctrl_c_stops_and_a_second_one_leaves_the_hosts_to_themselves() -> None:
    fleet = Fleet("east", "front")
    with locked(fleet.nodes, fleet.console, on_stop="hosts go back"):
        signal.raise_signal(signal.SIGINT)
        assert fleet.stop.wait(20)
        signal.raise_signal(signal.SIGINT)
        for _ in fleet.nodes:
            assert fleet.closed.acquire(timeout=20)
    # Each signal is answered by a thread of its own.
    deadline = time.monotonic() + 20
    while "interrupted: hosts go back" not in (said := fleet.err.getvalue()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "interrupted again: leaving; hosts that were switched go back by themselves" in said
