import json
import stat
import subprocess

import pytest

from deploy_lib import build
from deploy_lib.errors import DeployError
from lab import hosts
from lab.layout import NODES, Lab
from lab.up import up

from .conftest import ROOT, command


def ids(lab: Lab) -> dict[str, str]:
    names = [lab.container(name) for name in (*NODES, "registry", "mirror")]
    return {
        name: build.run("container", "inspect", "--format", "{{.Id}} {{.State.StartedAt}}", name)
        for name in names
    }


def test_status_tells_hosts_ports_and_what_is_only_a_stand_in(lab: Lab) -> None:
    status = json.loads(command("invoke", "lab.status", "--json").out)
    assert set(status["nodes"]) == {"core", "B", "C"}
    core = status["nodes"]["core"]
    assert core["host"] == "ktrdr-core.internal"
    assert core["running"]
    assert set(core["ports"]) == {"8000", "9090", "3000", "16686"}
    assert status["images"]["timescale/timescaledb:2.19.3-pg17"] in ("pulled", "built")
    if status["images"]["grafana/grafana:11.6.1"] != "pulled":
        assert "stand-in" in command("invoke", "lab.status").out


def test_every_host_is_reached_by_its_own_name_with_a_verified_key(lab: Lab) -> None:
    for host in NODES.values():
        done = subprocess.run(
            ["ssh", "-F", str(lab.ssh_config), "-o", "BatchMode=yes", host, "hostname"],
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == host, done.stderr


def test_a_second_up_changes_nothing(lab: Lab) -> None:
    before = ids(lab)
    said: list[str] = []
    up(ROOT, said.append)
    assert said == []
    assert ids(lab) == before


def test_a_host_that_was_killed_comes_back(lab: Lab) -> None:
    hosts.execute(lab, "B", "sh", "-c", "test -s /var/run/docker.pid")
    build.run("kill", lab.container("B"))
    build.run("kill", lab.container("mirror"))
    up(ROOT, lambda _: None)
    assert hosts.host_answers(lab, "B")


def test_secrets_are_readable_by_their_owner_only(lab: Lab) -> None:
    assert stat.S_IMODE(lab.secrets.stat().st_mode) == 0o600
    assert stat.S_IMODE(lab.directory.stat().st_mode) == 0o700


def test_public_images_come_from_the_mirror_with_a_digest(lab: Lab) -> None:
    image = "prom/prometheus:v2.53.5"
    hosts.execute(lab, "C", "docker", "pull", "-q", image)
    digests = hosts.execute(lab, "C", "docker", "image", "inspect", "--format", "{{.RepoDigests}}", image)
    assert "prom/prometheus@sha256:" in digests


def test_the_private_registry_wants_a_password(lab: Lab) -> None:
    image = "registry.ktrdr.internal:5443/ktrdr/ktrdr-nfs-server:6.5-1"
    with pytest.raises(DeployError, match=r"no basic auth|unauthorized|authentication required"):
        hosts.execute(lab, "C", "docker", "pull", "-q", image)
