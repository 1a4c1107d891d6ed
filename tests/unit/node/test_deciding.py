"""What is decided for a node before anything is changed."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.errors import PreflightError
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.node import deciding
from deploy_lib.plan.decision import Job
from deploy_lib.release.release import Release
from deploy_lib.values import replace
from tests.unit.node.test_deployment import deployment
from tests.unit.plan.test_decide import VERSION, values

UNTIDY: dict[str, Callable[[Facts], Facts]] = {
    "nothing is recorded": lambda facts: replace(facts, history=()),
    "it was interrupted": lambda facts: replace(
        facts, history=(*facts.history, event("started", Release("r9", "sha-0000009", None, {}, {})))
    ),
    "somebody deploys": lambda facts: replace(facts, machine=replace(facts.machine, locked=True)),
    "its secrets lie who knows where": lambda facts: replace(
        facts,
        containers=(cast(Any, None),),
        history=tuple(replace(e, release=replace(e.release, places=None)) for e in facts.history),
    ),
    "it was rendered for other replicas": lambda facts: facts,
    "it has to be refused": lambda facts: facts,
    "something is to be done": lambda facts: facts,
}


@pytest.mark.parametrize("why", ["", *UNTIDY])
def test_one_look_is_enough_where_everything_is_as_recorded(
    monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    def decide(*_: object) -> object:
        if why == "it has to be refused":
            raise PreflightError("no")
        return SimpleNamespace(plan=SimpleNamespace(nothing=why != "something is to be done"))

    def variables(_: object, __: object, facts: Facts) -> dict[str, str]:
        return {"WORKERS": "2" if why == "it was rendered for other replicas" and facts.history else "1"}

    monkeypatch.setattr(deciding, "decide_version", decide)
    monkeypatch.setattr(Job, "variables", variables)
    node = deployment()
    if why:
        node.facts = UNTIDY[why](node.facts)
    assert node.settle(VERSION, {}, values()) is (not why)
    assert (node.decision is None) is bool(why)


@pytest.mark.parametrize("why", ["", "services", "scraper"])
def test_one_look_is_not_enough_for_some_services_nor_where_a_scraper_is_told(
    monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """What lies beside the services counts, too; and whom to scrape is written under the lock alone."""
    nothing = SimpleNamespace(plan=SimpleNamespace(nothing=True))
    monkeypatch.setattr(deciding, "decide_version", lambda *_: nothing)
    monkeypatch.setattr(Job, "variables", lambda *_: {})
    node = deployment()
    if why == "services":
        node.site = replace(
            node.site, job=replace(node.job, request=replace(node.request, services=("web",)))
        )
    if why == "scraper":
        node.site = replace(node.site, scraper=cast(Any, object()))
    assert node.settle(VERSION, {}, values()) is (not why)
    assert (node.decision is None) is bool(why)


def test_kept_files_are_rendered_once_and_others_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    node, known = deployment(), list[object]()

    def kept(_: object, __: object, ___: object, before: object) -> dict[str, object]:
        known.append(before)
        return {"web": len(known)}

    monkeypatch.setattr(deciding.guard, "kept_services", kept)
    release = node.facts.history[0].release
    for files in ({"compose.yml": "1"}, {"compose.yml": "1"}, {"compose.yml": "2"}):
        wanted = SimpleNamespace(desired=SimpleNamespace(release=replace(release, files=files)))
        node._kept_services(cast(Any, wanted))
    assert known == [None, {"web": 1}, None]
