"""Where a benchmark works: a checkout of its own, two releases of it in the running lab, and what the others need to deploy them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from deploy_lib.config import load
from deploy_lib.errors import DeployError
from deploy_lib.output.console import Console
from deploy_lib.release.release import Version
from lab import docker, hosts
from lab.backend import build_backend, push_backend
from lab.layout import Lab

from .stacks import OWN_DOCKER, STACKS

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
SLIGHT = "# A line that changes nothing but this file: "
CHANGED = "monitoring/prometheus/prometheus.yml"
"""The one file that changes in "one changed file"; Prometheus reads it again on SIGHUP."""

_ROLLING = re.compile(r"^\[\[stacks\.core\.rolling\]\]\n(?:[^\n\[]+\n)*", re.MULTILINE)


@dataclass
class Place:
    """A folder for one benchmark. It has secrets of the lab, so only its owner may read it, and it is removed at the end.

    Attributes:
        tags: of the two releases; both images are in the lab's registry.
        ssh_config: the one that all contenders use.
        at: the tag that core runs and has recorded; "" where somebody else than this project has changed it.
        rolls: this project replaces core's API without losing a request, which nobody else does.
    """

    root: Path
    lab: Lab
    folder: Path
    say: Callable[[str], None]
    tags: tuple[str, str] = ("", "")
    at: str = ""
    rolls: bool = True
    changes: int = 0
    env: dict[str, str] = field(default_factory=dict)
    _rolling: str = ""

    @property
    def checkout(self) -> Path:
        """The checkout that this project deploys from."""
        return self.folder / "checkout"

    @property
    def ssh_config(self) -> Path:
        """The one that all contenders use."""
        return self.checkout / ".lab" / "ssh_config"

    @property
    def log(self) -> Path:
        """What the commands have printed; it stays, for whoever asks why one failed."""
        return self.lab.directory / "bench.log"

    @cached_property
    def secrets(self) -> dict[str, str]:
        """The values that the stacks need, by the variable's name; the registry's password among them."""
        fields = json.loads(self.lab.secrets.read_text())
        environment = self.lab.project.environment
        return {name: fields[spec.field] for name, spec in environment.secrets.items()}

    def files(self, node: str, tag: str) -> Path:
        """The files of a release of a node, as they lie on its host."""
        return self.folder / "files" / (f"{node}-{tag}" if node == "core" else node)

    def ours(self, *words: str) -> list[str]:
        """A command of this project."""
        return [str(BIN / "invoke"), *words]

    def ssh(self, node: str, script: str, stdin: bytes = b"") -> bytes:
        """Runs something on a host.

        Raises:
            DeployError: it failed.
        """
        host = self.lab.host(node).name
        command = ["ssh", "-F", str(self.lab.ssh_config), host, script]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=120)
        if done.returncode:
            raise DeployError(f"on {node}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def must(self, *words: str) -> None:
        """Runs a command of this project, which is not measured.

        Raises:
            DeployError: it failed.
        """
        done = subprocess.run(
            self.ours(*words), cwd=self.checkout, env=self.env, capture_output=True, text=True, timeout=600
        )
        with self.log.open("a") as log:
            log.write(f"\n$ invoke {' '.join(words)}\n{done.stdout}{done.stderr}")
        if done.returncode:
            raise DeployError(f"invoke {' '.join(words)}: {done.stderr.strip()[-2000:]}")

    def roll(self, rolls: bool) -> None:
        """Whether core's API is rolled from now on; the others, and the bare commands, replace it at once."""
        if rolls != self.rolls:
            description = self.checkout / "deploy.toml"
            text = description.read_text()
            if not rolls:
                self._rolling = "\n".join(_ROLLING.findall(text))
            description.write_text(text + self._rolling if rolls else _ROLLING.sub("", text))
            commit(self, "core's API is rolled" if rolls else "core's API is replaced at once")
            self.rolls = rolls

    def settle(self, tag: str) -> None:
        """Core is on a release, and recorded so."""
        if self.at != tag:
            self.must("deploy-core", "--tag", tag)
            self.at = tag


