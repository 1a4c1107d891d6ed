"""In which order stacks are switched."""

from types import SimpleNamespace
from typing import Any, cast

from deploy_lib.fleet.waves import waves


def order(**needs: set[str]) -> list[list[str]]:
    made = [SimpleNamespace(node=SimpleNamespace(stack_name=s, needs=frozenset(n))) for s, n in needs.items()]
    return [[d.node.stack_name for d in wave] for wave in waves(cast(Any, made))]


def test_what_others_need_comes_first_at_any_depth() -> None:
    assert order(c={"a", "b"}, b={"a"}, a=set(), d=set()) == [["a", "d"], ["b"], ["c"]]


def test_a_stack_that_is_not_deployed_now_is_not_waited_for() -> None:
    assert order(c={"a", "b"}, a=set()) == [["a"], ["c"]]
    assert order(c={"a", "b"}) == [["c"]]
    assert order() == []
