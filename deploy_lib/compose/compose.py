"""What this program knows of Compose: its files, its command line, its labels, its containers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml

from deploy_lib import layout, shell
from deploy_lib.config import Stack
from deploy_lib.errors import UsageError
from deploy_lib.host.answers import number, text, texts, understand
from deploy_lib.shell import quote, words

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
HASH_LABEL = "com.docker.compose.config-hash"
NUMBER_LABEL = "com.docker.compose.container-number"
ONEOFF_LABEL = "com.docker.compose.oneoff"
SECRETS_LABEL = "io.ktrdr.deploy.secrets"
DELIVERY_LABEL = "io.ktrdr.deploy.delivery"
"""On containers whose secrets are files in memory: where those lie."""
SECRETS_DIRECTORY = PurePosixPath("/run/secrets")
"""Where a Compose secret lies in its container, unless its target is an absolute path."""


@dataclass(frozen=True)
class StackFile:
    """What is read from a Compose file before any host is asked.

    Attributes:
        project: its fixed `name:`.
        secrets: by service, the environment names of the Compose secrets that it gets.
        places: by environment name, the services that get it and where it lies in their containers.
        sources: by the secret's key in the file, its environment name.
    """

    project: str
    secrets: Mapping[str, tuple[str, ...]]
    places: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def secret_names(self) -> list[str]:
        """Every secret that the stack needs."""
        return sorted({name for names in self.secrets.values() for name in names})

    def files_in(self, directory: PurePosixPath) -> dict[str, str]:
        """By a secret's key, the file below `directory` that has its value."""
        return {key: str(directory / name) for key, name in sorted(self.sources.items())}


@dataclass(frozen=True)
class Service:
    """A service as the host's own Compose renders it.

    Attributes:
        image: the reference, its variables filled in.
        replicas: how many containers it is to have.
        ports: published ports of the host.
    """

    name: str
    image: str
    replicas: int = 1
    ports: tuple[int, ...] = ()


@dataclass(frozen=True)
class Container:
    """A container of the project, as `docker inspect` describes it.

    Attributes:
        image: the reference it was created from.
        state: such as "running", "exited", "restarting".
        health: "healthy", "unhealthy", "starting", or None without a health check.
        started: RFC 3339.
        ports: of the host, that lead to it.
    """

    id: str
    name: str
    service: str
    image: str
    image_id: str
    state: str
    health: str | None
    exit_code: int
    restarts: int
    started: str
    labels: Mapping[str, str] = field(default_factory=dict, repr=False)
    ports: tuple[int, ...] = ()

    @property
    def config_hash(self) -> str:
        """Compose's own hash of the configuration that it was created with."""
        return self.labels.get(HASH_LABEL, "")

    @property
    def well(self) -> bool:
        """Running, and healthy where there is a check."""
        return self.state == "running" and self.health in (None, "healthy")


# By the names of Docker's own types: with one that only its JSON has (.Id), it falls back to that JSON, in which a container
# without a health check has no .State.Health to ask for.
_FIELDS = {
    "id": ".ID",
    "name": ".Name",
    "image": ".Config.Image",
    "image_id": ".Image",
    "state": ".State.Status",
    "exit_code": ".State.ExitCode",
    "restarts": ".RestartCount",
    "started": ".State.StartedAt",
    "labels": ".Config.Labels",
    "ports": ".HostConfig.PortBindings",
}
INSPECT = (
    "{"
    + ",".join(f'"{name}":{{{{json {path}}}}}' for name, path in _FIELDS.items())
    + ',"health":{{if .State.Health}}{{json .State.Health.Status}}{{else}}null{{end}}}'
)
"""Format for `docker inspect`: one JSON object a line, without the container's environment."""


def containers_command(project: str) -> str:
    """Shell function `containers`: one line of JSON for each container of the project, stopped ones too.

    One that goes away meanwhile is left out; where the engine does not tell of them it fails, and says nothing of any.
    """
    chosen = f"docker ps -aq --no-trunc --filter {quote(f'label={PROJECT_LABEL}={project}')}"
    return f"""\
{shell.INSPECT}
containers() {{ ids=$({chosen}) && inspect {quote(INSPECT)} $ids; }}
"""


def parse_container(line: str) -> Container | None:
    """A line of `containers`; None for a one-off container, which is no part of the running stack.

    Raises:
        NotUnderstoodError: it is something else.
    """
    return understand("what Docker says of a container", lambda: _container(json.loads(line)))


