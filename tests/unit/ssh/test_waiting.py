"""How an answer is waited for."""

from __future__ import annotations

import threading

import pytest

from deploy_lib.errors import StoppedError
from deploy_lib.ssh.waiting import PATIENCE, wait


def test_an_answer_that_comes_is_enough_and_one_that_does_not_ends_the_wait() -> None:
    came = threading.Event()
    wait(came.wait, 60, came.set)
    with pytest.raises(TimeoutError, match=r"did not answer within 0\.01 s"):
        wait(threading.Event().wait, 0.01)


def test_ctrl_c_is_looked_for_while_nothing_comes() -> None:
    steps: list[float] = []

    def look() -> None:
        raise StoppedError("interrupted")

    with pytest.raises(StoppedError):
        wait(lambda seconds: bool(steps.append(seconds)), 60, look)
    assert steps == [PATIENCE]
