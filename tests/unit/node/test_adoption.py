"""Adopting: what stops it, and what is said of it."""

from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.compose.labels import DIRECTORY, FILES, PROJECT
from deploy_lib.compose.project import Project
from deploy_lib.compose.service import Service
from deploy_lib.errors import PreflightError
from deploy_lib.host.change.history import event
from deploy_lib.host.look.by_hand import ByHand
from deploy_lib.host.look.facts import Facts
from deploy_lib.node.adoption import look_at_adopted
from deploy_lib.node.site import Site
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release, Version
from deploy_lib.request import Request
from deploy_lib.values import replace
from tests.unit import build
from tests.unit.plan.test_decide import case

WEB = build.container(labels={PROJECT: "shop", DIRECTORY: "/srv/shop", FILES: "/srv/shop/by-hand.yml"})
FACTS = Facts(containers=(WEB,), memory="/run")
MADE = ByHand(
    Project("shop", PurePosixPath("/srv/shop"), ("by-hand.yml",)),
    services={"web": Service("web", Image("h/web", "1"))},
)


def looked(facts: Facts, *, no_rollback: bool = False) -> tuple[Facts, list[str]]:
    said: list[str] = []
    job = replace(case(), request=Request("deploy-shop", no_rollback=no_rollback))
    session = SimpleNamespace(run=lambda *_, **__: SimpleNamespace(stdout="= web h\nweb\nidle\n"))
    site: Any = SimpleNamespace(
        job=job, node=job.node, stack=job.stack, session=session, say=lambda *words: said.append(words[1])
    )
    return look_at_adopted(cast(Site, site), facts, Version("2"), {}), said


def test_files_that_are_gone_stop_a_deployment_that_is_to_go_back() -> None:
    facts = replace(FACTS, by_hand="no such file")
    with pytest.raises(PreflightError) as caught:
        looked(facts)
    said = str(caught.value)
    assert "was started from /srv/shop/by-hand.yml, which Compose does not read now: no such file" in said
    assert "--no-rollback" in said
    assert looked(facts, no_rollback=True)[0].inactive == {"idle"}


def test_a_service_that_is_gone_from_its_files_stops_it_for_nothing_could_start_it_again() -> None:
    more = replace(WEB, id="c2", name="shop-1-jobs-1", service="jobs")
    facts = replace(FACTS, by_hand=MADE, containers=(WEB, more))
    with pytest.raises(PreflightError) as caught:
        looked(facts)
    said = str(caught.value)
    assert "jobs runs here, and is not in /srv/shop/by-hand.yml as these are now" in said
    assert "docker rm -f shop-1-jobs-1" in said
    assert looked(facts, no_rollback=True)[1] == []


def test_containers_that_name_no_files_are_said_to_do_so() -> None:
    with pytest.raises(PreflightError, match="was started from files that its containers do not name"):
        looked(replace(FACTS, by_hand="no such file", containers=(replace(WEB, labels={}),)))


def test_a_paused_container_stops_it_for_nothing_could_go_back_to_that() -> None:
    paused = replace(FACTS, by_hand=MADE, containers=(replace(WEB, state="paused"),))
    with pytest.raises(PreflightError, match="docker unpause shop-1-web-1"):
        looked(paused)
    assert looked(paused, no_rollback=True)[1] == []


def test_what_is_not_exact_is_said() -> None:
    assert looked(replace(FACTS, by_hand=MADE))[1] == []
    (said,) = looked(replace(FACTS, by_hand=replace(MADE, unlike=("web",))))[1]
    assert "web was not made from /srv/shop/by-hand.yml as these are now" in said


def test_what_this_program_has_deployed_is_none_of_it() -> None:
    proven = replace(FACTS, history=(event("proven", Release("r1", "1", None, {}, {})),), by_hand="gone")
    assert looked(proven) == (proven, [])
