"""The development environment, from a clean clone, on this machine's own engine."""

import json
import socket
import stat
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import docker as build
from lab.dev.up import project_of
from lab.dev.variables import secret_values
from lab.layout import Lab, free_ports

from .beside import in_turn
from .conftest import CHECKOUT, Outcome, command

PORTS = ("API", "DB", "PROMETHEUS", "GRAFANA", "JAEGER", "OTLP", "BACKTEST", "TRAINING")
SERVED_WITHIN = 5.0
"""Seconds until a changed source line is served: the requirement."""


def git(clone: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(clone), *words], capture_output=True, text=True)


@dataclass
class Dev:
    """A clean clone, with ports that are free."""

    clone: Path
    env: dict[str, str]

    def invoke(self, *words: str, **more: str) -> Outcome:
        # Its own `lab`, and not the one beside these tests.
        return command("invoke", *words, root=self.clone, PYTHONPATH=str(self.clone), **{**self.env, **more})

    def get(self, path: str, port: str = "API") -> Any:
        url = f"http://127.0.0.1:{self.env[f'DEV_{port}_PORT']}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)

    def edit(self, old: str, new: str) -> None:
        source = self.clone / "docker/backend/src/ktrdr_backend/app.py"
        text = source.read_text()
        assert old in text
        source.write_text(text.replace(old, new))


def until(true: Callable[[], object], seconds: float) -> float:
    """Seconds until it was true."""
    began = time.monotonic()
    while True:
        try:
            if true():
                return time.monotonic() - began
        except OSError:  # it does not answer just now
            pass
        assert time.monotonic() - began < seconds
        time.sleep(0.05)


