"""The table of docs/compose.md: it has every construct of the Compose specification, and each is judged as it says.

`renderings.json` has what `docker compose config --format json` of two versions makes of the examples, in /srv/constructs; or its words.
"""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from deploy_lib.checks import check_constructs, check_exposure, check_variables
from deploy_lib.checks.check import Check
from deploy_lib.checks.offers import check_offers
from deploy_lib.compose.existing import differences
from deploy_lib.compose.model import read_model
from deploy_lib.compose.service import Made
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.machine import Machine
from deploy_lib.host.look.offers import Offers, read_offers
from deploy_lib.values import replace
from tests import ROOT
from tests.constructs import CASES, SPECIFICATION, lacking
from tests.unit import sample

DOCUMENT = ROOT / "docs" / "compose.md"
RENDERINGS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("renderings.json").read_text())
OLD, NEW = RENDERINGS
ENGINES = {OLD: "26.1.5", NEW: "28.5"}
HOME = PurePosixPath("/srv/constructs")

OFFERS = Offers(
    cpus=2,
    memory=8 << 30,
    runtimes=frozenset({"runc"}),
    absent=frozenset({"/nowhere/at/all", "/nowhere/else", "/nowhere/p.json"}),
    plugins=frozenset({"log/json-file", "any/loki:latest", "volume/local", "network/bridge"}),
    containers={"constructs-other": ""},
)


def facts(rendering: dict[str, Any], compose: str, engine: str = "28.5", offers: Offers = OFFERS) -> Facts:
    model = read_model(json.dumps(rendering), str(HOME))
    return Facts(
        platform="linux/amd64", compose=compose, engine=engine, services=model, machine=Machine(offers=offers)
    )


def judged(found: Facts) -> list[Check]:
    node = sample.house().nodes["front"]
    checks = [
        *check_offers(found),
        check_variables(node, found, {}),
        *check_exposure(node, found.services),
        *check_constructs(node, "p", found),
    ]
    return [check for check in checks if check.result != "ok"]


def rows() -> dict[str, str]:
    """What becomes of each construct, from the table."""
    text = DOCUMENT.read_text().partition("## Every construct")[2].partition("\n## ")[0]
    return dict(
        re.findall(
            r"^\| ((?:version|name|include|services|models|networks|volumes|configs|secrets)\b[^|]*) \| (.*) \|$",
            text,
            re.MULTILINE,
        )
    )


def test_the_table_has_every_key_of_the_specification() -> None:
    assert lacking(SPECIFICATION) == []
    assert list(rows()) == list(CASES)
    # A key that nobody has thought of would be found.
    assert lacking([*SPECIFICATION, "services.new", "networks.new.key"]) == [
        "services.new",
        "networks.new.key",
    ]


@pytest.mark.parametrize("construct", CASES)
def test_the_table_says_what_is_printed(construct: str) -> None:
    case, said = CASES[construct], rows()[construct]
    begins = {
        "taken": "taken",
        "refused": "refused: ",
        "ignored": "taken, without effect: ",
        "Compose": "refused by Compose",
        "Engine": "taken; ",
    }
    assert said.startswith(begins[case.verdict])
    for line in filter(None, (case.line, case.later)):
        assert f"`{line}`" in said or f"`` {line} ``" in said


JUDGED = [construct for construct, case in CASES.items() if case.verdict in ("refused", "ignored")]


@pytest.mark.parametrize("construct", JUDGED)
@pytest.mark.parametrize("version", RENDERINGS)
def test_each_has_its_line_with_every_version_that_does_not_do_it(construct: str, version: str) -> None:
    case, rendering = CASES[construct], RENDERINGS[version][construct]
    dropped = frozenset({"gw_priority"} if "gw_priority" in construct else ())
    found = judged(facts(rendering, version, ENGINES[version], replace(OFFERS, dropped=dropped)))
    needs = " needs Compose " in case.line and version == NEW
    lines = [check.problem for check in found]
    assert any(case.line in line for line in lines) is not needs, lines
    wanted = "warning" if case.verdict == "ignored" else "failed"
    assert all(check.result == wanted for check in found if case.line in check.problem)
    assert all(check.hint for check in found)


@pytest.mark.parametrize("construct", [c for c, case in CASES.items() if case.verdict == "Compose"])
def test_what_only_a_newer_compose_knows_has_a_line_where_it_is_not_kept(construct: str) -> None:
    case = CASES[construct]
    assert case.line in RENDERINGS[OLD][construct]
    rendering = RENDERINGS[NEW][construct]
    if isinstance(rendering, str):
        assert case.line in rendering
        return
    lines = [check.problem for check in judged(facts(rendering, NEW))]
    assert any(case.later in line for line in lines) if case.later else not lines


