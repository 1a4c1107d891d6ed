"""Compose on a host: pull, up, wait until healthy, and back to a digest."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from math import ceil

from fabric import Connection

from deploy_lib import layout
from deploy_lib.answers import understand
from deploy_lib.compose.command import compose_command, up_command
from deploy_lib.compose.container import Container, containers_function, read_container
from deploy_lib.compose.model import read_model
from deploy_lib.compose.override import override_file
from deploy_lib.compose.project import Project
from deploy_lib.compose.service import Service
from deploy_lib.errors import DeployError, RemoteError
from deploy_lib.host.change.launch import launcher
from deploy_lib.host.change.signs import END, MARK
from deploy_lib.host.prove.health import Gate
from deploy_lib.operations.connections import Values, revealed, session_on
from deploy_lib.operations.files import put_files
from deploy_lib.operations.registry import RegistryLogin
from deploy_lib.release.image import Image
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.shell import quote
from deploy_lib.values import replace

PULL_TIMEOUT = 1800.0
UP_TIMEOUT = 600.0

INTERVAL = 1.0
"""Seconds between two looks at the containers."""


class ComposeError(DeployError):
    """Compose failed; with its last lines."""


class UnhealthyError(DeployError):
    """A service is not healthy."""


def compose_pull(
    connection: Connection,
    project: Project,
    *,
    login: RegistryLogin | None = None,
    env: Values | None = None,
    timeout: float = PULL_TIMEOUT,
) -> dict[str, str]:
    """Pulls the images of a project; gives them by service, as `repository:tag@sha256:...`.

    An image that no registry has given a digest, because it was built or loaded on the host, is named by its id.

    Args:
        login: see `docker_login`; none for public images, or a host that is logged in.
        env: the variables that the Compose files need.
        timeout: seconds for all images together.

    Raises:
        CommandError: an image cannot be pulled, or the Compose files cannot be read.
    """
    session = session_on(connection)
    script = pull_script(project, login)
    said = session.run(script, env=revealed(env or {}), timeout=timeout, step="pull").stdout
    model, _, listed = said.partition(_IMAGES)
    known = understand("the images on the host", lambda: dict(_image(line) for line in listed.splitlines()))
    services = read_model(model)
    return {name: known[service.image] for name, service in services.items() if service.image in known}


_IMAGES = "\n=== images\n"


def _image(line: str) -> tuple[Image, str]:
    """An image by its name, and as it is pinned."""
    name, image_id, *digests = line.split()
    return Image.parse(name), _pinned(name, image_id, digests)


def pull_script(project: Project, login: RegistryLogin | None) -> str:
    """Pulls, and prints the model and then, for each image, its name, its id and the digests that it is known by."""
    form = "{{.Id}}{{range .RepoDigests}} {{.}}{{end}}"
    return f"""\
{f"export DOCKER_CONFIG={quote(login.configuration)}" if login else ":"}
{compose_command(project, "pull", "--quiet", "--ignore-buildable")} >/dev/null || exit
{compose_command(project, "config", "--format", "json")} || exit
printf '\\n%s\\n' {quote(_IMAGES.strip())}
for x in $({compose_command(project, "config", "--images")} | sort -u); do
  printf '%s ' "$x"; docker image inspect --format {quote(form)} "$x" || exit
done
"""


def compose_up(
    connection: Connection,
    project: Project,
    *,
    images: Mapping[str, str] | None = None,
    env: Values | None = None,
    timeout: float = UP_TIMEOUT,
) -> None:
    """Creates, recreates and removes the containers of a project, as its files say; it pulls no images: see `compose_pull`.

    Compose runs detached, so that it goes on when the session ends: otherwise it would die with the session, and leave a
    service down.

    Args:
        images: by service, the exact image that it is to run, as `compose_pull` gives it; written to `release.yml` in the
            project's directory.
        env: the variables and secrets that the Compose files need.
        timeout: seconds that it may take.

    Raises:
        ComposeError: it failed, or took too long.
        RemoteError: the session ended.
    """
    session = session_on(connection)
    if images:
        put_files(
            connection,
            {
                layout.OVERRIDE: override_file(
                    {service: Image.parse(image) for service, image in images.items()}, {}
                )
            },
            project.directory,
        )
        project = pinned(project)
    detached = f"timeout -k 10 {max(1, ceil(timeout))} {up_command(project)}\n"
    said: list[str] = []
    ending = f"{MARK}{END} "
    with session.start(
        launcher(project.name, detached), env=revealed(env or {}), timeout=timeout + 30
    ) as process:
        for line in process:
            if line.startswith(ending):
                code = int(line.removeprefix(ending))
                break
            if not line.startswith(MARK.rstrip()):
                said.append(REDACTOR.clean(line))
        else:
            raise RemoteError("the session ended while Compose was running", node=session.node, step="up")
    if code:
        reason = "it did not end in time" if code in (124, 137) else f"exit status {code}"
        lines = "".join(f"\n    {line}" for line in said[-8:] if line.strip())
        raise ComposeError(f"Compose failed: {reason}{lines}", node=session.node, step="up")


def pinned(project: Project) -> Project:
    """The project with the file that pins its images."""
    if layout.OVERRIDE in project.files:
        return project
    return replace(project, files=(*project.files, layout.OVERRIDE))


def go_back(
    connection: Connection,
    project: Project,
    images: Mapping[str, str],
    *,
    env: Values | None = None,
    timeout: float = UP_TIMEOUT,
) -> list[Container]:
    """Takes services back to exact images that the host still has, and waits until they are healthy.

    Args:
        images: by service, what `compose_pull` gave when they were deployed.
        env: the variables and secrets that the Compose files need; the old values are not restored by themselves.

    Raises:
        ComposeError: Compose failed; an image may be gone.
        UnhealthyError: they do not become healthy.
    """
    compose_up(connection, project, images=images, env=env, timeout=timeout)
    return wait_until_healthy(connection, pinned(project), env=env, timeout=timeout)


def wait_until_healthy(
    connection: Connection, project: Project, *, env: Values | None = None, timeout: float = 180
) -> list[Container]:
    """Waits until every service of a project has its containers, and each is running, steady and healthy.

    Args:
        env: the variables that the Compose files need.
        timeout: seconds.

    Raises:
        UnhealthyError: a container keeps crashing, or its health check fails, or the time is over.
        CommandError: the host does not list the containers.
    """
    session, began = session_on(connection), time.monotonic()
    model = session.run(
        compose_command(project, "config", "--format", "json"), env=revealed(env or {}), step="health"
    )
    services: Mapping[str, Service] = read_model(model.stdout)
    ends = {name: service.ends for name, service in services.items() if service.ends}
    gate = Gate({name: service.replicas for name, service in services.items()}, {}, ends)
    script = f"{containers_function(project)}\ncontainers"
    while True:
        lines = session.run(script, step="health").stdout.splitlines()
        found = [c for line in lines if line.strip() and (c := read_container(line))]
        problems = gate.look(found)
        if not problems:
            return found
        late = time.monotonic() - began > timeout
        if late or any(problem.final for problem in problems):
            worst = sorted(problems, key=lambda p: not p.final)[0]
            raise UnhealthyError(
                f"{worst.service} is not healthy: {worst.problem}", node=session.node, step="health"
            )
        time.sleep(INTERVAL)


def _pinned(name: str, image_id: str, digests: Sequence[str]) -> str:
    """An image with the digest that its own repository knows it by; by its id when there is none."""
    image = Image.parse(name)
    for known in map(Image.parse, digests):
        if image.with_digest(known.digest).listed == known.listed:
            return str(image.with_digest(known.digest))
    return image_id
