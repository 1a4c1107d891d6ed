"""What no two containers can have at once is refused, with what to do about it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy_lib.checks import check_rolling
from deploy_lib.compose.model import read_model
from deploy_lib.compose.mounts import Held
from deploy_lib.config import Stack
from deploy_lib.host.look.facts import Facts
from tests.unit import build

GATEWAY: dict[str, Any] = {"image": "haproxy", "ports": [{"published": "8000", "target": 8000}]}
PORT = {"mode": "ingress", "target": 80, "published": "8080", "protocol": "tcp"}
RANGE = {**PORT, "published": "8080-8090"}


def refused(
    *listed: str, held: tuple[Held, ...] = (), settings: dict[str, Any] | None = None, **services: Any
) -> list[str]:
    """The problems of a stack, with what to do about each.

    Args:
        listed: the rolling services; "web" without any.
        held: what the container of "web" has mounted.
        services: their parts of the rendering.
    """
    given = {"web": {"image": "h/web:1"}, "gateway": GATEWAY, **services}
    facts = Facts(
        services=read_model(json.dumps({"services": given})), containers=(build.container(mounts=held),)
    )
    rolling = [{"service": name} for name in listed or ("web",)]
    node = build.node(**(settings or {}), rolling=Stack(compose=("x",), rolling=rolling).rolling)
    checks = list(check_rolling(node, facts))
    assert {check.result for check in checks} <= {"ok", "failed"}
    return [f"{check.problem} -> {check.hint}" for check in checks if check.result == "failed"]


def test_a_stack_without_rolling_services_is_not_asked() -> None:
    assert list(check_rolling(build.node(), Facts(services=read_model(json.dumps({"services": {}}))))) == []


@pytest.mark.parametrize(
    "web",
    [
        {},
        {"ports": [RANGE]},
        {"ports": [{**PORT, "published": ""}]},
        {"hostname": "web", "networks": {"default": None}},
        {"volumes": [{"type": "bind", "source": "/srv/x", "target": "/x", "read_only": True}]},
        {"volumes": [{"type": "volume", "source": "shared", "target": "/x"}]},
        {"volumes": [{"type": "tmpfs", "target": "/x"}]},
    ],
)
def test_what_two_containers_can_have_is_fine(web: dict[str, Any]) -> None:
    assert refused(web={"image": "h/web:1", **web}) == []


@pytest.mark.parametrize(
    ("web", "problem", "hint"),
    [
        ({"ports": [PORT]}, "web publishes the port 8080", "let its gateway publish 8080"),
        ({"container_name": "w"}, "web has container_name: w", "take it out"),
        ({"network_mode": "host"}, "web has network_mode: host", "a network of its own"),
        ({"network_mode": "service:db"}, "web has network_mode: service:db", "a network of its own"),
        ({"networks": {"default": {"ipv4_address": "10.0.0.9"}}}, "web has ipv4_address in", "take it out"),
        ({"mac_address": "02:42:ac:11:00:03"}, "web has mac_address", "take it out"),
        ({"restart": "no"}, "web ends when it has done its work", "leave it to Compose"),
        ({"image": "postgres:17"}, "web keeps data (PostgreSQL)", "leave it to Compose"),
        ({"networks": {"other": None}}, "no network in common", "the same network"),
        ({"volumes": [{"type": "volume", "target": "/x"}]}, "a volume without a name at /x", "name it"),
    ],
)
def test_what_they_cannot_have_is_refused(web: dict[str, Any], problem: str, hint: str) -> None:
    (found,) = refused(web={"image": "h/web:1", **web})
    assert problem in found
    assert hint in found
    assert "or take web out of [[stacks.shop.rolling]]" in found


def test_a_volume_that_only_the_image_declares_is_seen_in_the_container() -> None:
    (found,) = refused(held=(Held("volume", "0" * 64, "/data"),))
    assert "a volume without a name at /data" in found
    assert refused(held=(Held("volume", "shop_data", "/data"),)) == []


def test_a_service_that_another_is_a_part_of_is_refused() -> None:
    (found,) = refused(probe={"image": "x", "network_mode": "service:web"})
    assert "probe is part of a container of web" in found


def test_data_are_told_by_what_is_done_with_them() -> None:
    data = {"web": {"image": "h/web:1", "volumes": [{"type": "volume", "source": "d", "target": "/d"}]}}
    backup = {"name": "rows", "service": "web", "command": ["a"], "check": ["b"], "restore": ["c"]}
    (found,) = refused(**data, settings={"backups": Stack(compose=("x",), backups=[backup]).backups})
    assert "web keeps data (its data are backed up)" in found
    assert refused(**data) == []


def test_one_gateway_is_told_and_no_more() -> None:
    (found,) = refused(gateway={**GATEWAY, "deploy": {"replicas": 2}})
    assert "has 2 containers, and only one is told" in found


def test_what_a_service_needs_comes_before_it() -> None:
    needs = {"depends_on": {"api": {"condition": "service_started"}}}
    api = {"image": "h/api:1"}
    (found,) = refused("web", "api", web={"image": "h/web:1", **needs}, api=api)
    assert "web needs api, which comes after it" in found
    assert refused("api", "web", web={"image": "h/web:1", **needs}, api=api) == []