def test_an_engine_that_would_ignore_a_name_of_an_interface_is_told() -> None:
    rendering = RENDERINGS[NEW]["services.networks.interface_name"]
    (check,) = judged(facts(rendering, NEW, "28.0.4"))
    assert check.problem == (
        "interface_name of web in the network default needs Engine 28.1: this host's Engine 28.0.4 takes it and does nothing"
    )


@pytest.mark.parametrize(("version", "refused"), [("2.24.3", True), ("2.24.4", False)])
def test_what_replaces_by_a_tag_needs_a_compose_that_knows_it(version: str, refused: bool) -> None:
    rendering = {"services": {"web": {"image": "x"}}}
    node = sample.house().nodes["front"]
    own = check_constructs(
        node, "p", facts(rendering, version, offers=replace(OFFERS, dropped=frozenset({"!override"})))
    )
    alone = check_constructs(node, "p", facts(rendering, version), alone=True)
    for begin, found in (("!override in a Compose file", own), ("--service, which", alone)):
        problems = [check.problem for check in found if check.result == "failed"]
        assert bool(problems) is refused
        assert not refused or (
            problems[0].startswith(begin)
            and "needs Compose 2.24.4: this host's Compose 2.24.3" in problems[0]
        )


def test_both_versions_are_named_where_both_are_too_old() -> None:
    rendering = RENDERINGS[NEW]["networks.enable_ipv4"]
    (check,) = judged(facts(rendering, "2.40.3", "26.1.5+dfsg1"))
    assert (
        check.problem
        == "enable_ipv4 of the network web-n needs Engine 28.0: this host's Engine 26.1.5+dfsg1 takes it and does nothing"
    )
    assert check.hint == "update to Engine 28.0 or later, or take it out"
    (check,) = judged(facts(rendering, "2.26.1", "26.1"))
    assert "needs Compose 2.33.1, Engine 28.0: this host's Compose 2.26.1, Engine 26.1 takes" in check.problem
    assert judged(facts(rendering, "", "")) == []


def test_secrets_as_files_can_be_in_a_service_that_is_read_only(tmp_path: Path) -> None:
    found = facts(RENDERINGS[NEW]["services.read_only with a secret"], NEW)
    node = sample.node(tmp_path)
    memory = node.model_copy(update={"stack": node.stack.model_copy(update={"delivery": "memory"})})
    assert [c.name for c in check_constructs(node, "p", found)] == ["constructs"]
    assert list(check_constructs(memory, "p", found)) == []
    spec = {"image": "i", "secrets": [{"source": "s", "mode": "0400"}]}
    owned = facts({"services": {"web": spec}, "secrets": {"s": {"environment": "TOKEN"}}}, NEW)
    assert list(check_constructs(node, "p", owned)) == []
    (check,) = check_constructs(memory, "p", owned)
    assert check.result == "warning"
    assert "mode of the secret s of web (its file is mounted as it lies there)" in check.problem


def test_what_is_unknown_is_not_taken_for_absent() -> None:
    rendering = RENDERINGS[NEW]["services.logging.driver that the engine has not"]
    assert judged(facts(rendering, NEW, offers=Offers())) == []
    loki = json.loads(json.dumps(rendering).replace("nowhere", "loki"))
    assert judged(facts(loki, NEW)) == []


NETWORK = {
    "Name": "n", "Driver": "bridge", "Options": {"com.docker.network.driver.mtu": "1400", "of.the.engine": "x"}, "Internal": True, "Attachable": False,
    "EnableIPv6": False, "IPAM": {"Driver": "default", "Config": [{"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.1"}]}, "Labels": {"a": "b", "com.docker.compose.project": "p"},
}  # fmt: skip
VOLUME = {
    "Name": "v",
    "Driver": "local",
    "Options": {"type": "none", "o": "bind", "device": f"{HOME}/data"},
    "Labels": {"a": "b"},
}


