"""Projects without a registry of their own, with the host's login, and with several logins."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy_lib.layout import TEMPORARY
from lab import hosts
from lab.layout import Lab

from .projects import HEAD, NODE, Project, project

PUBLIC = """\
[environments.lab]
ssh_config = "{ssh_config}"

[environments.lab.nodes.here]
host = "{host}"
stack = "{name}"
directory = "/opt/{name}"
"""
"""No registry, no secret: nothing that would have to be made up."""

STACK = """\
[stacks.images]
compose = "compose.yml"
project = "images"
healthy_timeout = 60
"""

GATE = "localhost:5999"
SEVERAL = f"""\
[secrets.GATE_PASSWORD]
field = "gate"

[[environments.lab.registries]]
host = "{GATE}"
username = "gatekeeper"
password = "GATE_PASSWORD"
"""

PYTHON = "library/python:3.13-slim-trixie"
KEPT = '{"auths": {"kept.example": {}}, "psFormat": "table {{.ID}}"}'


def compose(more: str = "", **images: str) -> str:
    services = "".join(
        f'  {name}:\n    image: "{image}"\n    command: [sleep, infinity]\n    init: true\n    stop_grace_period: 1s\n'
        for name, image in images.items()
    )
    return f"services:\n{services}{more}"


OWN = "registry.ktrdr.internal:5443"


def push(made: Project, name: str, content: str) -> None:
    """Puts an image into the lab's registry, from the host; nothing of it stays there."""
    script = (
        "DOCKER_CONFIG=$(mktemp -d /run/push.XXXX); export DOCKER_CONFIG; trap 'rm -rf \"$DOCKER_CONFIG\"' EXIT; "
        f"docker login -u lab --password-stdin {OWN} && "
        f"printf 'FROM python:3.13-slim-trixie\\nENV CONTENT={content}\\n' | docker build -q -t {name} - && "
        f"docker push -q {name} && docker rmi {name}"
    )
    hosts.execute(made.lab, NODE, "sh", "-c", script, stdin=made.fields["registry"].encode())


@pytest.fixture
def made(lab: Lab, tmp_path: Path) -> Iterator[Project]:
    with project(lab, tmp_path, "images") as found:
        found.sh("rm -rf /root/.docker; mkdir /root/.docker")
        yield found
        found.sh("rm -rf /root/.docker")


@pytest.fixture
def gate(made: Project) -> Iterator[str]:
    """A second registry, with a login: the password."""
    password = made.value("gate")
    program = (Path(__file__).parent / "gate.py").read_bytes()
    hosts.execute(made.lab, NODE, "sh", "-c", "mkdir -p /opt/gate && cat >/opt/gate/gate.py", stdin=program)
    start = (
        "GATE=$(cat); export GATE; docker rm -f gate >/dev/null 2>&1; docker run -d --name gate --network host -e GATE "
        "-v /opt/gate:/gate:ro python:3.13-slim-trixie python /gate/gate.py mirror.ktrdr.internal:5000 5999 gatekeeper"
    )
    hosts.execute(made.lab, NODE, "sh", "-c", start, stdin=password.encode())
    deadline = time.monotonic() + 60
    while not made.sh(
        "ss -ltn 2>/dev/null | grep 127.0.0.1:5999; grep -i ':176F 00000000:0000 0A' /proc/net/tcp",
        check=False,
    ):
        assert time.monotonic() < deadline, made.sh("docker logs gate 2>&1")
        time.sleep(0.2)
    yield password
    made.sh(
        f"docker rm -f gate; rm -rf /opt/gate; docker images -q --filter reference='{GATE}/*/*' | xargs -r docker rmi -f",
        check=False,
    )


def test_a_project_needs_no_registry_of_its_own(made: Project) -> None:
    made.configure(STACK, head=PUBLIC)
    long, network = f"docker.io/{PYTHON}", "networks: {edge: {external: true}}\n"
    made.write({"compose.yml": compose(f"    networks: [edge]\n{network}", long=long)})
    made.sh("docker network rm edge 2>/dev/null", check=False)
    refused = made.deploy()
    assert refused.code == 3
    assert "docker network create edge" in refused.err
    made.sh("docker network create edge")
    try:
        first = made.deploy()
        assert first.code == 0, first.err
        # It was pulled by its digest: whether it has a tag here hangs on other tests.
        digest = made.sh("docker image ls --digests --format '{{.Digest}}' python").split()[0]
        # The same image as the file pins it: with a tag and a digest.
        pinned = f"python:3.13-slim-trixie@{digest}"
        made.write({"compose.yml": compose(f"    networks: [edge]\n{network}", long=long, pinned=pinned)})
        for outcome in ("deployed", "unchanged"):
            done = made.deploy()
            assert done.code == 0, done.err
            assert done.document["nodes"]["here"]["outcome"] == outcome
        assert made.run("status").code == 0
        assert made.run("rollback").code == 0
        assert sorted(made.containers()) == ["long"]
        assert made.run("status").code == 0
        assert made.deploy("--refresh").code == 0
        assert made.deploy("--tag", "1.0").code == 2
        assert made.deploy("--refresh", "nobody").code == 2
    finally:
        made.remove()
        made.sh("docker network rm edge", check=False)


