"""What the survey does with a host where others could change what is deployed."""

import io
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.checks.host import check_ownership
from deploy_lib.config import Environment
from deploy_lib.errors import PreflightError, UsageError
from deploy_lib.fleet import survey as surveying
from deploy_lib.fleet.survey import NodeSurvey, Survey
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console
from tests.unit.node.test_deployment import deployment
from tests.unit.plan.test_decision import VERSION, values

LOOSE = (("/opt is loose", "chmod go-w /opt"),)


def node(strangers: tuple[tuple[str, str], ...]) -> tuple[Deployment, NodeSurvey]:
    made = deployment()
    facts = replace(made.facts, strangers=strangers)
    return made, NodeSurvey(made.node, facts, (check_ownership(facts),), "", "")


def survey_of(found: NodeSurvey) -> Survey:
    return Survey((), {found.node.name: found}, VERSION, values(), None, {})


@pytest.mark.parametrize(("strangers", "asked"), [((), 1), (LOOSE, 0)])
def test_no_login_goes_by_way_of_it(
    monkeypatch: pytest.MonkeyPatch, strangers: tuple[tuple[str, str], ...], asked: int
) -> None:
    ready: list[Deployment] = []
    one, found = node(strangers)
    vault = surveying._Vault(values(), cast(Any, "a login"), found.checks[0])

    def ask(nodes: Sequence[Deployment], *_: object) -> surveying._Registries:
        ready.extend(nodes)
        return surveying._Registries(VERSION)

    monkeypatch.setattr(surveying, "versions", lambda *_: [VERSION])
    monkeypatch.setattr(surveying, "_vault", lambda *_: vault)
    monkeypatch.setattr(surveying, "_look", lambda *_: found)
    monkeypatch.setattr(surveying, "_ask_registries", ask)
    monkeypatch.setattr(surveying, "_checkout", lambda _: UsageError("no git"))
    environment = cast(Environment, SimpleNamespace(root=None, follows=None, apply={}))
    surveying.survey(environment, [one], one.request)
    assert len(ready) == asked


def test_no_flag_deploys_to_it() -> None:
    console = Console(err=io.StringIO())
    assert surveying.require_checks(survey_of(node(())[1]), console, lenient=True) == VERSION
    with pytest.raises(PreflightError, match="/opt is loose"):
        surveying.require_checks(survey_of(node(LOOSE)[1]), console, lenient=True)
