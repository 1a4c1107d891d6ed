"""The development environment up and down, step by step."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy_lib.errors import DeployError, PreflightError, UsageError
from deploy_lib.host.look.registry_faults import fault_of
from deploy_lib.names import did_you_mean
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.secrets.value import Secret

from .. import docker as build
from .. import engine, images
from ..layout import alone
from ..project import DIRECTORY
from ..settings import FILE as LAB_FILE
from ..settings import parse
from . import health, ports, variables
from .compose import COMPOSE, find

PROFILE = "workers"
IMAGE = "ktrdr-backend:dev"
"""What the Compose file serves unless DEV_IMAGE is set."""

SHARED = "dev-shared"
_MADE_OF = ("pyproject.toml", "uv.lock", "docker/backend/pyproject.toml", "docker/backend/dev/reload.py")
_DOCKERFILES = ("docker/backend/Dockerfile", "docker/backend/dev/Dockerfile")

Say = Callable[[str], None]


def project_of(root: Path) -> str:
    """Two checkouts on one machine get two names."""
    return f"ktrdr-dev-{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:8]}"


def up(root: Path, say: Say, *, workers: bool = False) -> dict[str, Any]:
    """Brings the environment up, from nothing or from whatever is left of it, and says what it serves where.

    Args:
        say: gets a line about everything that is changed.
        workers: start the workers, too; those that run already stay, and become what the others are.

    Raises:
        DeployError: with what is missing on this machine, or what failed.
    """
    root, project = root.resolve(), project_of(root)
    with alone(root):
        if os.environ.get("DOCKER_HOST"):
            _require_engine()  # what that names is not ours to install or start
        engine.ensure(root / DIRECTORY, say)
        if done := variables.ensure(root, data=_database_of(project)):
            say(done)
        _redact(root)
        compose = find(root, project, say)
        model = compose.model(PROFILE)
        running = health.services(project)
        model["services"] = {
            name: spec
            for name, spec in model["services"].items()
            if workers or name in running or not spec.get("profiles")
        }
        ports.require(model, (root / COMPOSE).read_text(), project)
        served = str(model["services"]["backend"]["image"])
        origins = _images(root, model, served, say)
        _make_shared(root)
        say(f"starting {', '.join(model['services'])}")
        try:
            compose.run("--profile", PROFILE, "up", "-d", "--no-build", "--pull", "never", *model["services"])
        except DeployError as error:
            raise health.NotUpError(error.what, hint="invoke dev.logs shows why") from None
        services = health.await_healthy(project, set(model["services"]))
        urls = {
            f"{name}:{target}": f"http://127.0.0.1:{port}" for name, port, target in ports.published(model)
        }
        health.require_database(urls["backend:8000"])
    mode = "reload" if served == IMAGE else "image"
    return {
        "project": project,
        "mode": mode,
        "image": served,
        "urls": urls,
        "services": services,
        "images": origins,
    }


def down(root: Path, say: Say, *, volumes: bool = False) -> dict[str, Any]:
    """Stops it and removes its containers.

    Args:
        volumes: and its data.

    Raises:
        PreflightError: no engine answers.
    """
    root, project = root.resolve(), project_of(root)
    _require_engine()
    with alone(root):
        compose = find(root, project, say)
        compose.run("--profile", PROFILE, "down", *(["--volumes"] if volumes else []))
    return {"project": project, "volumes": "removed" if volumes else "kept"}


def logs(root: Path, say: Say, *, service: str | None, follow: bool, tail: int) -> int:
    """Shows what the containers write, on this process's own output; gives Compose's exit status.

    Raises:
        UsageError: there is no such service.
        PreflightError: no engine answers, or nothing runs.
    """
    root, project = root.resolve(), project_of(root)
    _require_engine()
    compose = find(root, project, say)
    known = compose.model(PROFILE)["services"]
    if service and service not in known:
        hint = did_you_mean(service, known) or f"there are {', '.join(known)}"
        raise UsageError(f"there is no service {service!r}", hint=hint)
    if not health.services(project):
        raise PreflightError("nothing runs here", hint="invoke dev.up")
    words = ["--follow"] if follow else []
    command = compose.command(
        "--profile", PROFILE, "logs", *words, "--tail", str(tail), *([service] if service else [])
    )
    with subprocess.Popen(command, env=compose.env, cwd=root, stdin=subprocess.DEVNULL) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()  # killed, a client would leave its container behind
            process.wait()
            raise


def _require_engine() -> None:
    if not engine.answers():
        raise PreflightError("no Docker Engine answers", hint="start Docker; then: invoke dev.up")


def _redact(root: Path) -> None:
    REDACTOR.add(Secret(value) for value in variables.secret_values(root).values())


def _database_of(project: str) -> str | None:
    name = f"{project}_postgres_data"
    return name if name in build.run("volume", "ls", "-q", "--filter", f"name={name}").split() else None


def _images(root: Path, model: dict[str, Any], served: str, say: Say) -> dict[str, str]:
    """Gets every image of the model, and says where each came from."""
    try:
        specs = parse((root / LAB_FILE).read_text(encoding="utf-8")).images
    except OSError as error:
        raise UsageError(f"{LAB_FILE}: {error}") from None
    public = dict.fromkeys(spec["image"] for spec in model["services"].values())
    public.pop(served)
    found: dict[str, str] = (
        {**images.obtain_all(public, {**specs}, root, say)}
        if served != IMAGE
        else {**images.obtain_all([*images.bases(specs), *public], specs, root, say)}
    )
    if served == IMAGE:
        _build(root, say)
        found[served] = "built"
    elif build.inspect(served, "{{.Id}}") is None:
        _pull(served, say)
        found[served] = "pulled"
    else:
        found[served] = "here"
    return {name: found[name] for name in (served, *public)}


def _build(root: Path, say: Say) -> None:
    """The image with the source's dependencies; the source itself is mounted, so a changed line builds nothing."""
    digest = hashlib.sha256()
    for name in (*_MADE_OF, *_DOCKERFILES):
        try:
            digest.update(f"{name}\0".encode() + (root / name).read_bytes() + b"\0")
        except OSError as error:
            raise UsageError(f"{name}: {error}") from None
    recipe = digest.hexdigest()[:24]
    if images.recipe_of(IMAGE) == recipe:
        return
    say(f"building {IMAGE}")
    backend, own = (root / name for name in _DOCKERFILES)
    build.build(root, backend, f"{IMAGE}-base")
    build.build(own.parent, own, IMAGE, arguments={"BACKEND": f"{IMAGE}-base"}, labels={build.LABEL: recipe})


def _pull(name: str, say: Say) -> None:
    say(f"pulling {name}")
    try:
        build.run("pull", "-q", name)
    except DeployError as error:
        said = error.what.splitlines()[-1].strip()
        hint = {
            # What a registry says of a name that it does not know, too.
            "refused": "is the name right? Otherwise docker login first, or build it: invoke build-backend --tag local",
            "missing": "is the name right? To build it: invoke build-backend --tag local",
            "limit": "wait, or docker login first",
        }.get(
            fault_of(0, said), "does the registry answer? To do without it: invoke build-backend --tag local"
        )
        raise PreflightError(
            f"DEV_IMAGE: {name} is not on this machine and cannot be pulled: {said}", hint=hint
        ) from None


def _make_shared(root: Path) -> None:
    """Compose must not make it: it would be root's."""
    try:
        (root / SHARED).mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"{SHARED}: {error}") from None
