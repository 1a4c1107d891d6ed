"""What the survey does with a host where others could change what is deployed."""

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.config import Environment
from deploy_lib.errors import PreflightError
from deploy_lib.fleet import survey as looking
from deploy_lib.fleet.survey import Survey
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console
from tests.unit.node.test_deployment import deployment
from tests.unit.plan.test_decision import VERSION, values

LOOSE = (("/opt is loose", "chmod go-w /opt"),)


def node(strangers: tuple[tuple[str, str], ...]) -> Deployment:
    made = deployment()
    made.facts = replace(made.facts, strangers=strangers)
    return made


@pytest.mark.parametrize(("strangers", "asked"), [((), 1), (LOOSE, 0)])
def test_no_login_goes_by_way_of_it(
    monkeypatch: pytest.MonkeyPatch, strangers: tuple[tuple[str, str], ...], asked: int
) -> None:
    ready: list[Deployment] = []

    def secrets(_: object, found: Survey) -> None:
        found.values, found.login = values(), cast(Any, "a login")

    monkeypatch.setattr(looking, "versions", lambda *_: [VERSION])
    monkeypatch.setattr(looking, "_secrets", secrets)
    monkeypatch.setattr(looking, "_look", lambda *_: None)
    monkeypatch.setattr(looking, "_registry", lambda _found, nodes, *_: ready.extend(nodes))
    monkeypatch.setattr(looking, "_checkout", lambda _: None)
    one = node(strangers)
    environment = cast(Environment, SimpleNamespace(root=None, default_tag="HEAD"))
    looking.survey(environment, [one], one.request)
    assert len(ready) == asked


def test_no_flag_deploys_to_it() -> None:
    console = Console(err=io.StringIO())
    for strangers in ((), LOOSE):
        found = Survey([node(strangers)], version=VERSION, values=values())
        found.deployments[0].checks[:] = [looking.preflight.ownership(found.deployments[0].facts)]
        if not strangers:
            assert looking.require(found, console, lenient=True) == VERSION
            continue
        with pytest.raises(PreflightError, match="/opt is loose"):
            looking.require(found, console, lenient=True)
