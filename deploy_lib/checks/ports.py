"""Whether the ports that a stack publishes are free, or its own."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

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
            *twice,
        ]
    )
    hints = [_STOP] if taken else []
    if away:
        hints.append("ip addr shows those that it has; without an address the port is open on all of them")
    if twice:
        hints.append("give each its own port in the Compose file")
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


def _twice(facts: Facts) -> Iterator[str]:
    """Ports that two containers of the stack want, which cannot both have them."""
    seen: list[tuple[Port, str]] = []
    for service in facts.services.values():
        for port in service.ports if service.replicas and not service.host_network else ():
            other = next((name for held, name in seen if port.collides(held)), None)
            if other is not None and other != service.name:
                yield f"{port} is published by {other} and by {service.name}"
            seen.append((port, service.name))
        if service.replicas > 1 and service.ports and not service.host_network:
            ports = ", ".join(str(port) for port in service.ports)
            yield f"{service.name} has {service.replicas} containers, which all publish {ports}"
