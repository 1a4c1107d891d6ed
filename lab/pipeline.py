"""The steps of .github/workflows/build-images.yml: an image of this repository into its registry, and `latest`.

`invoke build-backend` and the lab build with the same functions. What an image is called comes from what deployments read:
deploy.toml (registry, a commit's tag) and the Compose files (a tag of its own).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy_lib.config import Environment
from deploy_lib.errors import UsageError
from deploy_lib.names import did_you_mean
from deploy_lib.output.console import Console
from deploy_lib.release.release import Version
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.secrets.sources import fetch
from deploy_lib.secrets.value import Secret
from deploy_lib.source import git, versions

from . import docker as build
from . import images
from .project import read
from .tags import RefusedError, Registry

USERNAME, PASSWORD = "REGISTRY_USERNAME", "REGISTRY_PASSWORD"
"""The login in the environment, where no vault has it: GitHub gives a job a token of its own."""


@dataclass(frozen=True)
class OwnImage:
    """An image that this repository makes.

    Attributes:
        name: its folder below docker/.
        repository: its name in the registry.
        fixed: the tag that the Compose files give it; None when that is the release's.
    """

    name: str
    repository: str
    dockerfile: Path
    context: Path
    fixed: str | None


def own_images(root: Path) -> dict[str, OwnImage]:
    """The images that lab.toml names a Dockerfile for, by their folders.

    Raises:
        UsageError: deploy.toml, lab.toml or a Compose file is wrong, or no Compose file has one of them.
    """
    project = read(root)
    found = {}
    for repository, spec in project.file.images.items():
        if spec.dockerfile is not None:
            dockerfile, tag = root / spec.dockerfile, images.tag_of(project, repository)
            name = dockerfile.parent.name
            context = images.context_of(project, spec)
            found[name] = OwnImage(name, repository, dockerfile, context, None if "$" in tag else tag)
    return found


def own_image(root: Path, name: str) -> OwnImage:
    """One of them.

    Raises:
        UsageError: there is no such image.
    """
    found = own_images(root)
    if name not in found:
        hint = did_you_mean(name, found) or f"there are {', '.join(found)}"
        raise UsageError(f"this repository makes no image {name!r}", hint=hint)
    return found[name]


def arguments(image: OwnImage, version: Version, source: str = "") -> dict[str, str]:
    """The build arguments of an image, as far as its Dockerfile declares them.

    Args:
        source: where its source is to be seen: a URL.
    """
    wanted = {"VERSION": version.tag, "REVISION": version.commit or "", "SOURCE": source}
    return images.arguments_of(image.dockerfile, {name: value for name, value in wanted.items() if value})


def buildx(
    image: OwnImage,
    names: Sequence[str],
    platforms: str,
    given: Mapping[str, str],
    *,
    cache: bool = False,
    attest: bool = True,
) -> tuple[list[str], dict[str, str]]:
    """The `docker` command that builds an image for several platforms and pushes it, and variables for its environment.

    Args:
        platforms: as buildx has them: "linux/amd64,linux/arm64".
        given: build arguments.
        cache: layers come from GitHub's cache, and go there; each image has its own.
        attest: provenance and SBOM go along.
    """
    inputs, env = build.inputs(given, {})
    command = ["buildx", "build", "--progress", "plain", "--push", "--platform", platforms]
    if attest:
        command += ["--attest", "type=provenance,mode=max", "--attest", "type=sbom"]
    if cache:
        scope = f"type=gha,scope={image.name}"
        command += ["--cache-from", scope, "--cache-to", f"{scope},mode=max"]
    command += [part for name in names for part in ("--tag", name)]
    return [*command, "--file", str(image.dockerfile), *inputs, str(image.context)], env


def login(environment: Environment) -> tuple[str, Secret]:
    """Who pushes: the environment's variables, or the login of deploy.toml; from now on no output shows the password.

    Raises:
        PreflightError: the source of secrets does not give the password.
    """
    if PASSWORD in os.environ:
        password = Secret(os.environ[PASSWORD])
        REDACTOR.add([password])
        return os.environ.get(USERNAME) or environment.registry.username, password
    name = environment.registry.password
    return environment.registry.username, fetch(environment, [name])[name]


@dataclass(frozen=True)
class Door:
    """How this machine reaches the registry of an environment: the lab's is known to its hosts by another name.

    Attributes:
        host: as this machine's Docker reaches it.
        registry: its HTTP interface.
    """

    host: str
    username: str
    password: Secret
    registry: Registry


def door(environment: Environment) -> Door:
    """See `Door`.

    Raises:
        UsageError: there is no lab.
        PreflightError: the source of secrets does not give the password.
    """
    username, password = login(environment)
    host = environment.registry_host
    if environment.name != "lab":
        return Door(host, username, password, Registry(host, username, password))
    from .layout import load

    lab = load(environment.root)
    # Its certificate is for names.
    name = f"localhost:{lab.ports['registry']}"
    authority = lab.directory / "registry" / "ca.crt"
    return Door(lab.registry, username, password, Registry(name, username, password, authority=authority))


def publish(
    environment: Environment,
    image: OwnImage,
    version: Version,
    console: Console,
    *,
    platforms: str = "",
    source: str = "",
    cache: bool = False,
    attest: bool = True,
) -> None:
    """Builds an image, and pushes it with its version's tag; with its own tag, too, unless the registry has that one.

    A tag that names the program's version stays where it is: a deployment would see a new image in each commit, and restart
    what nobody changed.

    Args:
        platforms: for buildx; without them this machine's platform is built, by whatever Docker is here.

    Raises:
        DeployError: the build failed, or the registry refused the login or the image.
    """
    there = door(environment)
    folder = environment.image_registry.partition("/")[2]
    tags = [version.tag]
    if image.fixed and not _has(there.registry, f"{folder}/{image.repository}", image.fixed):
        tags.append(image.fixed)
    names = [f"{environment.image_registry}/{image.repository}:{tag}" for tag in tags]
    given = arguments(image, version, source)
    for name in names:
        console.step("image", "build", name)
    with build.logged_in(there.host, there.username, there.password) as env:
        if platforms:
            command, more = buildx(image, names, platforms, given, cache=cache, attest=attest)
            build.run(*command, env={**env, **more}, quiet=False)
            return
        build.build(image.context, image.dockerfile, names[0], arguments=given)
        for name, tag in zip(names, tags, strict=True):
            console.step("image", "push", name)
            build.push(names[0], f"{there.host}/{folder}/{image.repository}:{tag}", env)


def _has(registry: Registry, repository: str, tag: str) -> bool:
    try:
        return registry.digest(repository, tag) is not None
    except RefusedError:
        # There may be no such image yet; a login that is no good is refused again by the push.
        return False


def move_latest(environment: Environment, console: Console) -> None:
    """Makes `latest` lead to the newest commit, of those that deployments look at, which has all images in the registry.

    Whoever calls this must be the only one at that time. Then an older commit never comes after a newer one, whichever was
    built first: it asks what is newest now, and not which commit it was started for.

    Raises:
        DeployError: no commit has all images, or the registry refuses the login or the tag.
    """
    registry = door(environment).registry
    folder = environment.image_registry.partition("/")[2]
    repositories = [f"{folder}/{image.repository}" for image in own_images(environment.root).values()]
    branch = environment.follows or "HEAD"
    for commit in git.candidates(environment.root, branch):
        tag = versions.of_commit(environment, commit.sha).tag
        digests = {name: registry.digest(name, tag) for name in repositories}
        if None in digests.values():
            continue
        for name, digest in digests.items():
            if registry.digest(name, versions.LATEST) == digest:
                console.say(f"{name}:{versions.LATEST} is {tag} already")
            else:
                registry.tag(name, tag, versions.LATEST)
                console.step("image", "tag", f"{name}:{versions.LATEST} is {tag}")
        return
    raise UsageError(
        f"none of the newest {git.CANDIDATES} commits of {branch} has all of its images in the registry",
        hint=f"it takes one of each: {', '.join(repositories)}",
    )
