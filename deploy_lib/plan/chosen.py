"""Chosen: what a command is to do where it was asked for some services of a stack; pure."""

from __future__ import annotations

from collections.abc import Mapping

from deploy_lib import layout
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Manifest
from deploy_lib.plan.alone import Alone, release_alone
from deploy_lib.plan.decide import memory_of, pinned, secret_marks
from deploy_lib.plan.decision import Decision, Job
from deploy_lib.plan.plan import make_plan
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
    return Decision(
        make_plan(job.node, facts, desired, job.request.services, shipped=job.shipped_images),
        key,
        chosen=job.request.services,
        kept=tuple(sorted(theirs)),
        withheld=tuple(sorted(withheld)),
    )
