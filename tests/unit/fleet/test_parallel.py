import threading

import pytest

from deploy_lib.fleet.parallel import beside, side_by_side


@pytest.mark.timeout(30)
def test_all_run_at_once_and_results_keep_their_order() -> None:
    together = threading.Barrier(3)

    def work(item: int) -> int:
        together.wait(20)
        return item * 2

    assert side_by_side([3, 1, 2], work) == [6, 2, 4]


def test_no_more_than_the_limit_run_at_once() -> None:
    running, most, lock = 0, 0, threading.Lock()
    begun = threading.Event()

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 2:
                begun.set()
        assert begun.wait(20)
        with lock:
            running -= 1

    side_by_side(range(7), work, 2)
    assert most == 2


def test_one_failure_keeps_no_other_from_its_end_and_the_first_items_is_raised() -> None:
    ended = []

    def work(item: int) -> None:
        ended.append(item)
        if item:
            raise ValueError(item)

    with pytest.raises(ValueError, match="1"):
        side_by_side([0, 1, 2, 3], work)
    assert sorted(ended) == [0, 1, 2, 3]


def test_nothing_to_do_is_done() -> None:
    assert side_by_side([], str) == []
    assert side_by_side(["a"], str.upper, 0) == ["A"]


@pytest.mark.timeout(30)
def test_work_goes_on_beside_the_caller_and_its_result_or_error_is_told_to_whoever_asks() -> None:
    going_on = threading.Event()

    def work() -> str:
        assert going_on.wait(20)
        return "done"

    ask = beside(work)
    going_on.set()  # only a caller that is not kept waiting comes here
    assert ask() == ask() == "done"

    def fail() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        beside(fail)()
