"""The lab, brought up once; commands are run as an operator runs them, in processes of their own."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deploy_lib.config import Environment, load
from deploy_lib.output.console import Console
from deploy_lib.release.history import parse_events
from deploy_lib.release.release import Version
from lab import docker as build
from lab import hosts
from lab.backend import build_backend, push_backend
from lab.layout import Lab
from lab.project import read
from lab.up import remove, up

from .beside import in_turn, own

if TYPE_CHECKING:
    from .faults import Bench

CHECKOUT = Path(__file__).resolve().parents[2]
ROOT = own(CHECKOUT)
"""Where this process's commands are run, and whose lab it has."""

BIN = Path(sys.executable).parent
HOSTS = read(CHECKOUT).hosts
NODES = {node: host.name for node, host in HOSTS.items()}

FIRST, SECOND = "sha-0000001", "sha-0000002"
"""Two tags of no commit: the same application, with another version in it."""


BACKEND = (
    "$(docker ps -aq --filter label=com.docker.compose.project=ktrdr-core "
    "--filter label=com.docker.compose.service=backend)"
)
"""For shell text on core: the backend's container. Its name counts on with each release, as there are two of it for a while."""


@dataclass(frozen=True)
class Outcome:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def core(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["nodes"]["core"]
        return found


Run = Callable[..., Outcome]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "DEPLOY_ENV": "lab", "PATH": f"{BIN}:{os.environ['PATH']}", **more}


def uv() -> str:
    """The one that `scripts/run` uses."""
    own = sorted((CHECKOUT / ".tools").glob("uv-*/bin/uv"))
    return shutil.which("uv") or str(own[-1])


def command(*arguments: str, root: Path = ROOT, **more: str) -> Outcome:
    done = subprocess.run(
        arguments,
        cwd=root,
        env=environment(**more),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )
    outcome = Outcome(done.returncode, done.stdout, done.stderr)
    # What a container has written is quoted, and may be one.
    assert not re.search("^Traceback", outcome.err, re.MULTILINE), outcome.err
    return outcome


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    used = ROOT / ".lab" / "under-test"
    with in_turn(CHECKOUT):
        if used.exists():
            # A run was stopped half way: nobody knows in which state this lab is.
            remove(ROOT, lambda text: None)
        made = up(ROOT, lambda text: None)
    used.touch()
    yield made
    used.unlink()


@pytest.fixture(scope="session")
def homes(lab: Lab) -> Environment:
    return load(ROOT, "lab")


@pytest.fixture(scope="session")
def backend_image(homes: Environment) -> str:
    """The name of the first image on this machine; both are in the lab's registry."""
    console = Console(err=sys.stderr)
    with in_turn(CHECKOUT):
        for tag in (SECOND, FIRST):
            name = build_backend(homes, Version(tag), console)
            push_backend(homes, Version(tag), console)
    return name


@pytest.fixture(scope="session")
def stack(lab: Lab, backend_image: str) -> None:
    """The core stack runs the first tag."""
    outcome = command("invoke", "deploy-core", "--tag", FIRST)
    assert outcome.code == 0, outcome.err


@pytest.fixture
def deploy(stack: None) -> Run:
    """`invoke deploy-core --json` with further arguments."""

    def run(*arguments: str, root: Path = ROOT, **more: str) -> Outcome:
        return command("invoke", "deploy-core", "--json", *arguments, root=root, **more)

    return run


def copy_checkout(lab: Lab, directory: Path) -> Path:
    """A copy of what is deployed, with the same lab."""
    for name in ("deploy.toml", "tasks.py", "fabric.yaml"):
        shutil.copy(ROOT / name, directory / name)
    for name in ("compose", "monitoring", "fabfile"):
        shutil.copytree(ROOT / name, directory / name)
    (directory / ".lab").symlink_to(lab.directory)
    return directory


@pytest.fixture
def checkout(tmp_path: Path, lab: Lab) -> Path:
    """A copy of what is deployed, to be changed."""
    return copy_checkout(lab, tmp_path)


