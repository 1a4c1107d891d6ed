"""A stack as this checkout has it, read before any host is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deploy_lib.compose.file import StackFile, read_stack_file
from deploy_lib.config import Environment, Node, Stack
from deploy_lib.errors import UsageError
from deploy_lib.names import did_you_mean
from deploy_lib.source.files import collect


@dataclass(frozen=True)
class Local:
    """A stack's files, and what its Compose file says."""

    files: Mapping[str, bytes]
    file: StackFile


def read_stack(environment: Environment, node: Node) -> Local:
    """The stack's files.

    Raises:
        UsageError: one is missing or broken, or deploy.toml and the Compose file do not agree on a name.
    """
    files = collect(environment.root, node.stack)
    path = node.stack.compose
    file = read_stack_file(files[path.rpartition("/")[2]], path)
    undeclared = [name for name in file.secret_names if name not in environment.secrets]
    if undeclared:
        raise UsageError(
            f"{path} needs the secret {undeclared[0]}, which deploy.toml does not declare",
            hint=f"add [secrets.{undeclared[0]}] with its field",
        )
    for key, service in _services(node.stack):
        if service not in file.secrets:
            raise UsageError(
                f"deploy.toml: stacks.{node.stack_name}.{key} names the service {service!r}, which {path} lacks; "
                f"it has {', '.join(sorted(file.secrets))}",
                hint=did_you_mean(service, file.secrets),
            )
    return Local(files, file)


def stack_file(environment: Environment, node: Node) -> StackFile:
    """What a node's Compose file says before any host is asked.

    Raises:
        UsageError: it is missing or broken.
    """
    path = node.stack.compose
    try:
        return read_stack_file((environment.root / path).read_bytes(), path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _services(stack: Stack) -> Iterator[tuple[str, str]]:
    """The services that deploy.toml names for a stack, each with the key that does."""
    yield from (("probes", probe.service) for probe in stack.probes if probe.service)
    yield from (("reloads", reload.service) for reload in stack.reloads)
    yield from (("before_switch", one_off.service) for one_off in stack.before_switch)
    for backup in stack.backups:
        yield from (("backups", service) for service in (backup.service, *(backup.stop or ())))
    yield from (("apply", step.service) for step in stack.apply)
    yield from (("replicas", service) for services in stack.replicas.values() for service in services)
