"""What can be replaced without losing a request: for a while there are two containers of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deploy_lib.checks.check import Check, judged
from deploy_lib.compose.service import Service
from deploy_lib.config import Node, Rolling
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.programs.data import keeper_of


def check_rolling(node: Node, facts: Facts) -> Iterator[Check]:
    """That each rolling service can have two containers at once, and is reached through its gateway; nothing for a stack without."""
    where = f"[[stacks.{node.stack_name}.rolling]] of deploy.toml"
    for table in node.stack.rolled:
        service, gateway = facts.services.get(table.service), facts.services.get(table.gateway)
        if service is None or gateway is None:
            continue  # the checkout's own check names it
        found = [*_alone(node, service, facts), *_reached(service, gateway)]
        found += _order(node, table, facts.services)
        for problem, hint in found:
            yield judged(
                "rolling",
                "a rolling service can have two containers at once, behind its gateway",
                problem,
                f"{hint}; or take {service.name} out of {where}: then it is replaced at once",
            )
        if not found:
            yield Check("rolling", f"{service.name} can have two containers at once, behind {gateway.name}")


def _alone(node: Node, service: Service, facts: Facts) -> Iterator[tuple[str, str]]:
    """What of a service no two containers can have: the problem, and what to do."""
    name, mode = service.name, service.network_mode
    for port in service.ports:
        yield (
            f"{name} publishes the port {port}, which no two containers can have at once",
            f"let its gateway publish {port.published}, and take it out of ports: of {name}",
        )
    alone = [f"container_name: {service.container_name}"] if service.container_name else []
    for what in (*alone, *service.addresses):
        yield f"{name} has {what}, which one container alone can have", "take it out"
    if mode == "host" or mode.startswith(("service:", "container:")):
        yield (
            f"{name} has network_mode: {mode}, so two of it would listen on the same ports",
            "give it a network of its own",
        )
    if service.ends == "must":
        yield f"{name} ends when it has done its work, so no requests reach it", "leave it to Compose"
    for other in facts.services.values():
        if name in other.joins:
            yield (
                f"{other.name} is part of a container of {name} (network_mode, ipc, pid or volumes_from), and would lose it",
                f"give {other.name} a network of its own, and name its volumes",
            )
    yield from _data(node, service, facts)


def _data(node: Node, service: Service, facts: Facts) -> Iterator[tuple[str, str]]:
    """Data that two containers would write at once, or that the second one would not have."""
    name, stack = service.name, node.stack
    keeps = any(mount.kind in ("volume", "bind") and mount.writable for mount in service.mounts)
    program = keeper_of(stack, name, service.image)
    why = program.title if program is not None else ""
    if not why and name in {backup.service for backup in stack.backups}:
        why = "its data are backed up"
    if not why and name in {step.service for step in stack.apply}:
        why = "it keeps a secret in its own data"
    if why and (keeps or program is not None):
        yield f"{name} keeps data ({why}), which two containers would write at once", "leave it to Compose"
    nameless = {held.target for c in facts.of(name) for held in c.mounts if held.anonymous}
    nameless |= {m.target for m in service.mounts if m.kind == "volume" and not m.source}
    if nameless:
        places = ", ".join(sorted(nameless))
        yield (
            f"{name} has a volume without a name at {places}, which a second container would not have",
            "name it",
        )


def _reached(service: Service, gateway: Service) -> Iterator[tuple[str, str]]:
    name = service.name
    if gateway.replicas != 1:
        yield (
            f"{gateway.name}, its gateway, has {gateway.replicas} containers, and only one is told",
            "let it have one",
        )
    if not {*service.networks} & {*gateway.networks}:
        yield (
            f"{name} and {gateway.name}, its gateway, have no network in common",
            "give both the same network",
        )


def _order(node: Node, table: Rolling, services: Mapping[str, Service]) -> Iterator[tuple[str, str]]:
    """Those that a service needs are replaced before it."""
    listed = [each.service for each in node.stack.rolled]
    later = listed[listed.index(table.service) + 1 :]
    for other in later:
        if other in _needed(table.service, services):
            yield (
                f"{table.service} needs {other}, which comes after it",
                f"put the table of {other} before that one",
            )


def _needed(name: str, services: Mapping[str, Service]) -> set[str]:
    found: set[str] = set()
    left = [name]
    while left:
        service = services.get(left.pop())
        needs = {*(service.needs if service else ())} - found
        found |= needs
        left += needs
    return found
