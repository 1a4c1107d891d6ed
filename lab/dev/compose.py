"""Compose on this machine: the plugin of its Docker, or, where there is none, the same program in a container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy_lib.compose.variables import variables
from deploy_lib.errors import DeployError, PreflightError, UsageError

from .. import docker as build
from .. import images
from ..settings import RELEASE
from .variables import EXAMPLE, FILE

COMPOSE = Path("compose/docker-compose.dev.yml")
IMAGE = f"ktrdr-lab/compose:{RELEASE}"
OVERRIDING = "DEV_"
"""What the shell's variables begin with that go before those of .env.dev: none of its secrets can slip in."""


@dataclass(frozen=True)
class Compose:
    """Compose for one project.

    Attributes:
        program: its command line, up to Compose's own arguments.
        project: the name that its containers, volumes and networks have.
        env: the environment that it is called with.
    """

    program: tuple[str, ...]
    root: Path
    project: str
    env: Mapping[str, str]

    def command(self, *arguments: str) -> list[str]:
        """A whole command line, from Compose's own arguments."""
        env_file = FILE if (self.root / FILE).exists() else EXAMPLE
        files = ("-f", str(self.root / COMPOSE), "--env-file", str(self.root / env_file))
        return [*self.program, "--ansi", "never", "-p", self.project, *files, *arguments]

    def run(self, *arguments: str) -> str:
        """Runs it and gives its standard output.

        Raises:
            DeployError: it failed; with the last lines of what it said.
        """
        code, out, said = self._run(*arguments)
        if code:
            raise DeployError(f"docker compose failed: {said or f'exit {code}'}")
        return out

    def model(self, *profiles: str) -> dict[str, Any]:
        """The file with its variables put in, as Compose reads it.

        Raises:
            UsageError: Compose refuses it, or a variable's value.
        """
        chosen = [word for profile in profiles for word in ("--profile", profile)]
        code, out, said = self._run(*chosen, "config", "--format", "json")
        if code:
            raise UsageError(f"{COMPOSE}, with {FILE} and the shell's {OVERRIDING}... variables: {said}")
        found: dict[str, Any] = json.loads(out)
        return found

    def _run(self, *arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            self.command(*arguments),
            env=self.env,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        return done.returncode, done.stdout, " / ".join(done.stderr.strip().splitlines()[-3:])


def find(root: Path, project: str, say: images.Say) -> Compose:
    """Compose for this checkout.

    Raises:
        PreflightError: the engine is not on this machine.
        DeployError: the container's image can be neither pulled nor made.
    """
    read = variables((root / COMPOSE).read_bytes(), str(COMPOSE))
    names = {*read.read, *read.secrets}
    env = {
        name: value
        for name, value in os.environ.items()
        if (name not in names or name.startswith(OVERRIDING)) and not name.startswith("COMPOSE_")
    }
    socket, program = _socket(), plugin()
    if program is None:
        program = _container(root, [name for name in names if name in env], socket, say)
    return Compose(program, root, project, env)


def plugin() -> tuple[str, ...] | None:
    """The `docker compose` of this machine."""
    for name in ("docker", "/usr/bin/docker"):
        path = shutil.which(name)
        if path and subprocess.run([path, "compose", "version"], capture_output=True).returncode == 0:
            return path, "compose"
    return None


def _socket() -> str:
    """The engine's: source and ports are this machine's, so it has to be here."""
    address = os.environ.get("DOCKER_HOST") or build.run(
        "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"
    )
    address = address.strip()
    if not address.startswith(("unix://", "npipe://")):
        raise PreflightError(
            f"docker works with {address}, and the source that is served lies on this machine",
            hint="docker context use default, and no DOCKER_HOST",
        )
    return address.partition("://")[2]


def _container(root: Path, names: Sequence[str], socket: str, say: images.Say) -> tuple[str, ...]:
    images.obtain_base(RELEASE, root, say)
    images.make(IMAGE, images.RECIPES / "compose", {"BASE": images.BASE}, say)
    mounts = (f"{socket}:/var/run/docker.sock", f"{root}:{root}:ro")
    return (
        *(build.docker(), "run", "--rm", "--init", "--network", "none", "-w", str(root)),
        *(word for mount in mounts for word in ("-v", mount)),
        # Their values come from the environment of the docker command, and stand in no command line.
        *(word for name in names for word in ("-e", name)),
        IMAGE,
    )