def _container(data: Any) -> Container | None:
    labels = texts(data["labels"] or {})
    if labels.get(ONEOFF_LABEL) == "True":
        return None
    bindings = [binding for several in (data["ports"] or {}).values() for binding in several or []]
    ports = sorted({int(text(b, "HostPort")) for b in bindings if text(b, "HostPort").isdecimal()})
    return Container(
        id=text(data, "id"),
        name=text(data, "name").removeprefix("/"),
        service=labels.get(SERVICE_LABEL, ""),
        image=text(data, "image"),
        image_id=text(data, "image_id"),
        state=text(data, "state"),
        health=None if data["health"] is None else text(data, "health"),
        exit_code=number(data, "exit_code"),
        restarts=number(data, "restarts"),
        started=text(data, "started"),
        labels=labels,
        ports=tuple(ports),
    )


def read_stack_file(content: bytes, path: str) -> StackFile:
    """Reads a Compose file for what has to be known before a host is asked.

    Raises:
        UsageError: it is not YAML, or lacks what this program relies on.
    """
    data = load_yaml(content, path)
    try:
        return _stack_file(data, path)
    except (AttributeError, LookupError, TypeError, ValueError):
        mend = f"see what Compose says of it: docker compose -f {path} config"
        raise UsageError(
            f"{path} is YAML, but no Compose file: a list or a text is where names should be", mend=mend
        ) from None


def load_yaml(content: bytes | str, path: str) -> Any:
    """The data of a YAML file.

    Raises:
        UsageError: it is none.
    """
    try:
        return yaml.safe_load(content)
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # such as a date that no calendar has
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise UsageError(f"{path} is not valid YAML{line}") from None


def _stack_file(data: Any, path: str) -> StackFile:
    if not isinstance(data, dict) or not isinstance(data.get("services"), dict):
        raise UsageError(f"{path} has no services")
    if not isinstance(data.get("name"), str):
        raise UsageError(
            f"{path} has no fixed name:",
            mend="set one; with another name Compose would give the stack new and empty volumes",
        )
    sources = data.get("secrets") or {}
    used: dict[str, tuple[str, ...]] = {}
    places: dict[str, tuple[tuple[str, str], ...]] = {}
    keys: dict[str, str] = {}
    for service, spec in data["services"].items():
        names = []
        for entry in (spec or {}).get("secrets") or []:
            key, target = (
                (entry["source"], entry.get("target") or entry["source"])
                if isinstance(entry, dict)
                else (entry, entry)
            )
            variable = (sources.get(key) or {}).get("environment")
            if variable is None:
                raise UsageError(
                    f"{path}: the secret {key!r} of {service} has no `environment:` as its source",
                    mend="this program hands secrets to Compose as environment, never as files",
                )
            names.append(variable)
            keys[key] = variable
            places[variable] = (*places.get(variable, ()), (service, str(SECRETS_DIRECTORY / target)))
        used[service] = tuple(sorted(names))
    return StackFile(data["name"], used, places, keys)


def parse_config(content: str) -> dict[str, Service]:
    """Services from `docker compose config --format json`.

    Raises:
        NotUnderstoodError: it is something else.
    """

    def parse() -> dict[str, Service]:
        services = json.loads(content)["services"]
        return {name: _service(name, spec) for name, spec in sorted(services.items())}

    return understand("the Compose file as the host's Compose renders it", parse)


def _service(name: str, spec: Mapping[str, Any]) -> Service:
    replicas = (spec.get("deploy") or {}).get("replicas", spec.get("scale", 1))
    ports = tuple(
        int(p["published"]) for p in spec.get("ports") or [] if str(p.get("published", "")).isdecimal()
    )
    image = text(spec, "image") if "image" in spec else ""
    return Service(name, image, 1 if replicas is None else int(replicas), ports)


def delivered_in(secret_files: Mapping[str, str]) -> str:
    """The directory of a release's secret files, "" without any."""
    return str(PurePosixPath(min(secret_files.values())).parent) if secret_files else ""