@pytest.mark.parametrize(
    ("spec", "keys"),
    [
        ({"internal": True}, []),
        ({"internal": True, "driver": "bridge", "enable_ipv6": False, "labels": {"a": "b"}, "driver_opts": {"com.docker.network.driver.mtu": "1400"}}, []),
        ({"internal": True, "ipam": {"config": [{"subnet": "10.1.0.0/24"}]}}, []),
        ({}, ["internal"]),
        ({"internal": True, "attachable": True}, ["attachable"]),
        ({"internal": True, "driver": "macvlan", "enable_ipv6": True}, ["driver", "enable_ipv6"]),
        ({"internal": True, "driver_opts": {"com.docker.network.driver.mtu": "1500"}}, ["driver_opts"]),
        ({"internal": True, "ipam": {"config": [{"subnet": "10.2.0.0/24"}]}}, ["ipam"]),
        ({"internal": True, "ipam": {"driver": "dhcp"}}, ["ipam"]),
        ({"internal": True, "labels": {"a": "c"}}, ["labels"]),
    ],
)  # fmt: skip
def test_a_network_is_compared_by_what_the_file_says(spec: dict[str, Any], keys: list[str]) -> None:
    assert differences(Made("network", "n", "n", spec), NETWORK, HOME) == keys
    # Whose label tells a newer Compose that it has changed, that makes it anew.
    known = {**NETWORK, "Labels": {"com.docker.compose.config-hash": "x"}}
    assert differences(Made("network", "n", "n", spec), known, HOME) == []


@pytest.mark.parametrize(
    ("spec", "keys"),
    [
        ({"driver_opts": {"type": "none", "o": "bind", "device": "data"}, "labels": {"a": "b"}}, []),
        ({"driver_opts": {"type": "none", "o": "bind", "device": "other"}}, ["driver_opts"]),
        ({}, ["driver_opts"]),
        ({"driver": "nfs", "driver_opts": {"type": "none", "o": "bind", "device": "data"}, "labels": {"c": "d"}}, ["driver", "labels"]),
    ],
)  # fmt: skip
def test_a_volume_is_compared_with_all_that_it_was_made_with(spec: dict[str, Any], keys: list[str]) -> None:
    assert differences(Made("volume", "v", "v", spec), VOLUME, HOME) == keys


def test_a_difference_has_a_way_out() -> None:
    rendering = {
        "services": {"web": {"image": "i", "networks": {"n": None}, "volumes": [{"type": "volume", "source": "v", "target": "/x"}]}},
        "networks": {"n": {"name": "n"}}, "volumes": {"v": {"name": "v"}},
    }  # fmt: skip
    found = judged(
        facts(rendering, NEW, offers=replace(OFFERS, made=(("network", NETWORK), ("volume", VOLUME))))
    )
    assert [check.problem for check in found] == [
        "the network n is there with another internal than the file's, and Compose keeps it",
        "the volume v is there with another driver_opts than the file's, and Compose keeps it",
    ]
    assert "docker compose -p p down --remove-orphans" in found[0].hint
    assert "docker volume rm v" in found[1].hint


@pytest.mark.parametrize(
    ("label", "said"), [("", "by somebody else"), ("n", ""), ("m", "for the key m"), (None, "")]
)
def test_a_network_that_compose_would_not_take_is_told(label: str | None, said: str) -> None:
    rendering = {
        "services": {"web": {"image": "x", "networks": {"n": None}}},
        "networks": {"n": {"name": "proxy"}},
    }
    there = {} if label is None else {"proxy": label}
    problems = judged(facts(rendering, NEW, offers=replace(OFFERS, networks=there)))
    assert [check.problem for check in problems] == (
        [f"the network proxy is there, made {said}, and Compose does not take it for n"] if said else []
    )
    assert all(
        "n: {name: proxy, external: true}" in check.hint and check.hint.endswith("docker network rm proxy")
        for check in problems
    )


def test_the_answer_of_a_host_is_read() -> None:
    said = 'swarm inactive\nnetwork proxy=\nnetwork p_n=n\ncpus 2\nabsent /a b\nplugin log/json-file\ndropped gw_priority\ncontainer web,web/alias=shop\ncontainer lone=\nmade volume {"Name": "v"}\n'
    found = read_offers(said)
    assert (found.swarm, found.networks) == (False, {"proxy": "", "p_n": "n"})
    assert found.absent == {"/a b"}
    assert found.plugins == {"log/json-file"}
    assert found.dropped == {"gw_priority"}
    assert found.containers == {"web": "shop", "web/alias": "shop", "lone": ""}
    assert found.made == (("volume", {"Name": "v"}),)
    with pytest.raises((TypeError, ValueError)):
        read_offers("made volume []")


@pytest.mark.parametrize(("named", "name"), [("front", "front"), (None, "p-web-1")])
def test_a_container_of_the_same_stack_is_named_by_its_service(named: str | None, name: str) -> None:
    web = {"image": "x", **({"container_name": named} if named else {})}
    inner = {"image": "x", "network_mode": f"container:{name}"}
    made = facts({"services": {"web": web, "inner": inner}}, "2.26.1")
    (check,) = [each for each in judged(made) if each.name == "other containers"]
    assert f"inner is part of the container {name}, which is that of web" in check.problem
    assert check.hint == f"write service:web in the place of container:{name}"
