"""A service behind a gateway is replaced without losing a request, whatever happens meanwhile."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import docker as build
from lab import images
from lab.layout import Lab

from .changes import until
from .conftest import CHECKOUT, Outcome
from .load import load
from .projects import NODE, Project, project

PORT = 5003
IMAGE = "ktrdr/rolled-gateway:1"

STACK = """\
[stacks.front]
compose = "compose.yml"
env_file = "front.env"
project = "front"
healthy_timeout = 40

[[stacks.front.rolling]]
service = "backend"
drain_timeout = 20

[[stacks.front.probes]]
name = "it does not lie"
service = "backend"
url = "http://127.0.0.1:5003/"
json = { "kind" = "fit" }
timeout = 4
"""

COMPOSE = """\
services:
  backend:
    image: python:3.13-slim-trixie
    init: true
    restart: unless-stopped
    stop_grace_period: 10s
    command: [python, /app.py]
    environment: { VERSION: "${VERSION:?}", KIND: "${KIND:?}" }
    volumes: ["./app.py:/app.py:ro"]
    depends_on: { other: { condition: service_started } }
    deploy: { replicas: "${COUNT:-1}" }
    healthcheck:
      test: [CMD, python, -c, "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
      interval: 1s
      start_interval: 1s
      timeout: 3s
      retries: 3
      start_period: 3s
  other:
    image: python:3.13-slim-trixie
    init: true
    restart: unless-stopped
    command: [sleep, infinity]
  gateway:
    image: ${IMAGE_REGISTRY}/rolled-gateway:1
    restart: unless-stopped
    depends_on: [backend]
    environment: { GATEWAY_SERVICE: backend, GATEWAY_PORT: "8000", GATEWAY_CHECK: /health }
    ports: ["5003:8000"]
"""


@dataclass
class Front:
    """The project, its releases, and what its gateway does."""

    project: Project
    url: str
    version: int = 0

    def release(self, kind: str = "fit", count: int = 1, **more: str) -> None:
        """Writes the files of a new release."""
        self.version += 1
        given = {"VERSION": f"v{self.version}", "KIND": kind, "COUNT": str(count), **more}
        self.project.write({"front.env": "".join(f"{k}={v}\n" for k, v in given.items())})

    def deploy(self, kind: str = "fit", count: int = 1, **more: str) -> Outcome:
        self.release(kind, count, **more)
        return self.project.deploy()

    def backends(self) -> list[tuple[str, str]]:
        """Version and state of each container of the service."""
        shown = self.project.sh(
            "docker ps -aq --filter label=com.docker.compose.project=front --filter label=com.docker.compose.service=backend | "
            "xargs -r docker inspect --format '{{json .Config.Env}} {{.State.Status}}'"
        )
        return sorted(
            (re.findall(r'"VERSION=([^"]*)"', line)[0], line.split()[-1]) for line in shown.splitlines()
        )

    def gateway(self, words: str) -> str:
        gate = self.project.containers()["gateway"]
        return self.project.sh(
            f"echo '{words}' | docker exec -i {gate} socat - UNIX-CONNECT:/run/gateway/admin.sock"
        )

    def sends_to(self) -> set[str]:
        """The addresses to which the gateway may send a request."""
        rows = [line.split() for line in self.gateway("show servers state").splitlines()[2:] if line.strip()]
        able = [(row[1], row[4]) for row in rows if row[5] == "2" and row[6] in "04"]
        told = {address for backend, address in able if backend == "rolling"}
        return told or {address for backend, address in able if backend == "found"}

    def addresses(self) -> set[str]:
        shown = self.project.sh(
            "docker ps -q --filter label=com.docker.compose.project=front --filter label=com.docker.compose.service=backend | "
            "xargs -r docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'"
        )
        return set(shown.split())

    def settled(self, version: str, count: int = 1) -> None:
        """So many containers of this version and no other, to which alone the gateway sends; nothing is left to do."""
        assert self.backends() == [(version, "running")] * count
        until(lambda: self.sends_to() == self.addresses(), "the gateway sends to others", 20)
        assert len(self.addresses()) == count
        status = self.project.run("status", "--json")
        assert (status.code, status.document["nodes"]["here"]["drift"]) == (0, []), status.err


@pytest.fixture(scope="module")
def front(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The project, deployed."""
    recipe = CHECKOUT / "docker/gateway"
    build.build(recipe, recipe / "Dockerfile", IMAGE, arguments={}, labels={})
    password = json.loads(lab.secrets.read_text())["ghcr_token"]
    images.push(lab, [IMAGE], lambda text: None, password)
    with project(lab, tmp_path_factory.mktemp("front"), "front") as made:
        app = Path(__file__).parent / "rolled/app.py"
        made.write({"compose.yml": COMPOSE, "app.py": app.read_text()})
        made.configure(STACK)
        front = Front(made, lab.url(NODE, PORT))
        done = front.deploy()
        assert done.code == 0, done.err
        yield front


def test_no_request_is_lost(front: Front) -> None:
    """Through releases, a rollback, one that never gets healthy and one that fails its probe."""
    with load(front.url) as traffic:
        traffic.await_more(50)
        assert (done := front.deploy()).code == 0, done.err
        good = front.version
        assert (done := front.deploy("sick")).code == 10, done.err
        assert "the new container of backend is not healthy: its health check fails" in done.err
        assert front.backends() == [(f"v{good}", "running")]
        assert (done := front.deploy("lying")).code == 10, done.err
        assert "it does not lie" in done.err
        assert front.backends() == [(f"v{good}", "running")]
        assert (done := front.project.run("rollback", "--json")).code == 0, done.err
        traffic.await_more(100)
    assert traffic.failed == []
    # Both get requests for a while, one after the other.
    assert traffic.versions[0] == traffic.versions[-1] == "v1"
    assert set(traffic.versions) == {"v1", f"v{good}", f"v{front.version}"}
    front.settled("v1")
    assert (front.deploy().code, front.project.deploy().document["nodes"]["here"]["outcome"]) == (0, "unchanged")
