"""What was, before a switch: going back is judged by that, and by nothing that did not hold then."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from deploy_lib.compose.container import Container
from deploy_lib.config import Probe
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.prove import probe, roster
from deploy_lib.node.site import Site
from deploy_lib.plan.decision import Decision
from deploy_lib.values import replace


def judged_by_what_was(site: Site, decision: Decision, facts: Facts) -> Decision:
    """The decision, whose way back is proven by those of today's probes that succeed before the switch.

    So it is where no record says by which probes the earlier release was proven: it was started by hand, or by a program before
    this one. Today's probes may ask what it cannot answer, or be broken.

    Raises:
        RemoteError: the session has ended.
    """
    plan = decision.plan
    if (
        plan.back is None
        or plan.before is None
        or (plan.back.release.probes is not None and not facts.unrecorded)
    ):
        return decision
    release = replace(plan.back.release, probes=tuple(_held(site, facts.containers)))
    return replace(
        decision,
        plan=replace(
            plan, back=replace(plan.back, release=release), before=replace(plan.before, release=release)
        ),
    )


def _held(site: Site, containers: Sequence[Container]) -> Sequence[Probe]:
    probes = site.node.stack.probes
    if not probes:
        return ()
    once = [each.model_copy(update={"timeout": 0}) for each in probes]
    members = partial(roster.members, site.node)
    held = {f.probe.name for f in probe.prove(site.session, once, lambda: containers, members) if f.ok}
    if left_out := [each.name for each in probes if each.name not in held]:
        site.say(
            "adopt",
            f"going back is not judged by {', '.join(left_out)}: what runs now does not pass {'them' if len(left_out) > 1 else 'it'}",
        )
    return [each for each in probes if each.name in held]
