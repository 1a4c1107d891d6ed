"""Replicas: how many containers of each kind a node runs, and which services and variables that means; pure.

A replica is a service of its own, there or not there. What was asked for on the command line counts first, then what
the running release remembers, so that a new tag does not undo a scaling, then the node's default in deploy.toml.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from deploy_lib.compose.variables import variable_of
from deploy_lib.config import Node, Stack
from deploy_lib.errors import UsageError


def check(nodes: Sequence[Node], asked: Mapping[str, int], only: Collection[str] = ()) -> None:
    """Refuses what these nodes' stacks have no services for; a stack without replicas of a kind has no part in it.

    Args:
        asked: by kind, how many replicas were asked for.
        only: the only services that are changed; none: all.

    Raises:
        UsageError: a kind that no node has, more than there are services, each with its own port, or services that stay as they are.
    """
    for kind, count in asked.items():
        having = [node for node in nodes if kind in node.stack.replicas]
        if not having:
            stacks = ", ".join(dict.fromkeys(node.stack_name for node in nodes))
            raise UsageError(f"--replicas-{kind} {count}: no {kind} replicas belong to {stacks}")
        for node in having:
            services = node.stack.replicas[kind]
            places = len(services)
            if only and not {*services} <= {*only}:
                raise UsageError(
                    f"--replicas-{kind} {count} is about {', '.join(services)}, and --service leaves some of them as they are",
                    hint="name all of them with --service, or leave one of the two flags out",
                )
            if count > places:
                raise UsageError(
                    f"--replicas-{kind} {count}: the stack {node.stack_name} has ports for {places} {kind} replicas",
                    hint=f"ask for at most {places}, or add services to {node.stack.compose_shown} and to deploy.toml",
                )


def choose(node: Node, asked: Mapping[str, int], remembered: Mapping[str, int]) -> dict[str, int]:
    """By service that can be scaled, how many containers it is to have: 1 or 0.

    Args:
        asked: by kind, from the command line; see `check`.
        remembered: by service, from the running release; empty where there is none.
    """
    chosen: dict[str, int] = {}
    for kind, services in node.stack.replicas.items():
        known = [remembered[service] for service in services if service in remembered]
        count = asked.get(kind, sum(known) if known else node.replicas.get(kind, 0))
        chosen |= {service: int(place < count) for place, service in enumerate(services)}
    return chosen


def counts(stack: Stack, replicas: Mapping[str, int]) -> dict[str, int]:
    """By kind, how many replicas there are: the inverse of what `choose` spreads over services."""
    return {
        kind: sum(replicas.get(service, 0) for service in services)
        for kind, services in stack.replicas.items()
    }


def variables(replicas: Mapping[str, int]) -> dict[str, str]:
    """For the Compose file, whose service job-runner-1 has `replicas: ${JOB_RUNNER_1:-0}`."""
    return {variable_of(service): str(count) for service, count in replicas.items()}


def kept(node: Node, asked: Mapping[str, int], replicas: Mapping[str, int]) -> str:
    """What to tell the operator when the running release wins over deploy.toml; "" when they agree."""
    differing = [
        f"{count} {kind} ({node.replicas.get(kind, 0)} in deploy.toml)"
        for kind, count in counts(node.stack, replicas).items()
        if kind not in asked and count != node.replicas.get(kind, 0)
    ]
    flags = " ".join(f"--replicas-{kind} N" for kind in node.stack.replicas)
    return (
        f"stays at {', '.join(differing)}, as its release has it; {flags} changes that" if differing else ""
    )
