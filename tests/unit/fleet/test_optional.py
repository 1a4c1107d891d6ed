"""A host that is off: an optional one is left out, and what is not off stops the command."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec import Struct

from deploy_lib.config import Node
from deploy_lib.errors import DeployError, PreflightError, UnreachableError
from deploy_lib.fleet.each import each
from deploy_lib.fleet.optional import leave_out
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.outcome import Outcome
from deploy_lib.output.console import Console
from deploy_lib.request import Request
from tests.unit import sample


def unreachable(*, off: bool) -> UnreachableError:
    error = UnreachableError("no TCP connection" if off else "the host key has changed", hint="look")
    error.off = off
    return error


@dataclass
class Session:
    error: DeployError | None = None
    stop: Any = None
    opened: int = 0

    def open(self) -> None:
        self.opened += 1
        if self.error is not None:
            raise self.error


@dataclass
class Fake:
    node: Node
    session: Session
    site: Any = field(default_factory=lambda: SimpleNamespace(scraper=None))
    request: Request = field(default_factory=lambda: Request("deploy-all"))
    outcome: Outcome = Outcome.NOT_STARTED
    error: DeployError | None = None
    without: str = ""

    leave_out, leave_unscraped, fail = Deployment.leave_out, Deployment.leave_unscraped, Deployment.fail
    tell_how_to_leave_out = Deployment.tell_how_to_leave_out


def fleet(tmp_path: Path, optional: dict[str, DeployError | None]) -> list[Fake]:
    """Front is wanted; the others are optional where they are named."""
    nodes = sample.environment(tmp_path).nodes.values()
    return [
        Fake(n.model_copy(update={"optional": n.name in optional}), Session(optional.get(n.name)))
        for n in nodes
    ]


def present(some: list[Fake], *, named: bool = False) -> list[str]:
    left = leave_out(cast(list[Deployment], some), Console(err=sys.stderr), named=named)
    return [d.node.name for d in left]


def test_what_is_optional_and_off_is_left_out_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = fleet(tmp_path, {"east": unreachable(off=True), "night": None})
    assert present(some) == ["front", "night"]
    assert [d.outcome for d in some if d.node.name == "east"] == [Outcome.SKIPPED]
    said = capsys.readouterr().err
    assert "east: warning: skipped, being optional and off: no TCP connection" in said
    assert "the next command after east is back" in said


def test_what_answers_and_is_not_accepted_is_never_left_out(tmp_path: Path) -> None:
    some = fleet(tmp_path, {"east": unreachable(off=False)})
    assert present(some) == ["front", "night", "east"]
    assert {d.error for d in some} == {None}


def test_what_was_named_is_wanted(tmp_path: Path) -> None:
    some = fleet(tmp_path, {"east": unreachable(off=True)})
    assert present(some, named=True) == ["front", "night", "east"]
    assert {d.session.opened for d in some} == {0}


def test_a_fleet_that_is_off_is_an_error(tmp_path: Path) -> None:
    off = unreachable(off=True)
    some = fleet(tmp_path, {"front": off, "night": off, "east": off})
    with pytest.raises(PreflightError, match=r"every node is optional and off: front, night, east\n.*no TCP"):
        present(some)


def test_the_advice_for_a_node_that_is_off_says_how_to_leave_it_out(tmp_path: Path) -> None:
    some = fleet(tmp_path, {})
    present(some)

    def fails(deployment: Deployment) -> None:
        raise unreachable(off=deployment.node.name == "east")

    each(cast(list[Deployment], some), fails)
    hints = {d.node.name: d.error.hint for d in some if d.error}
    assert hints == {
        "front": "look",
        "night": "look",
        "east": "look; without east: invoke deploy-all --node front --node night; "
        "or whenever it is off: optional = true for the node east in deploy.toml",
    }


def test_prometheus_is_not_told_where_its_own_host_is_off(tmp_path: Path) -> None:
    class Site(Struct, frozen=True):
        scraper: Any

    some = fleet(tmp_path, {"east": unreachable(off=True)})
    for d, host in zip(some, ("east", "front", "east"), strict=True):
        d.site = Site(SimpleNamespace(host=SimpleNamespace(name=host)))
    present(some)
    assert [d.site.scraper is None for d in some] == [True, False, False]
