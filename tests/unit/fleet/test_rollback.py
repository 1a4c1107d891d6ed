"""Which nodes go back, and to what."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.errors import PreflightError
from deploy_lib.fleet import rollback
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.node.deployment import Deployment
from deploy_lib.release.history import Event
from deploy_lib.release.release import Release

RELEASE = Release("r1", "sha-0000001", None, {}, {})
FIRST = event("proven", RELEASE)
SECOND = event("proven", replace(RELEASE, id="r2", tag="sha-0000002"), before="r1")


def node(*past: Event) -> Deployment:
    facts = Facts(history=past)
    return cast(Deployment, SimpleNamespace(facts=facts, before=facts.proven))


def chosen(nodes: dict[str, Deployment], tag: str | None = None) -> set[str]:
    found: Any = rollback._taking_part(list(nodes.values()), tag)
    return {name for name, deployment in nodes.items() if deployment in found}


def test_without_a_name_those_go_back_that_the_newest_release_touched() -> None:
    nodes = {"core": node(FIRST, SECOND), "B": node(FIRST), "C": node()}
    assert chosen(nodes) == {"core"}
    begun = replace(FIRST, kind="started", release=replace(RELEASE, id="r3"))
    assert chosen({**nodes, "B": node(FIRST, begun)}) == {"B"}
    with pytest.raises(PreflightError):
        chosen({"C": node()})


def test_with_a_tag_all_go_there_but_not_those_on_which_nothing_was_ever_deployed() -> None:
    nodes = {"core": node(FIRST, SECOND), "B": node(FIRST), "C": node()}
    assert chosen(nodes, "sha-0000001") == {"core", "B"}
    with pytest.raises(PreflightError):
        chosen({"C": node()}, "sha-0000001")


def test_nodes_that_stay_as_they_are_are_named() -> None:
    nodes = {"core": node(FIRST, SECOND), "B": node(FIRST), "C": node()}
    for name, each in nodes.items():
        cast(Any, each).node = SimpleNamespace(name=name)
    fleet = list(nodes.values())
    assert rollback._left_out(fleet, fleet[:1], None).startswith("not taking part: B, C (not touched")
    assert rollback._left_out(fleet, fleet[:2], "sha-0000001").startswith("not taking part: C (nothing")
    assert rollback._left_out(fleet, fleet, None) == ""


@pytest.mark.parametrize(
    ("newest", "expected"),
    [(None, "r1"), ("started", "r2"), ("failed", "r2"), ("reverted", "r1")],
)
def test_what_never_counted_is_not_gone_back_over(newest: Any, expected: str) -> None:
    more = [replace(FIRST, kind=newest, release=replace(RELEASE, id="r3"))] if newest else []
    target = rollback._target(node(FIRST, SECOND, *more), None)
    assert target is not None
    assert target.release.id == expected