def test_the_hosts_own_login_is_used_where_none_is_given(made: Project, gate: str) -> None:
    made.configure(STACK, head=PUBLIC)
    made.write({"compose.yml": compose(web=f"{GATE}/{PYTHON}")})
    refused = made.deploy()
    assert refused.code == 3
    assert f"docker login {GATE}" in refused.err
    login = f"docker login -u gatekeeper --password-stdin {GATE}"
    hosts.execute(made.lab, NODE, "sh", "-c", login, stdin=gate.encode())
    before = made.sh("cat /root/.docker/config.json")
    done = made.deploy()
    assert done.code == 0, done.err
    assert made.run("preflight").code == 0
    assert made.sh("cat /root/.docker/config.json") == before
    assert gate not in done.out + done.err


def test_each_registry_gets_its_own_login_and_the_hosts_stays_as_it_is(made: Project, gate: str) -> None:
    push(made, f"{OWN}/ktrdr/several:1.0", "1")
    hosts.execute(made.lab, NODE, "sh", "-c", "cat >/root/.docker/config.json", stdin=KEPT.encode())
    made.configure(f"{SEVERAL}\n{STACK}", head=HEAD)
    made.write(
        {"compose.yml": compose(own="${IMAGE_REGISTRY}/several:${IMAGE_TAG}", other=f"{GATE}/{PYTHON}")}
    )
    right = made.renew("gate")
    refused = made.deploy()
    assert refused.code == 3
    assert f"registry login at {GATE}: gatekeeper at {GATE} is refused" in refused.err
    made.fields["gate"] = right
    made.value("gate")
    done = made.deploy()
    assert done.code == 0, done.err
    assert sorted(made.containers()) == ["other", "own"]
    assert made.sh("cat /root/.docker/config.json") == KEPT
    assert json.loads(made.sh("cat /root/.docker/config.json"))["auths"] == {"kept.example": {}}
    for value in (gate, made.fields["registry"]):
        assert value not in done.out + done.err
        # The rest of /run has the environment of the second registry's container.
        search = f"grep -rlFf - /run/{TEMPORARY}* /dev/shm /root /opt/images 2>/dev/null || true"
        assert not hosts.execute(made.lab, NODE, "sh", "-c", search, stdin=f"{value}\n".encode())


def test_a_tag_that_has_moved_is_followed_on_request(made: Project) -> None:
    moving = f"{OWN}/elsewhere/moving:1"
    made.configure(STACK)
    made.write({"compose.yml": compose(web=moving, other=f"docker.io/{PYTHON}")})
    push(made, moving, "one")
    assert made.deploy().code == 0
    push(made, moving, "two")
    assert made.deploy().document["nodes"]["here"]["outcome"] == "unchanged"
    looked = made.run("preflight")
    assert looked.code == 0, looked.err
    assert f"the registry has a newer {moving}" in looked.err
    assert "deploy-images --refresh web" in looked.err
    assert made.deploy("--refresh", "other").document["nodes"]["here"]["outcome"] == "unchanged"
    assert made.environment("web")["CONTENT"] == "one"
    assert made.deploy("--refresh", "web").code == 0
    assert made.environment("web")["CONTENT"] == "two"
    status = made.run("status")
    assert status.code == 0
    assert "newer" not in status.out
    # Without a login only the other one can be looked up; what was answered counts for a day.
    kept = made.sh("cat /opt/images/.deploy/newer")
    assert f"{moving} -" in kept
    assert f"{PYTHON} sha256:" in kept
    made.sh(
        f"sed -i 's|^docker.io/{PYTHON} sha256:.*|docker.io/{PYTHON} sha256:{'0' * 64}|' /opt/images/.deploy/newer"
    )
    status = made.run("status")
    assert status.code == 0
    assert f"the registry has a newer docker.io/{PYTHON}" in status.out
    assert "deploy-images --refresh other" in status.out
    assert made.run("rollback").code == 0
    assert made.environment("web")["CONTENT"] == "one"
