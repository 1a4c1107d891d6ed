"""A service behind a gateway is replaced without losing a request, whatever happens meanwhile."""

from __future__ import annotations

import json
import random
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import docker as build
from lab import images
from lab.layout import Lab

from .changes import restart_engine, until
from .conftest import CHECKOUT, Outcome, environment
from .load import load
from .projects import NODE, Project, project

PORT = 5003
IMAGE = "ktrdr/rolled-gateway:1"

SCRIPT = "'[/]switch.sh'"
"""The detached script, for `pgrep`, and not the shell that asks."""

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

    def start(self) -> subprocess.Popen[str]:
        """A deployment under way."""
        return subprocess.Popen(
            ["invoke", "deploy-front"],
            cwd=self.project.root,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def stuck(self, words: str) -> Iterator[None]:
        """Holds calls of the host's `docker` whose arguments contain these, until the block ends; one has come when it begins to wait."""
        self.project.sh(
            "mkdir -p /tmp/fault && touch /tmp/fault/hold && cat > /usr/local/bin/docker <<'X'\n"
            f'#!/bin/sh\ncase " $* " in *" {words} "*)\n'
            "  while [ -e /tmp/fault/hold ]; do touch /tmp/fault/reached; sleep 0.05; done;;\n"
            'esac\nexec /usr/bin/docker "$@"\nX\nchmod +x /usr/local/bin/docker'
        )
        try:
            yield
        finally:
            self.project.sh("rm -rf /tmp/fault /usr/local/bin/docker")

    def reached(self) -> None:
        until(lambda: self.project.sh("ls /tmp/fault") == "hold\nreached\n", "it was not called so", 180)

    def switching(self, command: subprocess.Popen[str]) -> None:
        """Waits until the detached script runs."""
        until(
            lambda: self.project.sh(f"pgrep -f {SCRIPT}; true") or command.poll() is not None,
            "no switch",
            120,
        )

    def kill(self, command: subprocess.Popen[str]) -> None:
        """The detached script and whatever it has started end at once, and so does the command that began it."""
        # What it was just starting ends as well.
        self.project.sh(
            f"for s in $(pgrep -f {SCRIPT} | xargs -r ps -o sid= -p | sort -u); do "
            "while pkill -KILL -s $s; do sleep 0.05; done; done"
        )
        command.kill()
        command.communicate()
        lock = "/opt/front/.deploy/switch.lock"
        until(lambda: "free" in self.project.sh(f"flock -n {lock} true && echo free", check=False), "locked")

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


pytestmark = pytest.mark.takes(40)


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


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_no_request_is_lost_in_a_long_run(front: Front) -> None:
    """Ten releases, five rollbacks and five releases that fail, with at least 20,000 requests."""
    with load(front.url, pause=0.01, slow=4) as traffic:
        for number in range(10):
            assert (done := front.deploy()).code == 0, done.err
            traffic.await_more(200)
            if number % 2 == 0:
                good = front.backends()
                kind = "lying" if number % 4 else "sick"
                assert (done := front.deploy(kind)).code == 10, done.err
                assert front.backends() == good
                assert (done := front.project.run("rollback")).code == 0, done.err
                traffic.await_more(200)
        traffic.await_more(max(0, 20_000 - traffic.total), 1200)
        ((version, _),) = front.backends()
        seen = len(traffic.versions)
        # From now on only the one that is there answers.
        traffic.await_more(200)
        assert set(traffic.versions[seen:]) <= {version}
    assert traffic.failed == []
    front.settled(version)


@pytest.mark.full
def test_several_containers_are_replaced_one_after_the_other(front: Front) -> None:
    with load(front.url) as traffic:
        # One becomes two, and two become two others.
        for _ in range(2):
            assert (done := front.deploy(count=2)).code == 0, done.err
            front.settled(f"v{front.version}", 2)
    assert traffic.failed == []


@pytest.mark.full
@pytest.mark.parametrize("words", ["stop", "up -d", "rm"])
def test_killed_at_a_step_the_next_command_ends_it(front: Front, words: str) -> None:
    front.release()
    with load(front.url) as traffic:
        with front.stuck(words):
            command = front.start()
            front.reached()
            front.kill(command)
        assert (done := front.project.deploy()).code == 0, done.err
    # What was killed was no container, and no gateway.
    assert traffic.failed == []
    front.settled(f"v{front.version}")


@pytest.mark.full
@pytest.mark.timeout(7200)
def test_killed_at_random_moments_the_next_command_ends_it(front: Front) -> None:
    moments = random.Random(19)  # noqa: S311 - moments are to come again
    with load(front.url) as traffic:
        # One that is left alone: how long it takes depends on the machine.
        front.release()
        command = front.start()
        front.switching(command)
        began = time.monotonic()
        _, said = command.communicate(timeout=300)
        assert command.returncode == 0, said
        longest = time.monotonic() - began
        for _ in range(40):
            front.release()
            command = front.start()
            front.switching(command)
            time.sleep(moments.uniform(0, longest))
            front.kill(command)
            assert (done := front.project.deploy()).code == 0, done.err
            front.settled(f"v{front.version}")
    assert traffic.failed == []


def test_the_engine_restarts_while_both_are_there(front: Front) -> None:
    front.release()
    with front.stuck("stop"):
        command = front.start()
        front.reached()
        assert len(front.backends()) == 2
        restart_engine(front.project.sh)
    _, said = command.communicate(timeout=300)
    assert command.returncode in (0, 10), said
    if command.returncode:
        assert (done := front.project.deploy()).code == 0, done.err
    front.settled(f"v{front.version}")


@pytest.mark.full
def test_without_its_gateway_the_service_is_replaced_at_once(front: Front) -> None:
    front.project.sh(f"docker stop {front.project.containers()['gateway']}")
    done = front.deploy()
    assert done.code == 0, done.err
    assert "gateway, the gateway of backend, does not run: backend is replaced at once" in done.err
    front.settled(f"v{front.version}")


def test_a_gateway_that_was_restarted_finds_the_container_by_itself(front: Front) -> None:
    front.project.sh(f"docker restart -t 1 {front.project.containers()['gateway']}")
    front.settled(f"v{front.version}")
    with load(front.url) as traffic:
        traffic.await_more(20)
    assert traffic.failed == []


def test_what_no_two_containers_can_have_is_refused(front: Front) -> None:
    before = front.backends()
    files = front.project.root / "compose.yml"
    files.write_text(
        files.read_text().replace(
            "    depends_on: { other:", '    ports: ["5004:8000"]\n    depends_on: { other:'
        )
    )
    try:
        done = front.project.deploy()
        assert done.code == 3
        assert "backend publishes the port 5004, which no two containers can have at once" in done.err
        assert front.backends() == before
    finally:
        files.write_text(COMPOSE)
