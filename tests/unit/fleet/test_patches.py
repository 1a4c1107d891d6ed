"""Images of the operator's own: which nodes take part, which version is patched, and what each host is found to lack."""

import json
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.compose.model import read_model
from deploy_lib.errors import UsageError
from deploy_lib.fleet import patches
from deploy_lib.fleet.patches import Packer, base, choose, without_patched
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.layers import Stock
from deploy_lib.host.look.machine import Machine
from deploy_lib.node.deployment import Deployment
from deploy_lib.plan.decide import decide_version
from deploy_lib.release.content import Layer, sha256
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release, Version
from deploy_lib.source.archive import Archive
from deploy_lib.source.offer import Offer
from deploy_lib.values import replace
from tests.unit import sample
from tests.unit.made import config, saved, tar
from tests.unit.node.test_deployment import deployment
from tests.unit.plan.test_decide import VERSION, values

NOTHING = Stock()
PLAIN = [b"base", b"top"]
DIGEST = sha256(config(PLAIN))


@pytest.fixture
def offers(tmp_path: Path) -> list[Offer]:
    path = tmp_path / "web.tar"
    path.write_bytes(tar(saved(PLAIN)))
    opening: Future[Archive] = Future()
    opening.set_result(Archive(path.open("rb")))
    return [Offer("x", str(path), opening)]


def named(name: str, offers: Sequence[Offer], **request: object) -> Deployment:
    made = deployment()
    job = made.site.job
    node = job.node.model_copy(update={"name": name})
    job = replace(job, node=node, request=replace(job.request, **request))
    made.site = replace(made.site, job=job, offers=offers)
    return made


def facts(image: str = "h/x:2", *, tag: str = "", free: int = 2**40) -> Facts:
    release = Release("r1", tag, "c" * 40, {}, {})
    return Facts(
        platform="linux/amd64",
        services=read_model(json.dumps({"services": {"web": {"image": image}, "db": {"image": "postgres"}}})),
        history=(event("proven", release),) if tag else (),
        machine=Machine(free={"docker": free, "directory": free}),
    )


def test_nodes_where_nothing_uses_it_are_left_out_by_name(offers: list[Offer]) -> None:
    nodes = [named("core", offers), named("B", offers), named("off", offers)]
    chosen = choose(nodes, {"core": facts(), "B": facts("h/y:1"), "off": Facts()})
    # One that does not answer is no such node: its checks say what it is.
    assert [d.node.name for d in chosen.taking] == ["core", "off"]
    assert chosen.left_out == "not taking part: B (no service there uses x)"
    assert list(chosen.services["core"]) == ["web"]
    assert choose([named("core", ())], {"core": facts()}).left_out == ""


def test_an_image_that_nothing_uses_is_a_mistake(offers: list[Offer]) -> None:
    with pytest.raises(UsageError, match="no service that is deployed is x") as raised:
        choose([named("core", offers)], {"core": facts("h/xy:1")})
    assert "xy" in str(raised.value.hint)
    with pytest.raises(UsageError, match="no service"):
        choose([named("core", offers, services=("db",))], {"core": facts()})


def test_what_runs_is_patched_where_no_version_is_named(offers: list[Offer]) -> None:
    nodes, house = [named("core", offers), named("B", offers)], sample.house()

    def found(*tags: str) -> dict[str, Facts]:
        return {d.node.name: facts(tag=tag) for d, tag in zip(nodes, tags, strict=True)}

    one = found("sha-1", "sha-1")
    chosen = choose(nodes, one)
    assert base(house, chosen, one, None) == Version("sha-1", "c" * 40)
    assert base(house, chosen, one, "sha-2") is None
    assert base(house, chosen, found("", ""), None) is None
    assert base(house, choose([named("core", ())], one), one, None) is None
    with pytest.raises(UsageError, match="sha-2 on B, sha-1 on core"):
        base(house, chosen, found("sha-1", "sha-2"), None)


def packed(
    offers: list[Offer], monkeypatch: pytest.MonkeyPatch, stock: Stock = NOTHING, **more: Any
) -> tuple[Deployment, Facts, list[Any]]:
    monkeypatch.setattr(patches, "ask_stock", lambda session: stock)
    monkeypatch.setattr(patches, "ask_packed", lambda *_: more.pop("layers", ()))
    node, found = named("core", offers), replace(facts(), **more)
    chosen = choose([node], {"core": found})
    return node, found, Packer(chosen).pack(node, found)


