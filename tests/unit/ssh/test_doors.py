"""How many come to one address at once, and what those who wait there are told."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from deploy_lib.ssh import doors
from deploy_lib.ssh.doors import AT_ONCE, DroppedError, SilentError, entered
from deploy_lib.ssh.target import Target

TARGET = Target("a", "a.invalid", 22, "root")
OTHER = Target("b", "b.invalid", 22, "root")
BEHIND = Target("a", "a.invalid", 22, "root", jump=("gate",))


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "_doors", type(doors._doors)(doors._Door))


def until(ready: threading.Event | None, count: list[int], expected: int) -> None:
    deadline = time.monotonic() + 20
    while len(count) < expected and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(count) == expected
    if ready is not None:
        ready.set()


@pytest.mark.parametrize("other", [OTHER, BEHIND])
def test_no_more_than_fit_begin_at_one_address_and_others_elsewhere(other: Target) -> None:
    inside: list[int] = []
    leave = threading.Event()

    def come(target: Target) -> None:
        with entered(target):
            inside.append(1)
            leave.wait(20)

    with ThreadPoolExecutor(2 * AT_ONCE + 1) as pool:
        came = [pool.submit(come, TARGET) for _ in range(2 * AT_ONCE)]
        until(None, inside, AT_ONCE)
        # The others wait for room there, and nobody waits for them elsewhere.
        came.append(pool.submit(come, other))
        until(leave, inside, AT_ONCE + 1)
        for each in came:
            each.result(20)
    assert len(inside) == 2 * AT_ONCE + 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TimeoutError("timed out"), True),
        (ConnectionRefusedError(111, "refused"), True),
        (SilentError("it said nothing"), True),
        (DroppedError("no room"), False),
        (ConnectionResetError("one of them was lost"), False),
        (ValueError("anything else"), False),
    ],
)
def test_who_waits_where_nothing_answers_is_told_at_once(error: Exception, told: bool) -> None:
    inside: list[int] = []
    fail = threading.Event()

    def come() -> None:
        with entered(TARGET):
            inside.append(1)
            fail.wait(20)
            raise error

    def wait() -> str:
        with entered(TARGET):
            return "came in"

    with ThreadPoolExecutor(2 * AT_ONCE) as pool:
        first = [pool.submit(come) for _ in range(AT_ONCE)]
        until(None, inside, AT_ONCE)
        waiting: list[Future[str]] = [pool.submit(wait) for _ in range(AT_ONCE)]
        time.sleep(0.05)
        fail.set()
        for each in first:
            assert each.exception(20) is error
        if told:
            assert all(each.exception(20) is error for each in waiting)
        else:
            assert [each.result(20) for each in waiting] == ["came in"] * AT_ONCE
    # A later one tries by itself.
    assert wait() == "came in"
