"""Chosen: what a command is to do where it was asked for some services of a stack; pure."""

from __future__ import annotations

from collections.abc import Mapping

from deploy_lib import layout
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Manifest
from deploy_lib.plan.alone import Alone, refusal, release_alone
from deploy_lib.plan.changes import change_of
from deploy_lib.plan.decide import memory_of, pinned, secret_marks
from deploy_lib.plan.decision import Decision, Job
from deploy_lib.plan.plan import Plan, make_plan
from deploy_lib.release.release import Version
from deploy_lib.secrets.fingerprint import read_marks
from deploy_lib.secrets.value import Secret


def decide_services(
    job: Job,
    facts: Facts,
    version: Version,
    manifests: Mapping[str, Manifest],
    values: Mapping[str, Secret],
    key: str,
) -> Decision:
    """A deployment of the services that were asked for; the others stay as they run, with the secret values that they have.

    Args:
        manifests, key: see `decide_version`.

    Raises:
        PreflightError: it cannot be done from the host's present state.
    """
    prints = secret_marks(job, facts, values, key)
    chosen = {name: facts.services[name] for name in job.request.services}
    recorded = facts.proven.release if facts.proven else None
    project = job.stack.project_of(recorded) if recorded else job.stack.project
    inputs = job.stack.inputs_of(recorded) if recorded else ()
    generated = (layout.OVERRIDE, layout.VARIABLES)
    alone = Alone(
        node=job.node,
        services=chosen,
        images={name: pinned(job, facts, each, manifests) for name, each in chosen.items()},
        secrets={name: prints.get(name, "") for name in chosen},
        files=job.local.files,
        project=(
            tuple(name for name in project.files if name not in generated),
            tuple(name for name in project.env_files if name not in generated),
        ),
        inputs=[path for path in inputs if path not in generated],
        memory=memory_of(job, facts),
        probes=job.node.stack.probes,
        replicas=job.replicas(facts),
        patches=job.patched,
    )
    desired = release_alone(alone, facts, job.release_id, version)
    own = {name for service in chosen.values() for name in service.secret_names}
    theirs = set(desired.release.marks) - own
    # A container that runs has the value; one that has never been gets what the source has.
    there = {name for c in facts.containers if c.service not in chosen for name in read_marks(c.secrets)}
    withheld = theirs & there & set(facts.changed(values))
    plan = make_plan(job.node, facts, desired, job.request.services, shipped=job.shipped_images)
    _require_apart(job, facts, plan)
    return Decision(
        plan,
        key,
        chosen=job.request.services,
        kept=tuple(sorted(theirs)),
        withheld=tuple(sorted(withheld)),
    )


def _require_apart(job: Job, facts: Facts, plan: Plan) -> None:
    """That Compose leaves alone what stays: told of a service, it also makes what that depends on as the files say.

    Raises:
        PreflightError: what it would change, with the flags that take it along.
    """
    chosen = job.request.services
    services = {**(facts.deployed or {}), **{name: facts.services[name] for name in chosen}}
    needed, new = set[str](), {*chosen}
    while new:
        found = {other for name in new & {*services} for other in services[name].needs}
        new, needed = found - needed, needed | found
    release = plan.desired.release
    changes = (
        change_of(facts, plan.before, n, release) for n in sorted({*plan.aside} & needed & {*release.images})
    )
    # What is only to be started stays as it is: Compose starts the chosen ones alone.
    changed = {change.service: change.why for change in changes if change.action != "start"}
    if changed and not plan.nothing:
        names = " and ".join(f"{name} ({why})" for name, why in changed.items())
        what = f"{' and '.join(sorted(chosen))} needs {names}, which Compose would make anew, too"
        raise refusal(job.node, chosen, what, changed)
