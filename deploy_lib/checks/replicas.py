"""What is scaled: how many containers a replica has is for this program to say."""

from __future__ import annotations

from collections.abc import Iterator

from deploy_lib.checks.check import Check, judged
from deploy_lib.compose.variables import variable_of
from deploy_lib.config import Node
from deploy_lib.host.look.facts import Facts


def check_replicas(node: Node, facts: Facts) -> Iterator[Check]:
    """That each replica has as many containers as it is told; nothing for a stack without any."""
    given = facts.rendered or {}
    for name in (name for services in node.stack.replicas.values() for name in services):
        service, variable = facts.services.get(name), variable_of(name)
        if service is None or variable not in given:
            continue
        unlike = str(service.replicas) != given[variable]
        problem = f"{name} has {service.replicas} containers whatever ${{{variable}}} says, and it says {given[variable]}"
        yield judged(
            "replicas",
            f"{name} has as many containers as ${{{variable}}} says",
            problem if unlike else "",
            f"write `deploy: {{ replicas: ${{{variable}:-0}} }}` in {node.stack.compose_shown}, or take {name} out of "
            f"[stacks.{node.stack_name}.replicas] of deploy.toml",
        )