def test_a_node_is_told_what_it_gets(offers: list[Offer], monkeypatch: pytest.MonkeyPatch) -> None:
    node, found, checks = packed(offers, monkeypatch)
    assert node.job.patches["web"].image == Image.parse(DIGEST)
    assert node.job.patched == {"web": f"web.tar {DIGEST}"}
    assert [delivery.shipment.lacking != () for delivery in node.site.deliveries] == [True]
    assert {check.result for check in checks} == {"ok"}
    assert checks[0].found == "web.tar: 2 of 2 layers, 7 B of 7 B"
    assert set(without_patched(found, node).services) == {"db"}


def test_containerds_store_is_asked_how_its_layers_are_packed(
    offers: list[Offer], monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = Stock(True, {"sha256:i": (sha256(PLAIN[0]),)})
    monkeypatch.setattr(patches, "ask_stock", lambda session: stock)
    monkeypatch.setattr(
        patches, "ask_packed", lambda *_: (Layer(sha256(PLAIN[0]), sha256(b"packed"), 6, "gzip"),)
    )
    node = named("core", offers)
    Packer(choose([node], {"core": facts()})).pack(node, facts())
    (delivery,) = node.site.deliveries
    assert [each.digest for each in delivery.shipment.lacking] == [sha256(PLAIN[1])]
    assert str(node.job.patches["web"].image) != DIGEST


def test_an_image_for_another_platform_is_said_and_nothing_else_is_deployed(
    offers: list[Offer], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _, (check,) = packed(offers, monkeypatch, platform="linux/arm64")
    assert (check.result, check.problem) == ("failed", "web.tar is for linux/amd64, the host is linux/arm64")
    assert node.job.patches == {}


def test_room_is_wanted_for_what_is_sent(offers: list[Offer], monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, checks = packed(offers, monkeypatch, machine=Machine(free={"docker": 5, "directory": 5}))
    assert [check.name for check in checks if check.result == "failed"] == [
        "space for shipped images",
        "space for shipped files",
    ]
    whole = Stock(False, {DIGEST: tuple(sha256(each) for each in PLAIN)})
    _, _, checks = packed(offers, monkeypatch, whole, machine=Machine(free={"docker": 5, "directory": 5}))
    assert [check.found for check in checks] == ["web.tar: the host has it"]


def test_a_damaged_layer_stops_it_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "web.tar"
    path.write_bytes(tar({**saved(PLAIN), f"{1:064d}/layer.tar": b"tip"}))
    opening: Future[Archive] = Future()
    opening.set_result(Archive(path.open("rb")))
    with pytest.raises(UsageError, match=r"--image x=.*web\.tar: the layer .* is damaged"):
        packed([Offer("x", str(path), opening)], monkeypatch)


def test_a_release_is_pinned_to_it_and_no_registry_is_asked(
    offers: list[Offer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patches, "ask_stock", lambda session: Stock())
    node = named("core", offers)
    found = node.facts
    Packer(choose([node], {"core": found})).pack(node, replace(found, platform="linux/amd64"))
    decision = decide_version(node.job, found, VERSION, {}, values(), "k" * 64)
    plan, release = decision.plan, decision.plan.desired.release
    assert (str(release.images["web"]), release.title) == (DIGEST, f"a patch of {VERSION.tag}")
    assert (plan.pulls, plan.ships) == ((), (Image.parse(DIGEST),))
    assert f"image: {DIGEST}" in plan.desired.files["release.yml"].decode()
    assert Release.from_dict(json.loads(json.dumps(release.as_dict()))).patches == release.patches
    # Where the host has it by now, there is nothing to ship.
    there = replace(found, image_ids=frozenset({DIGEST}))
    assert decide_version(node.job, there, VERSION, {}, values(), "k" * 64).plan.ships == ()


def test_a_host_without_an_engine_is_asked_nothing(offers: list[Offer]) -> None:
    node = named("core", offers)
    node.site = replace(node.site, session=cast(Any, SimpleNamespace()))
    assert Packer(choose([node], {"core": facts()})).pack(node, replace(facts(), platform="")) == []
