"""`invoke build-backend`: the image of this checkout's commit."""

from __future__ import annotations

from pathlib import Path

from deploy_lib.cli.invocation import command
from deploy_lib.config import Environment
from deploy_lib.errors import UsageError
from deploy_lib.output.console import Console
from deploy_lib.release.release import Version
from deploy_lib.request import word
from deploy_lib.source import git, versions

from . import docker as build
from .pipeline import arguments, door, own_image

IMAGE = "ktrdr-backend"


def build_image(root: Path, *, tag: str | None = None, push: bool = False) -> None:
    """Builds the backend image, and pushes it.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with command("build-backend", root, as_json=False, debug=False) as (environment, console, _):
        asked = word("--tag", tag)
        # Of two meanings the commit: an image tag alone says nothing of what is to be built.
        version = versions.meant(environment, asked)[-1] if asked else versions.head(environment)
        console.say(f"environment {environment.name}: {environment.image_registry}/{IMAGE}:{version.tag}")
        if push and git.is_dirty(root):
            dirty = "the checkout has uncommitted changes"
            if not environment.allow_dirty:
                raise UsageError(dirty, hint="commit them, or build without --push")
            console.say(f"{dirty}: {version.tag} will contain them")
        build_backend(environment, version, console)
        if push:
            push_backend(environment, version, console)


def build_backend(environment: Environment, version: Version, console: Console) -> str:
    """Builds the image under its name in the environment's registry, and gives that name.

    Raises:
        DeployError: the build failed.
    """
    image = own_image(environment.root, "backend")
    name = f"{environment.image_registry}/{image.repository}:{version.tag}"
    console.step("image", "build", name)
    build.build(image.context, image.dockerfile, name, arguments=arguments(image, version))
    return name


def push_backend(environment: Environment, version: Version, console: Console) -> str:
    """Pushes the image, and gives its digest.

    Raises:
        DeployError: the registry refused the login or the image.
    """
    there = door(environment)
    local = f"{environment.image_registry}/{IMAGE}:{version.tag}"
    console.step("image", "push", local)
    with build.logged_in(there.host, there.username, there.password) as env:
        return build.push(local, there.host + local.removeprefix(environment.registry_host), env)
