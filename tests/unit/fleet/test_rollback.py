"""Which nodes go back, and to what."""

import io
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.config import Environment
from deploy_lib.errors import PreflightError, UsageError
from deploy_lib.fleet import rollback, rotation
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console
from deploy_lib.release.history import Event
from deploy_lib.release.release import Release, Version
from deploy_lib.request import Request
from deploy_lib.values import replace
from tests.unit.fleet.test_pruning import Fake

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


def test_the_tag_of_a_version_is_not_that_of_its_patch() -> None:
    patch = event("proven", replace(RELEASE, id="r2", patches={"web": "web:patch sha256:1"}), before="r1")
    found = rollback._target(node(FIRST, patch), "sha-0000001")
    assert found is not None
    assert found.release.id == "r1"
    assert rollback._target(node(patch), "sha-0000001") is None
    assert rollback._target(node(FIRST, patch), None) == FIRST


def test_what_the_hosts_call_a_release_needs_no_version_of_this_checkout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def meant(known: list[Version] | None, tag: str) -> tuple[str | None, str]:
        def versions(*_: object) -> list[Version]:
            if known is None:
                raise UsageError("neither an image tag nor a commit")
            return known

        monkeypatch.setattr(rollback, "versions", versions)
        said = io.StringIO()
        found = rollback._meant(
            cast(Environment, None), [node(stable)], Request("rollback", tag=tag), Console(err=said)
        )
        return found, said.getvalue()

    stable = event("proven", replace(RELEASE, tag="stable"))
    assert meant(None, "stable") == ("stable", "")
    with pytest.raises(UsageError):
        meant(None, "unstable")
    # A branch has that name, too.
    found, said = meant([Version("sha-0000009")], "stable")
    assert (found, "stable is taken" in said) == ("stable", True)
    assert meant([Version("stable"), Version("sha-0000009")], "stable")[0] == "stable"


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


@dataclass
class Unprovable(Fake):
    """A node whose sshd forbids what its probes need."""

    stack: str = "core"

    @property
    def node(self) -> Any:
        return SimpleNamespace(name=self.name, stack_name=self.stack, task=lambda words: words)

    def check_back(self, stacks: set[str]) -> None:
        self.log.append("check")
        raise PreflightError("AllowTcpForwarding")

    def decide_back(self, target: Event) -> None:
        self.log.append("decide")

    def changed_secrets(self, values: object) -> list[str]:
        self.log.append("compare")
        return []


@pytest.fixture
def unprovable() -> Unprovable:
    facts = Facts(history=(FIRST, SECOND))
    return Unprovable("core", facts, [], before=facts.proven)


def test_a_rollback_that_could_not_be_proven_locks_nothing(unprovable: Unprovable) -> None:
    nodes, environment = cast(list[Deployment], [unprovable]), cast(Environment, None)
    with pytest.raises(PreflightError, match="AllowTcpForwarding"):
        rollback.roll_back(environment, nodes, Request("rollback"), Console(err=io.StringIO()), named=True)
    assert unprovable.log == ["look again core", "check"]


def test_nor_does_a_rotation(unprovable: Unprovable) -> None:
    with pytest.raises(PreflightError, match="AllowTcpForwarding"):
        rotation._look(cast(list[Deployment], [unprovable]))
    assert unprovable.log == ["look again core", "check"]


def test_that_the_data_stay_is_said_with_the_backup_from_before_the_release_that_is_left() -> None:
    def said(*past: Event) -> str:
        leaving = node(*past)
        cast(Any, leaving).node = SimpleNamespace(name="core", task=lambda words: f"invoke {words}")
        return rollback._data(leaving)

    migrated = replace(SECOND, backups=("b1",))
    assert said(FIRST, SECOND) == ""
    assert said(FIRST, migrated).endswith("before sha-0000002: invoke restore --node core --backup b1")
    failed = replace(migrated, kind="failed", backups=("b2",))
    assert "--backup b2" in said(FIRST, failed)
    # What was taken back is not what is left.
    assert said(FIRST, replace(failed, kind="reverted")) == ""
