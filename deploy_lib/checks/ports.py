"""Whether the ports that a stack publishes are free, or its own."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import combinations

from deploy_lib.checks.check import Check, judged
from deploy_lib.compose.port import Port
from deploy_lib.host.look.facts import Facts


def check_ports(facts: Facts) -> Check:
    """By protocol and address; what this very stack's containers hold, they release before others take it."""
    wanted = [
        (port, s.name)
        for s in facts.services.values()
        for port in s.ports
        if s.replicas and not s.host_network
    ]
    taken = [(port, name, by) for port, name in wanted if (by := _holder(port, facts))]
    # A program in the host's network listens without Docker's knowing: it may be the stack's own.
    unclear = any(p.host_network and _own(facts, p.name) for p in facts.machine.publishers)
    foreign = [by for _, _, by in taken if by != _ANOTHER]
    twice = list(_twice(facts))
    away = [(port, name) for port, name in wanted if _away(port, facts)]
    problem = "; ".join(
        [
            *(f"{port}, for {name}, is in use by {by}" for port, name, by in taken),
            *(f"{port}, for {name}: the host has no address {port.address}" for port, name in away),
            *(problem for problem, _ in twice),
        ]
    )
    hints = [_STOP] if taken else []
    if away:
        hints.append("ip addr shows those that it has; without an address the port is open on all of them")
    hints += dict.fromkeys(hint for _, hint in twice)
    return judged(
        "ports",
        "the published ports are free, or the stack's own",
        problem,
        "; ".join(hints),
        found=", ".join(
            str(port) for port in sorted({port for port, _ in wanted}, key=lambda p: (p.published, str(p)))
        ),
        otherwise="warning" if unclear and not (foreign or twice or away) else "failed",
    )


_ANOTHER = "another program"
_APART = "give each its own port in the Compose file"
_REPLACE = "take one out; a file that is to replace the ports of another, and not to add to them, has `ports: !override`"
_STOP = (
    "stop what listens there: ss -lntup shows it (a docker-proxy without its container: restart the engine)"
)


def _away(port: Port, facts: Facts) -> bool:
    """Whether its address is none of the host's, nor one that the stack's own networks may bring."""
    try:
        address = ip_address(port.address.strip("[]"))
    except ValueError:
        return False
    here = {ip_address(each) for each in facts.machine.addresses}
    brought = any(made.addressed for service in facts.services.values() for made in service.made)
    loopback = address.version == 4 and address.is_loopback
    return bool(here) and not (address in here or address.is_unspecified or loopback or brought)


def _own(facts: Facts, name: str) -> bool:
    return any(container.name == name for container in facts.containers)


def _holder(port: Port, facts: Facts) -> str:
    """Who holds a port, other than this stack; "" for nobody."""
    own = [held for p in facts.machine.publishers if _own(facts, p.name) for held in p.ports]
    for publisher in facts.machine.publishers:
        if not _own(facts, publisher.name) and any(port.collides(held) for held in publisher.ports):
            return f"the container {publisher.name}"
    listening = (each for each in facts.machine.listening if port.collides(each))
    return _ANOTHER if any(not any(each.collides(held) for held in own) for each in listening) else ""


def _twice(facts: Facts) -> Iterator[tuple[str, str]]:
    """Ports that the stack wants twice, which cannot both be bound, each with what to do about it."""
    publishing = [s for s in facts.services.values() if s.replicas and not s.host_network]
    wanted = [(port, service.name) for service in publishing for port in service.ports]
    for (held, other), (port, name) in combinations(wanted, 2):
        if not port.excludes(held):
            continue
        if other == name:
            yield f"{name} publishes {held} and {port}, and the engine can bind only one of them", _REPLACE
        else:
            yield f"{port} is published by {other} and by {name}", _APART
    for service in publishing:
        if service.replicas > 1 and service.ports:
            ports = ", ".join(str(port) for port in service.ports)
            yield f"{service.name} has {service.replicas} containers, which all publish {ports}", _APART