@dataclass(frozen=True)
class Host:
    """The core host, looked at from outside and not over SSH."""

    lab: Lab

    def sh(self, script: str, *, check: bool = True) -> str:
        return hosts.execute(self.lab, "core", "sh", "-c", script, check=check)

    def containers(self) -> dict[str, str]:
        """Container ids by service."""
        label = "com.docker.compose.service"
        listed = self.sh(
            "docker ps -a --no-trunc --filter label=com.docker.compose.project=ktrdr-core "
            f"--format '{{{{.Label \"{label}\"}}}} {{{{.ID}}}}'"
        )
        rows = (line.partition(" ") for line in listed.splitlines())
        return {service: container for service, _, container in rows}

    def kinds(self, since: int = 0) -> list[str]:
        """What the history says happened after so many lines; a torn line of an earlier test is passed over."""
        lines = self.sh(f"tail -n +{since + 1} /opt/ktrdr-core/.deploy/history.jsonl")
        return [event.kind for event in parse_events(lines)]

    def sshd_log(self) -> str:
        return self.sh("cat /var/log/sshd.log")

    def state(self) -> str:
        """Everything that a command which changes nothing must leave as it was."""
        return self.sh(
            "cd /opt/ktrdr-core && find . -exec stat -c '%n %s %Y %a' {} + | sort && sha256sum .deploy/history.jsonl;"
            "docker images --no-trunc -a --format '{{.Repository}}:{{.Tag}}@{{.Digest}} {{.ID}}' | sort; docker volume ls; docker network ls; docker ps -a --no-trunc --format '{{.ID}} {{.Names}}'"
        )

    def sql(self, statement: str) -> str:
        return hosts.execute(
            self.lab,
            "core",
            *(
                "docker",
                "exec",
                "-i",
                "ktrdr-core-db-1",
                "psql",
                "-U",
                "ktrdr",
                "-d",
                "ktrdr",
                "-At",
                "-v",
                "ON_ERROR_STOP=1",
            ),
            stdin=statement.encode(),
        )


@pytest.fixture
def core(lab: Lab) -> Host:
    return Host(lab)


@pytest.fixture
def get(lab: Lab) -> Callable[[int, str], Any]:
    """JSON from a port of the core host that is published on this machine."""

    def ask(port: int, path: str) -> Any:
        with urllib.request.urlopen(lab.url("core", port) + path, timeout=10) as answer:
            return json.load(answer)

    return ask


@pytest.fixture
def back_to_first(deploy: Run) -> Iterator[None]:
    """Whatever a test deploys, the next one finds the first tag."""
    yield
    outcome = deploy("--tag", FIRST)
    assert outcome.code == 0, outcome.err


def rotate(*arguments: str, root: Path = ROOT) -> Outcome:
    return command("invoke", "rotate-secrets", "--json", *arguments, root=root)


class Vault:
    """The file that has the lab's secrets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fields: dict[str, str] = json.loads(path.read_text())

    def change(self, *names: str, prefix: str = "") -> dict[str, str]:
        """Gives these fields new values, and returns those of before."""
        before = {name: self.fields[name] for name in names}
        self.fields |= {name: prefix + secrets.token_urlsafe(36) for name in names}
        self.path.write_text(json.dumps(self.fields))
        return before


@pytest.fixture
def vault(lab: Lab, stack: None) -> Iterator[Vault]:
    """Whatever a test puts into it, the next one finds the lab on the values of before, and deployed as before."""
    content = lab.secrets.read_text()
    yield Vault(lab.secrets)
    lab.secrets.write_text(content)
    outcome = rotate()
    assert outcome.code == 0, outcome.err
    outcome = command("invoke", "deploy-core", "--tag", FIRST)
    assert outcome.code == 0, outcome.err


BROKEN = {
    "sha-000000a": 'CMD ["false"]',
    "sha-000000b": 'CMD ["sleep", "infinity"]',
    "sha-000000c": 'CMD ["sh", "-c", "DB_HOST=nowhere exec python -m ktrdr_backend"]',
    "sha-000000d": (
        'CMD ["sh", "-c", "if [ ! -e /tmp/lived ]; then touch /tmp/lived; exec >/dev/null 2>&1; fi; '
        'python -m ktrdr_backend & sleep 12; exit 7"]'
    ),
    # A layer that is no other image's, and does not compress.
    "sha-000000e": "USER root\nRUN head -c 6000000 /dev/urandom > /padding\nUSER ktrdr",
}
"""Images made from the first: it exits at once; never becomes healthy; is healthy without its database; is silent, dies when
it has been healthy for a while, and says something in its second life; takes room."""


@pytest.fixture(scope="session")
def broken(homes: Environment, backend_image: str) -> None:
    """They are in the lab's registry."""
    console = Console(err=sys.stderr)
    for tag, change in BROKEN.items():
        name = f"{homes.image_registry}/ktrdr-backend:{tag}"
        text = f"FROM {backend_image}\nENV KTRDR_VERSION={tag}\n{change}\n"
        build.run("build", "--quiet", "-t", name, "-", stdin=text.encode())
        push_backend(homes, Version(tag), console)


@pytest.fixture
def bench(deploy: Run, core: Host, get: Callable[[int, str], Any]) -> Iterator[Bench]:
    """A host with a row in its database; it is fixed, and runs the first tag again, whatever was done to it."""
    from .faults import Bench

    core.sql("CREATE TABLE IF NOT EXISTS fault (word text); INSERT INTO fault VALUES ('before the fault')")
    bench = Bench(core, get)
    yield bench
    bench.release()
    for hint in reversed(bench.hurt):
        hint()
    bench.free_ports()
    bench.settle()
    outcome = deploy("--tag", FIRST)
    assert outcome.code == 0, outcome.err
    core.sql("DROP TABLE IF EXISTS fault")
