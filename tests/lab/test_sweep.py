"""No secret value is left lying about: a sweep for marked ones, and the same sweep for values that were planted."""

import base64
import json
import os
import re
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from lab import hosts
from lab.layout import Lab

from . import sweep
from .conftest import BACKEND, ROOT
from .sweep import Finding, Marks, Watch
from .trail import EXPOSED, Trail, marked, walk

LAYERS = re.compile(r"\w+:/var/lib/docker/overlay2/\w+/diff/run/secrets/\w+")
MEMORY = re.compile(r"core:(/run|/dev/shm)/ktrdr-secrets/ktrdr-core/\w+")
"""Where the documentation says that a value lies, by the stack's delivery."""
DATABASE = r"/var/lib/(docker/)?containerd/\S+/meta\.db"
"""Where containerd has what containers were made from; it keeps a page that is no longer used until it needs it again."""

HOME = Path.home()
ROOTS = [ROOT, Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/run"), *HOME.glob(".?*")]


def swept(lab: Lab, marks: Marks, since: float, said: list[tuple[str, str]]) -> list[Finding]:
    return [
        *sweep.in_files_of_hosts(lab, marks, since),
        *sweep.in_docker(lab, marks),
        *sweep.in_what_was_said(said, marks),
        *sweep.in_files_here([*ROOTS, HOME], marks, since, [lab.secrets]),
    ]


@pytest.fixture(
    scope="module",
    params=["compose", pytest.param("memory", marks=[pytest.mark.full, pytest.mark.timeout(1800)])],
    name="trail",
)
def trail_of(
    request: pytest.FixtureRequest, lab: Lab, stack: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trail]:
    yield from walk(lab, tmp_path_factory.mktemp("trail"), request.param)


def test_no_secret_is_left_lying_about(trail: Trail, lab: Lab) -> None:
    found = swept(lab, trail.marks, trail.since, trail.said)
    shown = [f for f in found if f.value.endswith(EXPOSED)]
    documented = {"compose": LAYERS, "memory": MEMORY}[trail.delivery]
    assert [f for f in found if f not in shown and not documented.fullmatch(f.where)] == []
    # Those that run are where they are said to be, and no others are.
    where = {f.value for f in found}
    assert where == {"B.db_password", "B.jwt_secret", "B.grafana_password", f"B.{EXPOSED}"}
    # One that the stack accepts in the environment of a service is what Docker says and keeps of that container, and nowhere else.
    service = "label=com.docker.compose.service=backend"
    backend = hosts.execute(lab, "core", "docker", "ps", "-q", "--no-trunc", "--filter", service).strip()
    inspected = [f for f in shown if f.place == "inspect"]
    assert inspected == [Finding("inspect", f"core: container {backend[:12]}", f"B.{EXPOSED}")]
    kept = re.compile(
        rf"core:((/var/lib/docker/containers|/run/\S+)/{backend}/config(\.v2)?\.json|{DATABASE})"
    )
    assert [f for f in shown if f not in inspected and not kept.fullmatch(f.where)] == []
    assert {f.value for f in shown if not re.fullmatch(f"core:{DATABASE}", f.where)} == {f"B.{EXPOSED}"}


def test_no_process_or_event_shows_a_secret(trail: Trail, lab: Lab) -> None:
    assert trail.seen == []


def test_when_the_commands_have_ended_no_process_has_a_secret_in_its_environment(
    trail: Trail, lab: Lab
) -> None:
    with Watch(lab, trail.marks, root=True) as watch:
        pass
    assert watch.findings == []


# --- a check that cannot fail is none: the same sweep finds what is planted --------------------------------------


@dataclass
class Garden:
    """Where values are planted, and how they are taken away again."""

    lab: Lab
    directory: Path
    undo: ExitStack
    said: list[tuple[str, str]]

    def here(self, value: str) -> None:
        subprocess.run(["sh", "-c", "sleep 0.1", "-", value], check=True)

    def environment(self, value: str) -> None:
        user = 65534 if os.geteuid() == 0 else None
        subprocess.run(["/bin/sleep", "0.3"], env={"X": value}, user=user, check=True)

    def on_host(self, script: str) -> None:
        """By way of standard input: no command line of this machine shows anything."""
        hosts.execute(self.lab, "core", "sh", stdin=script.encode())

    def in_container(self, script: str) -> None:
        self.on_host(f"docker exec -i {BACKEND} sh <<'E'\n{script}\nE")

    def container(self, options: str, command: str = "true") -> None:
        self.undo.callback(self.on_host, "docker ps -aq --filter label=sweep | xargs -r docker rm -f")
        image = f"$(docker inspect -f '{{{{.Image}}}}' {BACKEND})"
        self.on_host(
            f"docker run --label sweep --network none --entrypoint sh {options} {image} -c {q(command)}"
        )

    def host_file(self, path: str, value: str) -> None:
        """A line at the end of a file, which a log keeps."""
        back = f"if [ -e {path}.before ]; then mv {path}.before {path}; else rm -f {path}; fi"
        if not path.endswith(".log"):
            self.on_host(f"[ ! -e {path} ] || cp -p {path} {path}.before")
            self.undo.callback(self.on_host, back)
        self.on_host(f"printf '%s\\n' {q(value)} >> {path}")

    def file(self, directory: Path, value: str) -> None:
        path = directory / f"sweep-{secrets.token_hex(8)}"
        path.write_text(f"a line\n  b: {value}\n")
        self.undo.callback(path.unlink)

    def say(self, program: str, value: str, code: int = 0) -> None:
        path = self.directory / "program.py"
        path.write_text(program.replace("VALUE", repr(value)))
        trail = Trail(self.lab, self.directory, "compose", {}, said=self.said)
        trail.run(sys.executable, str(path), code=code)
        path.unlink()


q = shlex.quote

Plant = Callable[[Garden, str], None]

PLANTS: dict[str, tuple[str, str, Plant]] = {
    "operator's process list": ("command line", "operator: sh", Garden.here),
    "host's process list": (
        "command line",
        "host: sh",
        lambda g, v: g.on_host(f"sh -c 'sleep 0.1' - {q(v)}"),
    ),
    "container's process list": (
        "command line",
        "container: sh",
        lambda g, v: g.in_container(f"sh -c 'sleep 0.1' - {q(v)}"),
    ),
    "operator's environment": ("environment of user", "operator: sleep", Garden.environment),
    "host's environment": (
        "environment of user",
        "host: sleep",
        lambda g, v: g.on_host(f"export X={q(v)}; exec setpriv --reuid 65534 sleep 0.3"),
    ),
    "Engine's events": (
        "Engine's events",
        "core",
        lambda g, v: g.on_host(f"docker exec {BACKEND} true {q(v)}"),
    ),
    "container's label": ("inspect", "core: container", lambda g, v: g.container(f"--label x={q(v)}")),
    "container's environment": ("inspect", "core: container", lambda g, v: g.container(f"-e X={q(v)}")),
    "container's log": ("logs", "core: container", lambda g, v: g.container("", f"echo {q(v)}")),
    "standard output": ("output", "", lambda g, v: g.say("print(VALUE)", v)),
    "standard error": ("output", "", lambda g, v: g.say("import sys; sys.stderr.write(VALUE)", v)),
    "traceback": ("output", "", lambda g, v: g.say("raise RuntimeError(VALUE)", v, code=1)),
    **{
        f"host's {what}": ("files", f"core:{path}", lambda g, v, path=path: g.host_file(path, v))
        for what, path in {
            "stack": "/opt/ktrdr-core/planted",
            "state": "/opt/ktrdr-core/.deploy/planted",
            "configuration": "/etc/planted",
            "temporary files": "/tmp/planted",
            "run": "/run/planted",
            "memory": "/dev/shm/planted",
            "shell history": "/root/.bash_history",
            "sshd log": "/var/log/sshd.log",
            "Docker daemon log": "/var/log/dockerd.log",
            "volumes": "/var/lib/docker/volumes/ktrdr-core_grafana_data/_data/planted",
        }.items()
    },
    **{
        f"this machine's {what}": ("files", f"{path}/sweep-", lambda g, v, path=path: g.file(path, v))
        for what, path in {
            "checkout": ROOT,
            "lab folder": ROOT / ".lab",
            "temporary files": Path("/tmp"),
            "older temporary files": Path("/var/tmp"),
            "memory": Path("/dev/shm"),
            "home": HOME,
        }.items()
    },
}
"""What plants a value in each place, and what the sweep says of it: the place, and what its description begins with."""

PROCESSES = [
    name for name, (place, _, _) in PLANTS.items() if place in ("command line", "environment of user")
]
AGAIN = 5
"""Times that a process which shows a value is begun anew, until it was seen."""

WRITTEN: list[Callable[[str], str]] = [
    lambda v: v,
    *(lambda v, n=n: base64.b64encode(b"user:pass"[:n] + v.encode() + b"\n").decode() for n in (3, 4, 5)),
    lambda v: quote(v, safe=""),
    quote_plus,
    lambda v: f"'{q(v)}'",
    lambda v: json.dumps({"a": v}),
]
"""Raw, in base64 at all three alignments, and as URLs, shells and JSON write it."""


@pytest.fixture(scope="module")
def planted(lab: Lab, stack: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Finding]]:
    """What the sweep found of each value."""
    values = {name: marked()["grafana_password"] for name in PLANTS}
    marks, since = Marks(values), time.time()
    with ExitStack() as undo:
        garden = Garden(lab, tmp_path_factory.mktemp("planted"), undo, [])
        with Watch(lab, marks) as watch:
            for number, (name, (_, _, plant)) in enumerate(PLANTS.items()):
                written = WRITTEN[number % len(WRITTEN)](values[name])
                plant(garden, written)
                # On a machine that is very busy, who looks may not have its turn while a process lives.
                for _ in range(AGAIN if name in PROCESSES else 0):
                    if not watch.saw(name):
                        plant(garden, written)
        found = [*watch.findings, *swept(lab, marks, since, garden.said)]
    return {name: [f for f in found if f.value == name] for name in PLANTS}


@pytest.mark.parametrize("name", PLANTS)
def test_the_sweep_finds_what_is_planted(planted: dict[str, list[Finding]], name: str) -> None:
    place, where, _ = PLANTS[name]
    found = planted[name]
    assert [f for f in found if f.place == place and f.where.startswith(where)], found


@pytest.mark.parametrize("write", WRITTEN)
def test_a_value_is_known_however_it_is_written(write: Callable[[str], str]) -> None:
    for value in marked().values():
        marks = Marks({"x": value, "y": marked()["db_password"]})
        assert marks.found(f"a {write(value)} b") == {"x"}
        assert marks.found("a\nb") == set()
