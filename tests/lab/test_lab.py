import json
import secrets
import shutil
import stat
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy_lib.errors import DeployError
from lab import docker as build
from lab import hosts
from lab.layout import Lab
from lab.up import down, up

from .conftest import HOSTS, NODES, ROOT, command

NFS_IMAGE = "registry.ktrdr.internal:5443/ktrdr/ktrdr-nfs-server:6.5-1"


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def everything(lab: Lab) -> str:
    """Every container, volume and network with this lab's prefix."""
    lists = (
        ("ps", "-a", "--format", "{{.Names}}"),
        ("volume", "ls", "-q"),
        ("network", "ls", "--format", "{{.Name}}"),
    )
    return "\n".join(
        sorted(line for words in lists for line in build.run(*words).splitlines() if lab.prefix in line)
    )


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
    assert core["ssh_port"] == lab.ports["core:22"]
    assert core["container"] == lab.container("core")
    assert status["registry"]["name"] == "registry.ktrdr.internal:5443"
    assert status["registry"]["port"] == lab.ports["registry"]
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
    build.run("kill", lab.container("B"))
    build.run("kill", lab.container("mirror"))
    assert not hosts.host_answers(lab, "B")
    up(ROOT, lambda _: None)
    assert hosts.host_answers(lab, "B")


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_sshd_and_dockerd_come_back_by_themselves(lab: Lab, signal: str) -> None:
    def pids() -> set[str]:
        return set(hosts.execute(lab, "B", "sh", "-c", "pgrep -x dockerd; pgrep -xo sshd").split())

    before = pids()
    assert len(before) == 2
    hosts.execute(lab, "B", "pkill", f"-{signal}", "-x", "dockerd")
    hosts.execute(lab, "B", "pkill", f"-{signal}", "-xo", "sshd")
    until(lambda: hosts.host_answers(lab, "B") and len(pids()) == 2 and not pids() & before)


@pytest.mark.full
def test_a_host_that_runs_but_does_not_answer_is_restarted(lab: Lab) -> None:
    hosts.execute(lab, "B", "pkill", "-STOP", "-x", "dockerd")
    said: list[str] = []
    up(ROOT, said.append)
    assert said == [f"restarting {lab.container('B')}, which runs but does not answer"]
    assert hosts.host_answers(lab, "B")


def test_a_host_that_is_made_anew_keeps_what_was_deployed_to_it(lab: Lab) -> None:
    hosts.execute(lab, "B", "sh", "-c", "mkdir -p /opt/here && docker volume create here")
    build.run("rm", "-f", lab.container("B"))
    up(ROOT, lambda _: None)
    hosts.execute(lab, "B", "sh", "-c", "docker volume rm here && rmdir /opt/here")


@pytest.mark.full
def test_a_mirror_that_lost_its_images_gets_them_again(lab: Lab) -> None:
    build.run("rm", "-f", lab.container("mirror"))
    build.run("volume", "rm", lab.container("mirror"))
    up(ROOT, lambda _: None)
    with urllib.request.urlopen(f"http://{lab.mirror}/v2/grafana/grafana/tags/list", timeout=10) as answer:
        assert json.load(answer)["tags"] == ["11.6.1"]


def test_nothing_is_published_beyond_this_machine(lab: Lab) -> None:
    for name in (*NODES, "registry", "mirror"):
        ports = json.loads(
            build.run(
                "container", "inspect", "--format", "{{json .HostConfig.PortBindings}}", lab.container(name)
            )
        )
        assert ports
        assert {binding["HostIp"] for bindings in ports.values() for binding in bindings} == {"127.0.0.1"}


def test_hosts_and_the_containers_in_them_find_each_other_by_name(lab: Lab) -> None:
    for host in NODES.values():
        hosts.execute(lab, "C", "getent", "hosts", host)
    image = "python:3.13-slim-trixie"
    script = (
        "docker network create names >/dev/null; "
        f"docker run --rm --network names {image} getent hosts ktrdr-core.internal; "
        "found=$?; docker network rm names >/dev/null; exit $found"
    )
    hosts.execute(lab, "C", "sh", "-c", script)


def test_what_a_worker_s_host_writes_lies_where_core_s_nfs_server_exports_it(lab: Lab) -> None:
    name = f"try-{secrets.token_hex(4)}"
    hosts.execute(lab, "B", "sh", "-c", f"echo shared > {HOSTS['B'].shared}/{name}")
    try:
        assert hosts.execute(lab, "C", "cat", f"{HOSTS['C'].shared}/{name}") == "shared\n"
        script = f"docker run --rm -v ktrdr-core_shared_data:/v python:3.13-slim-trixie cat /v/{name}"
        assert hosts.execute(lab, "core", "sh", "-c", script) == "shared\n"
    finally:
        hosts.execute(lab, "B", "rm", f"{HOSTS['B'].shared}/{name}")


