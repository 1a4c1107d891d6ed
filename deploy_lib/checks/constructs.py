"""What a Compose file says and its host's Compose would not do, or would do in a way that nobody could take back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from deploy_lib.checks.check import Check, judged, numbers
from deploy_lib.compose.existing import differences, remake
from deploy_lib.compose.limits import ALONE, DROPPED, Limit
from deploy_lib.compose.project import Project
from deploy_lib.compose.service import Service
from deploy_lib.config import Node
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.offers import Offers
from deploy_lib.shell import words


def check_constructs(node: Node, project: str, facts: Facts, *, alone: bool = False) -> Iterator[Check]:
    """Nothing of what no service has.

    Args:
        project: the Compose project's name.
        alone: some services are to be deployed by themselves.
    """
    running = [service for service in facts.services.values() if service.replicas]
    offers = facts.machine.offers
    limits = [limit for service in running for limit in service.limits]
    limits += [DROPPED[key] for key in sorted(offers.dropped if offers else ())]
    yield from _limits(node, facts, [*limits, *([ALONE] if alone else [])])
    if offers is None:
        return
    yield from _paths(running, offers)
    yield from _containers(project, running, offers)
    yield from _plugins(running, offers)
    yield from _made(node, project, running, offers)


def _limits(node: Node, facts: Facts, found: Iterable[Limit]) -> Iterator[Check]:
    refused: list[tuple[str, str]] = []
    idle: list[str] = []
    for limit in dict.fromkeys(found):
        if limit.delivery not in ("", node.stack.delivery):
            continue
        if not limit.refused:
            idle.append(limit.what)
        elif limit.compose or limit.engine:
            if lacks := list(_lacks(limit, facts)):
                needed, has = (", ".join(each) for each in zip(*lacks, strict=True))
                hint = f"update to {needed} or later, or take it out" + (limit.hint and f", {limit.hint}")
                refused.append(
                    (f"{limit.what} needs {needed}: this host's {has} takes it and does nothing", hint)
                )
        else:
            refused.append((limit.what, limit.hint))
    yield from _failed("constructs", "the host does what the Compose file says", refused)
    if idle:
        yield judged(
            "constructs without effect",
            "the host does all that the Compose file says",
            f"Compose ignores {'; '.join(idle)}",
            "take it out, or leave it for where it counts",
            otherwise="warning",
        )


def _lacks(limit: Limit, facts: Facts) -> Iterator[tuple[str, str]]:
    """What is too old: the name with the version that it needs, and with its own."""
    for name, least, found in (
        ("Compose", limit.compose, facts.compose),
        ("Engine", limit.engine, facts.engine),
    ):
        if least and found and numbers(found) < numbers(least):
            yield f"{name} {least}", f"{name} {found}"


def _paths(running: Sequence[Service], offers: Offers) -> Iterator[Check]:
    """The host's own paths that Docker does not make; `check_files` has those below the stack's directory."""
    missing: list[tuple[str, str]] = []
    for service in running:
        for source in service.must_exist:
            if source in offers.absent:
                missing.append((f"{service.name} mounts {source}, which is not there", _mkdir(source)))
        for each in service.made:
            if each.kind == "volume" and each.device in offers.absent:
                missing.append(
                    (f"the volume {each.key} is {each.device}, which is not there", _mkdir(each.device))
                )
        for path in service.seccomp:
            if path in offers.absent:
                missing.append(
                    (
                        f"the seccomp profile of {service.name} is {path}, which is not there",
                        f"put it there, or write seccomp:./{path.rpartition('/')[2]}, which is shipped",
                    )
                )
    yield from _failed("paths of the host", "those that a service mounts are there", missing)


def _mkdir(path: str) -> str:
    return f"on the host: {words('mkdir', '-p', path)}, or mount what it is on"


def _containers(project: str, running: Sequence[Service], offers: Offers) -> Iterator[Check]:
    missing: list[tuple[str, str]] = []
    own = {each.container_name or f"{project}-{each.name}-1": each.name for each in running}
    for service in running:
        for name in service.joins_others:
            if name in own:
                missing.append(
                    (
                        f"{service.name} is part of the container {name}, which is that of {own[name]}: Compose does not make it anew "
                        "with that one, and it would be cut off",
                        f"write service:{own[name]} in the place of container:{name}",
                    )
                )
            elif name not in offers.containers:
                missing.append(
                    (
                        f"{service.name} is part of the container {name}, which is not there",
                        f"start {name} first",
                    )
                )
        name = service.container_name
        owner = offers.containers.get(name, project) if name else project
        if owner != project:
            whose = f"of the project {owner}" if owner else "that no project has"
            missing.append(
                (
                    f"{service.name} has container_name: {name}, and there is a container {whose} with this name",
                    f"look what it is, and rename one of them: {words('docker', 'rename', name, f'{name}-before')}",
                )
            )
    yield from _failed(
        "other containers", "those that services need are there, and their names are free", missing
    )
    unknown = [
        f"{service.name} calls {name}"
        for service in running
        for name in service.calls
        if name not in offers.containers
    ]
    if unknown:
        yield judged(
            "external links",
            "the containers that services call are there",
            f"{'; '.join(unknown)}, and there is no such container",
            "start it first; or use a network with external: true that both are in",
            otherwise="warning",
        )


def _plugins(running: Sequence[Service], offers: Offers) -> Iterator[Check]:
    """Drivers of logs, networks and volumes; an engine that named none at all has not answered."""
    known = {each.removesuffix(":latest") for each in offers.plugins}
    wanted = [("log", service.log_driver, f"the logging of {service.name}") for service in running]
    wanted += [
        (each.kind, each.driver, f"the {each.kind} {each.key}")
        for service in running
        for each in service.made
    ]
    usual = ("", "none", "default", "host")
    lacking = [
        (
            f"{what} has the driver {driver}, which the engine does not have",
            "docker plugin install, on the host; docker plugin ls and docker info, under Plugins, show what there is",
        )
        for kind, driver, what in dict.fromkeys(wanted)
        if driver not in usual
        and {f"{each}/{driver.removesuffix(':latest')}" for each in (kind, "any")}.isdisjoint(known)
    ]
    if known:
        yield from _failed("drivers", "the engine has the drivers that the Compose file names", lacking)


def _made(node: Node, project: str, running: Sequence[Service], offers: Offers) -> Iterator[Check]:
    there = {(kind, str(each.get("Name"))): each for kind, each in offers.made}
    other: list[tuple[str, str]] = []
    for made in dict.fromkeys(each for service in running for each in service.made):
        label = offers.networks.get(made.name) if made.kind == "network" else None
        if label is not None and label != made.key:
            whose = f"for the key {label}" if label else "by somebody else"
            other.append(
                (
                    f"the network {made.name} is there, made {whose}, and Compose does not take it for {made.key}",
                    f"if it is meant: {made.key}: {{name: {made.name}, external: true}}; otherwise, when nothing uses it any more, on "
                    f"the host: {words('docker', 'network', 'rm', made.name)}",
                )
            )
            continue
        known = there.get((made.kind, made.name))
        if known is not None and (keys := differences(made, known, node.directory)):
            other.append(
                (
                    f"the {made.kind} {made.name} is there with another {', '.join(keys)} than the file's, and Compose keeps it",
                    remake(made, Project(project, node.directory, ())),
                )
            )
    yield from _failed("networks and volumes", "those that are there are those of the file", other)


def _failed(name: str, proves: str, found: Iterable[tuple[str, str]]) -> Iterator[Check]:
    """A check for each problem, with its own hint."""
    for problem, hint in found:
        yield judged(name, proves, problem, hint)
