"""What was, before a switch: going back is judged by that, and by nothing that did not hold then."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from deploy_lib.compose.container import Container
from deploy_lib.config import Probe
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.prove import probe, roster
from deploy_lib.node import proof
from deploy_lib.node.site import Site
from deploy_lib.plan.decision import Decision
from deploy_lib.release.release import Release
from deploy_lib.values import replace


def judged_by_what_was(site: Site, decision: Decision, facts: Facts) -> Decision:
    """The decision, whose way back is proven by those probes that succeed before the switch.

    So it is where no record says by which probes the earlier release was proven: it was started by hand, or by a program before
    this one. Today's probes may ask what it cannot answer, or be broken. And so it is where some of it is not healthy.

    Raises:
        RemoteError: the session has ended.
    """
    plan = decision.plan
    if plan.back is None or plan.before is None:
        return decision
    release = plan.back.release
    if release.probes is None or facts.unrecorded:
        release = replace(release, probes=held(site, facts.containers, replace(release, probes=None)))
        return replace(
            decision,
            plan=replace(
                plan, back=replace(plan.back, release=release), before=replace(plan.before, release=release)
            ),
        )
    # Of a switch that broke off, what runs says nothing about the release before it.
    if facts.unsettled is not None or not {*plan.ill} - {*release.ends}:
        return decision
    release = replace(release, probes=held(site, facts.containers, release))
    return replace(decision, plan=replace(plan, back=replace(plan.back, release=release)))


def held(site: Site, containers: Sequence[Container], release: Release) -> tuple[Probe, ...]:
    """Those of a release's probes that what runs passes now; each is asked once.

    Raises:
        RemoteError: the session has ended.
    """
    probes, otherwise = proof.asked(site.node, release)
    if not probes:
        return ()
    once = [each.model_copy(update={"timeout": 0}) for each in probes]
    members = partial(roster.members, site.node)
    findings = probe.prove(site.session, once, lambda: containers, members, otherwise)
    passed = {f.probe.name for f in findings if f.ok}
    if left_out := [each.name for each in probes if each.name not in passed]:
        site.say(
            "probe",
            f"going back is not judged by {', '.join(left_out)}: what runs now does not pass {'them' if len(left_out) > 1 else 'it'}",
        )
    return tuple(each for each in probes if each.name in passed)
