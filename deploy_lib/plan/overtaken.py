"""Overtaken: containers that live in others, and have lost what they had of them; pure."""

from __future__ import annotations

from deploy_lib.host.look.facts import Facts
from deploy_lib.plan.plan import Plan


def overtaken(plan: Plan, facts: Facts) -> list[str]:
    """The names of those that stay, and are started again: what they live in was started after them, or is about to be."""
    again = {reload.service for reload in plan.reloads if reload.restart}
    again |= {change.service for change in plan.changes if change.action == "start"}
    staying = [
        c for change in plan.changes if change.action in ("keep", "start") for c in facts.of(change.service)
    ]
    return sorted(
        c.name
        for c in staying
        if c.state == "running"
        and c.service in plan.parts
        and (not again.isdisjoint(plan.joins[c.service]) or ((lost := facts.cut_off(c)) and not lost.gone))
    )
