"""A dry run on one node: what a decision would do to its host, in detail; nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from deploy_lib import layout
from deploy_lib.host.files import read_files
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.hashes import ask_hashes
from deploy_lib.host.look.registry import Login
from deploy_lib.host.look.sizes import ask_sizes
from deploy_lib.node.preflight import Values
from deploy_lib.plan.decision import Decision, Job
from deploy_lib.plan.plan import Plan
from deploy_lib.plan.preview import Preview, diffs, foresee
from deploy_lib.plan.steps import shown_commands
from deploy_lib.secrets.placeholders import placeholders
from deploy_lib.ssh.session import Session


def rehearse(
    session: Session, job: Job, decision: Decision, facts: Facts, logins: Sequence[Login], values: Values
) -> tuple[Plan, Preview]:
    """Reads the host's files that would change, and works out what Compose would recreate and what would run.

    Args:
        logins: what images would be pulled with.
        values: of the secrets; empty where those that run would stay.

    Returns:
        The plan, with what only the host's Compose can tell, and its details.

    Raises:
        RemoteError: the host does not answer, or its Compose does not read the new files.
    """
    plan = decision.plan
    if plan.nothing:
        return plan, Preview()
    old, new = _contents(session, job, plan)
    inputs = job.stack.project.inputs
    whole = {path: content for path in inputs if (content := new.get(path, old.get(path))) is not None}
    if len(whole) == len(inputs):
        shown = [p for p in plan.desired.release.places or () if p.kind == "environment"]
        names = {name for place in shown for name in place.names}
        env = placeholders(job.environment.secrets)
        env |= {name: values[name].reveal() for name in names if name in values}
        foreseen = ask_hashes(session, job.stack, whole, env)
        # Without the values, the hash of a service that shows them says nothing.
        unclear = {place.service for place in shown if not {*place.names} <= {*values}}
        known = {service: found for service, found in foreseen.items() if service not in unclear}
        plan = foresee(plan, facts, known, job.stack.project.env_files)
    preview = Preview(
        diffs(plan, old, new),
        shown_commands(replace(decision, plan=plan), facts, job, logins),
        ask_sizes(session, plan.pulls, facts.platform, logins),
    )
    return plan, preview


def _contents(session: Session, job: Job, plan: Plan) -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
    """Files by path, as the host has them and as the release has them; those of an earlier release only the host knows."""
    digests = plan.desired.release.files
    objects = {
        path: f"{layout.OBJECTS}/{digests[path]}" for path in plan.changed if path not in plan.desired.files
    }
    paths = {*plan.changed, *plan.dropped, *job.stack.project.inputs, *objects.values()}
    old = read_files(session, job.node.directory, sorted(paths))
    new = {**plan.desired.files, **{path: old[place] for path, place in objects.items() if place in old}}
    return old, new
