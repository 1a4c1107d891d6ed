"""A dry run on one node: what a decision would do to its host, in detail; nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deploy_lib import layout
from deploy_lib.host.files import read_files
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.hashes import ask_hashes
from deploy_lib.host.look.registry import Login
from deploy_lib.host.look.sizes import ask_sizes
from deploy_lib.plan.decision import Decision, Job
from deploy_lib.plan.plan import Plan
from deploy_lib.plan.preview import Preview, diffs, foresee
from deploy_lib.plan.steps import shown_commands
from deploy_lib.release.files import content_of
from deploy_lib.release.release import Release
from deploy_lib.secrets.placeholders import placeholders
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace


def rehearse(
    session: Session, job: Job, decision: Decision, facts: Facts, logins: Sequence[Login]
) -> tuple[Plan, Preview]:
    """Reads the host's files that would change, and works out what Compose would recreate and what would run.

    Args:
        logins: what images would be pulled with.

    Returns:
        The plan, with what only the host's Compose can tell, and its details.

    Raises:
        RemoteError: the host does not answer, or its Compose does not read the new files.
    """
    if decision.plan.nothing:
        return decision.plan, Preview()
    foreseen, old, new = look_closer(session, job, decision.plan)
    plan = foreseen or decision.plan
    preview = Preview(
        diffs(plan, old, new, [facts.files, *([facts.unsettled.release.files] if facts.unsettled else [])]),
        shown_commands(replace(decision, plan=plan), facts, job, logins),
        ask_sizes(session, plan.pulls, facts.platform, logins),
    )
    return plan, preview


def look_closer(
    session: Session, job: Job, plan: Plan
) -> tuple[Plan | None, Mapping[str, bytes], Mapping[str, bytes]]:
    """The plan, with the services that Compose would recreate for their configuration, and files as they are and will be.

    There is no such plan where the files that Compose reads are not all known.

    Raises:
        RemoteError: the host does not answer, or its Compose does not read the new files.
    """
    old, new = _contents(session, job, plan)
    release, before = plan.desired.release, plan.before.release if plan.before else plan.desired.release
    # What runs was made from what is recorded, whatever somebody has made of the files since.
    recorded = {path: old[at] for path, mark in before.files.items() if (at := _object(mark)) in old}
    after, ran = _inputs(job, release, new, old), _inputs(job, before, recorded, old)
    if plan.before is None or after is None or ran is None:
        return None, old, new
    projects = [(job.stack.project_of(before), ran), (job.stack.project_of(release), after)]
    names = {*job.environment.secrets, *before.marks, *release.marks}
    now, then = ask_hashes(session, projects, placeholders(names), job.stack.borrowed)
    return foresee(plan, now, then, job.stack.project_of(release).env_files), old, new


def _inputs(job: Job, release: Release, *places: Mapping[str, bytes]) -> dict[str, bytes] | None:
    """What Compose reads of a release, each from the first of several places that has it; None where one is not known."""
    found: dict[str, bytes] = {}
    for path in job.stack.inputs_of(release):
        content = next((files[path] for files in places if path in files), None)
        if content is None:
            return None
        found[path] = content
    return found


def _contents(session: Session, job: Job, plan: Plan) -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
    """Files by path, as the host has them and as the release has them; those of an earlier release only the host knows."""
    release = plan.desired.release
    objects = {
        path: _object(release.files[path])
        for path in plan.changed
        if path not in plan.desired.files and content_of(release.files[path])
    }
    before = plan.before.release if plan.before else release
    ran = job.stack.inputs_of(before)
    kept = {_object(before.files[path]) for path in ran if path in before.files}
    paths = {*plan.changed, *plan.dropped, *ran, *job.stack.inputs_of(release), *objects.values(), *kept}
    old = read_files(session, job.node.directory, sorted(paths))
    new = {**plan.desired.files, **{path: old[place] for path, place in objects.items() if place in old}}
    return old, new


def _object(mark: str) -> str:
    """Where a host keeps a file's content, below the stack's directory."""
    return f"{layout.OBJECTS}/{content_of(mark)}"
