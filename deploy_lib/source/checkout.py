"""A stack as this checkout has it, read before any host is asked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct

from deploy_lib.compose.file import default_name, project_name
from deploy_lib.compose.interpolation import filled
from deploy_lib.compose.service import Service
from deploy_lib.config import Environment, Node, Stack
from deploy_lib.errors import UsageError
from deploy_lib.names import did_you_mean
from deploy_lib.release.files import Entry
from deploy_lib.source.files import collect
from deploy_lib.source.shipped import Shipped


class Local(Struct, frozen=True):
    """A stack's files, and the name of the Compose project that they are.

    Attributes:
        named: the name stands in the Compose file or in deploy.toml, and was not only derived.
        services: the names of all services of the Compose files, those of profiles that are not active, too.
        otherwise: the project's name that an env file gives, where the Compose file gives another one and deploy.toml none.
    """

    shipped: Shipped
    project: str
    named: bool = True
    services: Collection[str] = ()
    otherwise: str = ""

    def check_service(self, name: str) -> None:
        """Refuses, before a host is asked, a service that no file of the stack has a word of.

        Raises:
            UsageError: with the names of the known ones.
        """
        if name not in self.services and not self.mentions(name):
            raise UsageError(
                f"there is no service {name!r}; there are {', '.join(self.services)}",
                hint=did_you_mean(name, self.services),
            )

    def mentions(self, name: str) -> bool:
        """Whether a file has this word; for what must be known of a stack whose host is not asked."""
        word = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])".encode())
        return any(word.search(each.content) for each in self.files.values())

    @property
    def files(self) -> Mapping[str, Entry]:
        """By path below the stack's directory on a host."""
        return self.shipped.files


def read_stack(environment: Environment, node: Node) -> Local:
    """The stack's files.

    Raises:
        UsageError: one is missing or broken.
    """
    shipped = collect(environment.root, node.stack, node.variables)
    contents = [
        (shipped.files[path].content, name)
        for path, name in zip(shipped.compose_files, node.stack.compose, strict=True)
    ]
    said = project_name(contents)
    named = node.project or _fixed(said)
    # What Compose itself would choose: there, a project may run already.
    given = shipped.values.get("COMPOSE_PROJECT_NAME") or ""
    otherwise = given if named and not node.project and given != named else ""
    chosen = given or filled(said, {**shipped.values, **node.variables}) or default_name(node.directory.name)
    return Local(shipped, named or chosen, bool(named), shipped.services, otherwise)


def project_of(environment: Environment, node: Node) -> str:
    """The name of a node's Compose project, before any host is asked.

    Raises:
        UsageError: a Compose file is missing or broken.
    """
    if node.project:
        return node.project
    contents = []
    for path in node.stack.compose:
        try:
            contents.append(((environment.root / path).read_bytes(), path))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    return _fixed(project_name(contents)) or read_stack(environment, node).project


def _fixed(name: str) -> str:
    """A name without variables; "" for any other: it hangs on values that may be others the next time."""
    return "" if "$" in name else name


def check_names(environment: Environment, node: Node, services: Mapping[str, Service]) -> None:
    """That deploy.toml and the Compose file agree.

    Raises:
        UsageError: one names a secret or a service that the other lacks.
    """
    path, stack = node.stack.compose_shown, node.stack
    needed = sorted({name for service in services.values() for name in service.secret_names})
    undeclared = [name for name in needed if name not in environment.secrets]
    if undeclared:
        raise UsageError(
            f"{path} needs the secret {undeclared[0]}, which deploy.toml does not declare",
            hint=f"add [secrets.{undeclared[0]}] with its field",
        )
    for key, service in _services(stack):
        if service not in services:
            raise UsageError(
                f"deploy.toml: stacks.{node.stack_name}.{key} names the service {service!r}, which {path} lacks; "
                f"it has {', '.join(sorted(services))}",
                hint=did_you_mean(service, services),
            )


def check_tracked(shipped: Shipped, services: Mapping[str, Service]) -> None:
    """That git has no file of a secret that one of the services gets.

    Raises:
        UsageError: it has one.
    """
    for expected in shipped.expected:
        if expected.tracked and expected.reference.used(services):
            raise UsageError(f"{expected.reference}, is a secret that git has", hint=expected.hint)


def _services(stack: Stack) -> Iterator[tuple[str, str]]:
    """The services that deploy.toml names for a stack, each with the key that does."""
    yield from (("probes", service) for probe in stack.probes for service in probe.services)
    yield from (("reloads", reload.service) for reload in stack.reloads)
    yield from (("before_switch", one_off.service) for one_off in stack.before_switch)
    for backup in stack.backups:
        yield from (("backups", service) for service in (backup.service, *(backup.stop or ())))
    yield from (("apply", step.service) for step in stack.apply)
    yield from (("rolling", name) for table in stack.rolled for name in (table.service, table.gateway))
    yield from (("unproven", service) for service in stack.unproven)
    yield from (("databases", database.service) for database in stack.databases)
    yield from (("replicas", service) for services in stack.replicas.values() for service in services)