def override(
    images: Mapping[str, str], secrets: Mapping[str, str], secret_files: Mapping[str, str] | None = None
) -> bytes:
    """The generated file that pins a release: images by digest, and labels that change when a secret does.

    Args:
        images: by service, `repository:tag@sha256:...`.
        secrets: by service, the fingerprints of its secret values.
        secret_files: by a secret's key in the Compose file, the file that has its value; none: Compose's own environment
            has it. Compose would take a container with the old source for one that is as it should be, hence a label.
    """
    files = secret_files or {}
    delivery = {DELIVERY_LABEL: delivered_in(files)} if files else {}
    services: dict[str, dict[str, Any]] = {}
    for name, image in sorted(images.items()):
        services[name] = {"image": image}
        if secrets.get(name):
            services[name]["labels"] = {
                SECRETS_LABEL: secrets[name],
                **delivery,
            }
    body = yaml.safe_dump({"services": services}, sort_keys=True, width=1000)
    # The Compose file's own source would stand beside this one, and a secret has only one.
    sources = "".join(
        f"  {json.dumps(key)}: {{environment: !reset null, file: {json.dumps(path)}}}\n"
        for key, path in sorted(files.items())
    )
    return (
        f"# Generated by each deployment; changes made here are drift.\n{body}"
        + (f"secrets:\n{sources}" if sources else "")
    ).encode()


def read_override(content: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """Images and secret fingerprints by service: the inverse of `override`."""
    services = yaml.safe_load(content)["services"]
    images = {name: spec["image"] for name, spec in services.items()}
    labels = {name: spec["labels"][SECRETS_LABEL] for name, spec in services.items() if "labels" in spec}
    return images, labels


_PLAIN = re.compile(r"[^'\n\r\0]*\Z")


def variables_file(variables: Mapping[str, str]) -> bytes:
    """An env file whose values Compose takes literally.

    Raises:
        UsageError: a value that no such file can hold.
    """
    for name, value in variables.items():
        if not _PLAIN.match(value):
            raise UsageError(f"the value of {name} holds a quote or a line end, which an env file cannot")
    lines = [f"{name}='{value}'\n" for name, value in sorted(variables.items())]
    return ("# Generated by each deployment; changes made here are drift.\n" + "".join(lines)).encode()


def command(
    stack: Stack,
    project: str,
    directory: PurePosixPath,
    *arguments: str,
    files_in: PurePosixPath | None = None,
) -> str:
    """A `docker compose` call for a deployed stack.

    The project is named outright: a COMPOSE_PROJECT_NAME in the host's environment would win over the file's.

    Args:
        directory: the stack's on the host.
        files_in: where the files lie, when not there.
    """
    place = files_in or directory
    compose = place / PurePosixPath(stack.compose).name
    env_file = place / PurePosixPath(stack.env_file).name
    files = ["-f", compose, "-f", place / layout.OVERRIDE]
    env_files = ["--env-file", env_file, "--env-file", place / layout.VARIABLES]
    return _compose(project, quote(directory), words(*files, *env_files), arguments)


def render_command(stack: Stack, project: str) -> str:
    """The call that renders a stack's files in `$t/files`; values not in its env file come from the environment."""
    compose = PurePosixPath(stack.compose).name
    env_file = PurePosixPath(stack.env_file).name
    files = f'-f "$t"/files/{quote(compose)} --env-file "$t"/files/{quote(env_file)}'
    return _compose(project, '"$t"/files', files, ["config", "--format", "json"])


def hash_command(stack: Stack, project: str, directory: PurePosixPath) -> str:
    """The call that prints each service's configuration hash, for a stack's files in `$t`.

    Args:
        directory: the stack's on the host, which the hashes depend on.
    """
    names = [quote(PurePosixPath(path).name) for path in (stack.compose, stack.env_file)]
    files = f'-f "$t"/{names[0]} -f "$t"/{layout.OVERRIDE} --env-file "$t"/{names[1]} --env-file "$t"/{layout.VARIABLES}'
    return _compose(project, quote(directory), files, ["config", "--hash", "*"])


def clear_halves(project: str) -> str:
    """A command that removes what Compose had made to take a container's place when its host went down.

    It bears that container's id before its name until it does, and was never started; left there, the next `up` runs into
    it ("the container name is already in use").
    """
    found = words(
        "docker", "ps", "-a", "--filter", f"label={PROJECT_LABEL}={project}", "--filter", "status=created"
    )
    half = "[0-9a-f]" * 12
    return (
        f"{{ {found} --format '{{{{.ID}}}} {{{{.Names}}}}' | while read -r i n; do "
        f'case $n in {half}_*) docker rm "$i" >/dev/null;; esac; done; true; }}'
    )


def down_command(project: str) -> str:
    """The call that takes a stack down; no volume is removed, and no file is read, so that nothing has to be filled in."""
    return words("docker", "compose", "-p", project, "down", "--remove-orphans")


def _compose(project: str, directory: str, files: str, arguments: Sequence[str]) -> str:
    return f"docker compose -p {quote(project)} --project-directory {directory} {files} {words(*arguments)}"