@contextmanager
def place(root: Path, lab: Lab, console: Console) -> Iterator[Place]:
    """Makes the folder and its checkout; `put` deploys what most cases begin with, and leaves the lab with that.

    Raises:
        DeployError: git failed.
    """
    folder = lab.directory / "bench"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("nodes", "files", "bin", "cp"):
        (folder / name).mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    (lab.directory / "bench.log").write_text("")
    made = Place(root, lab, folder, console.say)
    made.env = {
        **os.environ,
        "DEPLOY_ENV": "lab",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "BENCH_WORK": str(folder),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "ansible"),
    }
    try:
        made.tags = _check_out(made)
        use_ports(made, {})
        yield made
    finally:
        with suppress(DeployError):
            for node in lab.project.environment.nodes:
                made.ssh(node, f"rm -rf {OWN_DOCKER}")
        # The hosts and the lab's registry keep theirs.
        names = [f"{lab.project.environment.image_registry}/ktrdr-backend:{tag}" for tag in made.tags if tag]
        if names:
            subprocess.run([docker.docker(), "rmi", *names], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def put(made: Place, nodes: Sequence[str], console: Console) -> None:
    """Builds the images of both releases, and deploys both releases of core, and the first one of the workers, and keeps the files that they have on their hosts.

    Raises:
        DeployError: a build or a deployment failed.
    """
    first, second = made.tags
    environment = load(made.root, "lab")
    for tag in (second, first):
        build_backend(environment, Version(tag), console)
        push_backend(environment, Version(tag), console)
        made.must("deploy-core", "--tag", tag)
        _fetch(made, "core", tag)
    made.at = first
    others = [node for node in nodes if node != "core"]
    if others:
        made.must("deploy-all", "--tag", first)
    for node in others:
        _fetch(made, node, first)
    for node in nodes:
        made.ssh(node, f"mkdir -p -m 700 {OWN_DOCKER}")


def _fetch(made: Place, node: str, tag: str) -> None:
    own = made.lab.project.environment.nodes[node]
    stack = STACKS[own.stack_name]
    names = [stack.compose, stack.env_file, "release.yml", "release.env", *stack.more]
    into = made.files(node, tag)
    into.mkdir(parents=True)
    packed = made.ssh(node, f"cd {own.directory} && tar -cf - {' '.join(names)}")
    subprocess.run(["tar", "-xf", "-", "-C", str(into)], input=packed, check=True)


def use_ports(made: Place, ports: Mapping[str, int]) -> None:
    """All contenders reach the hosts by these loopback ports from now on.

    Args:
        ports: by node; the lab's own where one is missing.
    """
    text = made.lab.ssh_config.read_text()
    for machine in made.lab.machines:
        own = made.lab.port(machine.node, 22)
        text = text.replace(f"Port {own}\n", f"Port {ports.get(machine.node, own)}\n")
    made.ssh_config.write_text(text)


_LEFT_OUT = {"deploy_lib", "lab", "bench", "tests", "docs"}
"""Of the checkout: what is imported from there, and what no deployment reads."""


def _check_out(made: Place) -> tuple[str, str]:
    """Copies what this checkout deploys, makes two commits of it, and gives their tags.

    Like the home lab's, a commit's tag means one image for ever here (no `allow_dirty`).
    """
    clone = made.checkout
    # The library and the lab are those of this checkout, with byte code, as an installation has them.
    clone.mkdir()
    for path in made.root.iterdir():
        if path.name.startswith(".") or path.name in _LEFT_OUT:
            continue
        if path.is_dir():
            shutil.copytree(path, clone / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, clone / path.name)
    (clone / ".gitignore").write_text(".lab/\n__pycache__/\n")
    description = clone / "deploy.toml"
    lines = description.read_text().splitlines(keepends=True)
    description.write_text("".join(line for line in lines if not line.startswith("allow_dirty")))
    _git(clone, "init", "-q", "-b", "main")
    _git(clone, "add", "-A")
    compile_own(made.root)
    tags = []
    for number in ("first", "second"):
        commit(made, f"The {number} release")
        sha = _git(clone, "rev-parse", "HEAD")
        tags.append(load(made.root, "lab").versions.tag_of(sha))
    (clone / ".lab").mkdir(mode=0o700)
    (clone / ".lab" / "secrets.json").symlink_to(made.lab.secrets)
    return tags[0], tags[1]


def commit(made: Place, message: str) -> None:
    """Commits what was changed in the checkout."""
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")
    _git(made.checkout, *identity, "commit", "-qam", message, "--allow-empty")


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True)
    if done.returncode:
        raise DeployError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def compile_own(root: Path) -> None:
    """Byte code for this project's own modules, which `scripts/run` makes too."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "compileall", "-q", "deploy_lib", "lab", "fabfile"]
    subprocess.run(command, cwd=root, env=env, capture_output=True, check=False)


def forget_image(made: Place, node: str, tag: str) -> None:
    """Removes a release's image from a host, whatever else names it there; its layers that others have stay."""
    text = (made.files(node, tag) / "release.yml").read_text()
    found = re.search(rf"[^\s\"']+:{re.escape(tag)}@(sha256:[0-9a-f]+)", text)
    if found is None:
        raise DeployError(f"the release {tag} of {node} names no image of that tag by digest")
    name = f"{found[0].partition('@')[0].rpartition(':')[0]}@{found[1]}"
    script = f"id=$(docker image inspect --format '{{{{.Id}}}}' {name} 2>/dev/null) || exit 0; docker rmi -f $id >/dev/null"
    made.ssh(node, script)


def execute(made: Place, node: str, script: str) -> str:
    """Runs something in a host's container, and not over SSH."""
    return hosts.execute(made.lab, node, "sh", "-c", script)
