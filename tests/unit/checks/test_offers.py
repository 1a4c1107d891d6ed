"""What a service asks of its host and the host has not is named before anything is changed, with what to do."""

import json
from typing import Any

import pytest

from deploy_lib.checks.offers import check_offers
from deploy_lib.compose.model import read_model
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.machine import Machine
from deploy_lib.host.look.offers import Offers
from deploy_lib.values import replace

OFFERS = Offers(
    cpus=4,
    memory=8 * 1024**3,
    runtimes=frozenset({"runc", "io.containerd.runc.v2"}),
    networks={"bridge": "", "proxy": ""},
    volumes=frozenset({"photos"}),
    devices=frozenset({"/dev/dri"}),
    drivers=frozenset(),
)
GPU = {
    "deploy": {
        "resources": {
            "reservations": {"devices": [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]}
        }
    }
}


def facts(spec: dict[str, Any], offers: Offers | None = OFFERS, **top: Any) -> Facts:
    model = json.dumps({"services": {"web": {"image": "i", **spec}}, **top})
    return Facts(platform="linux/amd64", services=read_model(model), machine=Machine(offers=offers))


def external(kind: str, name: str) -> dict[str, Any]:
    return {kind: {"shared": {"name": name, "external": True}}}


MOUNT = {"volumes": [{"type": "volume", "source": "shared", "target": "/x"}]}


@pytest.mark.parametrize(
    ("found", "name", "problem", "hint"),
    [
        (facts({"image": "", "build": {"context": "."}}), "images", "web has no image:, only build:", "push it, and name it"),
        (facts({"pull_policy": "build"}), "images", "web has pull_policy: build", "take pull_policy: build out"),
        (facts({"platform": "linux/arm64"}), "platforms", "web is for linux/arm64, and the host is linux/amd64", "platform: out"),
        (
            facts({"networks": {"shared": None}}, **external("networks", "edge")),
            "external networks and volumes", "there is no network edge", "on the host: docker network create edge",
        ),
        (
            facts(MOUNT, **external("volumes", "it's data")),
            "external networks and volumes", "there is no volume it's data", """docker volume create 'it'"'"'s data'""",
        ),
        (facts({"devices": [{"source": "/dev/ttyUSB0", "target": "/dev/x"}]}), "devices", "there is no /dev/ttyUSB0, which web gets", "ls -l /dev/ttyUSB0"),
        (facts({"devices": ["/dev/ttyUSB0:/dev/x:rwm"]}), "devices", "there is no /dev/ttyUSB0", "plugged in"),
        (facts(GPU), "device drivers", "web reserves a device of the driver nvidia, which this host has not", "nvidia-ctk runtime configure"),
        (facts({"gpus": [{"count": -1}]}), "device drivers", "the driver nvidia", "Toolkit"),
        (facts({"blkio_config": {"weight": 300, "device_read_bps": [{"path": "/dev/sdz", "rate": "1"}]}}), "devices", "there is no /dev/sdz", "plugged in"),
        (facts({"deploy": {"resources": {"reservations": {"devices": [{"driver": "cdi", "capabilities": ["x"]}]}}}}), "device drivers", "the driver cdi", "leave the reservation out"),
        (facts({"runtime": "nvidia"}), "runtimes", "web asks for the runtime nvidia", "daemon.json; there are io.containerd.runc.v2, runc"),
        (facts({"cpus": 4.5}), "CPUs", "web asks for 4.5; the host has 4", "lower cpus:"),
        (facts({"deploy": {"resources": {"limits": {"cpus": "8"}}}}), "CPUs", "web asks for 8", "lower cpus:"),
        (facts({"cpuset": "0-2,4"}), "CPUs", "web asks for number 0-2,4", "cpuset:"),
    ],
)  # fmt: skip
def test_each_has_a_line_of_its_own(found: Facts, name: str, problem: str, hint: str) -> None:
    (check,) = (check for check in check_offers(found) if check.result != "ok")
    assert (check.name, check.result) == (name, "failed")
    assert problem in check.problem
    assert hint in check.hint


@pytest.mark.parametrize(
    "spec",
    [
        {"platform": "linux/amd64"},
        {"platform": "linux/x86_64"},
        {"cpus": 4, "cpuset": "0-3", "mem_limit": str(2 * 1024**3)},
        {"devices": [{"source": "/dev/dri", "target": "/dev/dri"}, {"source": "vendor.example/class=one"}]},
        {"runtime": "io.containerd.kata.v2"},
        {"networks": {"default": None}, **MOUNT},
        {"deploy": {"replicas": 0, **GPU["deploy"]}},
        {"pull_policy": "always"},
    ],
)
def test_what_is_there_is_fine(spec: dict[str, Any]) -> None:
    found = facts(spec, **external("volumes", "photos"), networks={"default": {"name": "web_default"}})
    assert {check.result for check in check_offers(found)} <= {"ok"}


def test_an_external_network_of_a_swarm_may_be_there_although_its_node_does_not_list_it() -> None:
    used = {**MOUNT, "networks": {"shared": None, "edge": None}}
    top = external("volumes", "shared") | {
        "networks": {name: {"name": name, "external": True} for name in ("shared", "edge")}
    }
    node = replace(OFFERS, swarm=True, networks={"edge": ""})
    failed, warned = check_offers(facts(used, node, **top))
    assert (failed.result, failed.hint) == ("failed", "on the host: docker volume create shared")
    assert warned.result == "warning"
    assert warned.problem.startswith("this node of a swarm does not list the network shared, which")
    assert warned.hint.endswith("docker network create -d overlay --attachable shared")


def test_a_memory_limit_that_never_takes_effect_is_no_reason_not_to_deploy() -> None:
    (check,) = (c for c in check_offers(facts({"mem_limit": str(16 * 1024**3)})) if c.result != "ok")
    assert (check.name, check.result) == ("memory limits", "warning")
    assert check.problem == "web asks for 16384 MiB; the host has 8192"


def test_a_driver_that_is_there_is_fine_and_what_is_unknown_is_not_taken_for_absent() -> None:
    nvidia = Offers(cpus=4, drivers=frozenset({"nvidia"}))
    assert [(check.name, check.result) for check in check_offers(facts(GPU, nvidia))] == [
        ("device drivers", "ok")
    ]
    assert not list(check_offers(facts(GPU, None)))