@pytest.mark.full
@pytest.mark.takes(60)
def test_another_checkout_has_another_lab_and_leaves_nothing_behind(lab: Lab, tmp_path: Path) -> None:
    before, ours = ids(lab), everything(lab)
    for name in ("deploy.toml", "lab.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("compose", "docker/nfs-server", "docker/gateway", "lab/recipes"):
        shutil.copytree(ROOT / name, tmp_path / name)
    other = up(tmp_path, lambda _: None)
    try:
        said: list[str] = []
        up(tmp_path, said.append)
        assert said == []
        assert not set(other.ports.values()) & set(lab.ports.values())
        assert all(hosts.host_answers(other, node) for node in NODES)
        hosts.execute(other, "core", "docker", "volume", "create", "here")
        # A folder that was deleted takes its passwords along: the volumes that know them are of no use.
        shutil.rmtree(other.directory)
        other = up(tmp_path, said.append)
        assert "removing what is left of an earlier lab whose folder is gone" in said
        assert "here" not in hosts.execute(other, "core", "docker", "volume", "ls", "-q")
        assert len(everything(other).splitlines()) == 5 + (2 + 2 * len(NODES)) + 2
        mixed = tmp_path / "ssh_config"
        mixed.write_text(other.ssh_config.read_text().replace(f"{other.directory}/id", f"{lab.directory}/id"))
        command_line = ["ssh", "-F", str(mixed), "-o", "BatchMode=yes", NODES["core"], "true"]
        refused = subprocess.run(command_line, capture_output=True, text=True)
        assert "Permission denied" in refused.stderr
    finally:
        down(tmp_path, lambda _: None)
    assert everything(other) == ""
    assert [path.name for path in (tmp_path / ".lab").iterdir()] in ([], ["dockerd.log"])
    assert (ids(lab), everything(lab)) == (before, ours)


def test_secrets_are_readable_by_their_owner_only(lab: Lab) -> None:
    assert stat.S_IMODE(lab.secrets.stat().st_mode) == 0o600
    assert stat.S_IMODE(lab.directory.stat().st_mode) == 0o700


def test_public_images_come_from_the_mirror_with_a_digest(lab: Lab) -> None:
    image = "prom/prometheus:v2.53.5"
    hosts.execute(lab, "C", "docker", "pull", "-q", image)
    digests = hosts.execute(lab, "C", "docker", "image", "inspect", "--format", "{{.RepoDigests}}", image)
    assert "prom/prometheus@sha256:" in digests


def test_the_private_registry_wants_a_password(lab: Lab) -> None:
    with pytest.raises(DeployError, match=r"no basic auth|unauthorized|authentication required"):
        hosts.execute(lab, "C", "docker", "pull", "-q", NFS_IMAGE)


def test_the_private_registry_knows_its_user_and_no_other_password(lab: Lab) -> None:
    password = json.loads(lab.secrets.read_text())["ghcr_token"]
    script = """
        export DOCKER_CONFIG=$(mktemp -d -p /dev/shm)
        trap 'rm -rf "$DOCKER_CONFIG"' EXIT
        docker login -u lab --password-stdin registry.ktrdr.internal:5443 && docker pull -q "$0"
    """
    with pytest.raises(DeployError, match="401 Unauthorized"):
        hosts.execute(lab, "C", "sh", "-c", script, NFS_IMAGE, stdin=b"another password")
    assert NFS_IMAGE in hosts.execute(lab, "C", "sh", "-c", script, NFS_IMAGE, stdin=password.encode())


def test_no_secret_stands_in_what_docker_knows_of_the_lab(lab: Lab) -> None:
    values = [v for k, v in json.loads(lab.secrets.read_text()).items() if k != "db_username"]
    containers = [lab.container(name) for name in (*NODES, "registry", "mirror")]
    images = build.run("image", "ls", "-q", "--filter", f"label={build.LABEL}").split()
    known = build.run("inspect", *containers) + "".join(
        build.run("history", "--no-trunc", image) for image in set(images)
    )
    assert lab.container("core") in known
    assert not any(value in known for value in values)


def test_the_hosts_published_ports_are_free_for_the_stacks(lab: Lab) -> None:
    taken = hosts.execute(lab, "C", "ss", "-Hltn")
    assert not any(f":{port} " in taken for port in HOSTS["C"].ports)