@pytest.fixture(scope="module")
def dev(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """It runs; after the lab, which has made the images that both need."""
    clone = tmp_path_factory.mktemp("dev") / "clone"
    clone.mkdir()
    # As git would clone it, with what is not committed yet.
    listed = git(CHECKOUT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_bytes((CHECKOUT / name).read_bytes())
    assert git(clone, "init", "-q").returncode == 0
    with in_turn(CHECKOUT):
        # Ports that are free now may be a lab's by the time that its turn comes.
        ports = {f"DEV_{n}_PORT": str(p) for n, p in zip(PORTS, free_ports(8, set()), strict=True)}
        made = Dev(clone, ports)
        outcome = made.invoke("dev.up", "--json")
    try:
        assert outcome.code == 0, outcome.err
        assert outcome.document["mode"] == "reload"
        yield made
    finally:
        done = made.invoke("dev.down", "--volumes")
    assert done.code == 0, done.err
    prefix = project_of(clone)
    for words in (("ps", "-aq"), ("volume", "ls", "-q"), ("network", "ls", "-q")):
        assert not build.run(*words, "--filter", f"name={prefix}").strip()


def test_everything_answers_on_the_loopback_and_nowhere_else(dev: Dev) -> None:
    assert dev.get("/api/v1/health")["database"] == "ok"
    assert dev.get("/api/health", "GRAFANA")["database"] == "ok"
    project = project_of(dev.clone)
    ids = build.run("ps", "-q", "--filter", f"label=com.docker.compose.project={project}").split()
    assert len(ids) == 5  # no worker, unless one is asked for
    bindings = build.run("container", "inspect", "--format", "{{json .HostConfig.PortBindings}}", *ids)
    found = [
        entry for line in bindings.splitlines() for entries in json.loads(line).values() for entry in entries
    ]
    assert {entry["HostIp"] for entry in found} == {"127.0.0.1"}
    assert {entry["HostPort"] for entry in found} < set(dev.env.values())


def test_a_changed_source_line_is_served_within_five_seconds(dev: Dev) -> None:
    until(lambda: dev.get("/api/v1/health")["status"] == "ok", 60)
    dev.edit('"status": "ok",', '"status": "ok", "edited": 0,')
    spent = [until(lambda: dev.get("/api/v1/health").get("edited") == 0, 60)]
    for n in (1, 2):
        dev.edit(f'"edited": {n - 1},', f'"edited": {n},')
        spent.append(until(lambda n=n: dev.get("/api/v1/health").get("edited") == n, 60))
    # What other processes of a busy machine take is not this one's.
    assert min(spent) < SERVED_WITHIN, spent
    # A line that is no Python says so, and its correction is served without a restart.
    dev.edit('"edited": 2,', '"edited": 2),')
    until(lambda: "SyntaxError" in dev.invoke("dev.logs", "--service", "backend", "--tail", "20").out, 60)
    dev.edit('"edited": 2),', '"edited": "again",')
    until(lambda: dev.get("/api/v1/health").get("edited") == "again", 60)


def test_a_backtest_runs_on_the_workers_and_prometheus_sees_all(dev: Dev) -> None:
    outcome = dev.invoke("dev.up", "--workers")
    assert outcome.code == 0, outcome.err
    until(lambda: len(dev.get("/api/v1/workers")) == 2, 60)
    body = json.dumps({"steps": 5, "seconds": 0}).encode()
    url = f"http://127.0.0.1:{dev.env['DEV_API_PORT']}/api/v1/backtests/start"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        operation = json.load(answer)["operation_id"]
    until(lambda: dev.get(f"/api/v1/operations/{operation}")["status"] == "completed", 60)
    assert list((dev.clone / "dev-shared").rglob(f"*{operation}*"))

    def up() -> dict[str, str]:
        rows = dev.get("/api/v1/query?query=up", "PROMETHEUS")["data"]["result"]
        return {row["metric"]["job"]: row["value"][1] for row in rows}

    until(lambda: up().keys() >= {"ktrdr-backend", "ktrdr-workers"} and set(up().values()) == {"1"}, 90)


@pytest.mark.full
def test_image_mode_serves_the_image_and_going_back_the_source(dev: Dev) -> None:
    image = f"ktrdr-test/{project_of(dev.clone)}:1"
    build.run(
        *("build", "-q", "-t", image, "-"),
        stdin=b"FROM ktrdr-backend:dev-base\nENV KTRDR_VERSION=of-the-image\n",
    )
    try:
        outcome = dev.invoke("dev.up", "--json", DEV_IMAGE=image)
        assert outcome.code == 0, outcome.err
        assert (outcome.document["mode"], outcome.document["image"]) == ("image", image)
        health = dev.get("/api/v1/health")
        assert health["version"] == "of-the-image"
        assert "edited" not in health
        # Workers that ran stay, and are of the image, too.
        until(lambda: dev.get("/health", "BACKTEST")["version"] == "of-the-image", 60)
    finally:
        outcome = dev.invoke("dev.up", "--json")
        build.run("rmi", image)
    assert (outcome.code, outcome.document["mode"]) == (0, "reload"), outcome.err
    assert dev.get("/api/v1/health")["version"] == "dev"


def test_env_dev_is_its_owner_s_and_cannot_be_committed(dev: Dev) -> None:
    made = dev.clone / "compose/.env.dev"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    refused = git(dev.clone, "add", "compose/.env.dev")
    assert refused.returncode != 0
    assert "ignored" in refused.stderr
    assert git(dev.clone, "add", "--all").returncode == 0
    staged = git(dev.clone, "diff", "--cached", "--name-only").stdout.splitlines()
    assert "compose/.env.dev.example" in staged
    assert not [name for name in staged if name.endswith(".env.dev") or name.startswith("dev-shared")]
    # Whose values it has no output has, nor the containers' environment.
    values = secret_values(dev.clone)
    project = project_of(dev.clone)
    ids = build.run("ps", "-q", "--filter", f"label=com.docker.compose.project={project}").split()
    said = [dev.invoke(*words) for words in (["dev.up", "--json"], ["dev.logs", "--tail", "1000"])]
    shown = "".join([build.run("container", "inspect", *ids), *(one.out + one.err for one in said)])
    assert len(values) >= 3
    assert not [name for name, value in values.items() if value in shown]


def test_another_checkout_is_told_who_has_its_ports(dev: Dev, tmp_path: Path) -> None:
    for name in ("tasks.py", "deploy.toml", "lab.toml"):
        (tmp_path / name).write_bytes((dev.clone / name).read_bytes())
    for name in ("compose", "lab", "docker", "monitoring"):
        subprocess.run(["cp", "-r", dev.clone / name, tmp_path / name], check=True)
    other = Dev(tmp_path, dev.env)
    outcome = other.invoke("dev.up", "--json")
    assert outcome.code == outcome.document["exit"] == 3
    assert f"on 127.0.0.1 the Compose project of {dev.clone}/compose has port " in outcome.err
    assert f"{dev.env['DEV_API_PORT']} (DEV_API_PORT)" in outcome.err
    assert "invoke dev.down there" in outcome.err
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        assert f"another program has port {port}" in other.invoke("dev.up", DEV_DB_PORT=port).err
    assert dev.get("/api/v1/health")["status"] == "ok"


@pytest.mark.parametrize(
    ("words", "more", "code", "said"),
    [
        (["dev.up"], {"DEV_API_PORT": "8o00"}, 2, "compose/docker-compose.dev.yml"),
        (["dev.up"], {"DEV_IMAGE": "127.0.0.1:9/none:1"}, 3, "is not on this machine and cannot be pulled"),
        (["dev.logs", "--service", "backned"], {}, 2, "did you mean backend?"),
        (["dev.logs", "--tail", "all"], {}, 2, "--tail must be a whole number"),
    ],
)
def test_what_is_wrong_is_one_line(
    dev: Dev, words: list[str], more: dict[str, str], code: int, said: str
) -> None:
    outcome = dev.invoke(*words, **more)
    assert outcome.code == code, outcome.err
    assert said in outcome.err
    assert len(outcome.err[outcome.err.index("error:") :].splitlines()) <= 2


def test_without_docker_it_says_what_to_do(dev: Dev) -> None:
    nowhere = {"DOCKER_HOST": "unix:///nowhere.sock"}
    for words in (["dev.up"], ["dev.down", "--json"], ["dev.logs"]):
        outcome = dev.invoke(*words, **nowhere)
        assert outcome.code == 3, outcome.err
        assert "no Docker Engine answers\n  -> start Docker" in outcome.err


def test_a_lost_env_file_does_not_strand_the_database_silently(dev: Dev) -> None:
    made = dev.clone / "compose/.env.dev"
    kept = made.with_name("kept.env.local")
    made.rename(kept)
    try:
        outcome = dev.invoke("dev.up")
        assert outcome.code == 3
        assert "invoke dev.down --volumes" in outcome.err
        assert not made.exists()
    finally:
        kept.rename(made)
