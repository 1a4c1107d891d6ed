"""Deciding: what a command does on one node, made from what was asked for and what was found there; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.compose.asks import asks_of
from deploy_lib.compose.model import secret_files
from deploy_lib.compose.override import mounted_mark
from deploy_lib.compose.service import Service
from deploy_lib.errors import PreflightError
from deploy_lib.host.change import apply
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Manifest
from deploy_lib.plan.as_started import staying_as_started
from deploy_lib.plan.decision import Decision, Job
from deploy_lib.plan.desired import earlier_release, rotated_release, whole_release
from deploy_lib.plan.plan import make_plan
from deploy_lib.release.files import content_of, followed, marks
from deploy_lib.release.history import Event
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release, Version
from deploy_lib.secrets.fingerprint import fingerprint, fingerprints
from deploy_lib.secrets.places import readings
from deploy_lib.secrets.value import Secret
from deploy_lib.source.versions import deploy_anew
from deploy_lib.values import replace


def decide_version(
    job: Job,
    facts: Facts,
    version: Version,
    manifests: Mapping[str, Manifest],
    values: Mapping[str, Secret],
    key: str,
) -> Decision:
    """A deployment of a version, with the checkout's files and these secret values.

    Args:
        manifests: by service that takes what the registries say, what that is; the others stay as they are recorded.
        key: the host's, or a new one where it has none yet.

    Raises:
        PreflightError: it cannot be done from the host's present state.
    """
    images = {name: pinned(job, facts, each, manifests) for name, each in facts.services.items()}
    prints, mounted = secret_marks(job, facts, values, key), _mounted(job, facts)
    desired = whole_release(
        release_id=job.release_id,
        version=version,
        files=job.local.files,
        images=images,
        secrets=prints,
        as_started=staying_as_started(facts, images, prints, mounted, marks(job.local.files)),
        variables=job.variables(version, facts),
        replicas={**{name: s.replicas for name, s in facts.services.items()}, **job.replicas(facts)},
        secret_files=_secret_files(job, facts),
        probes=job.node.stack.probes,
        places=[place for s in facts.services.values() for place in s.secrets],
        mounted=mounted,
        ends={name: s.ends for name, s in facts.services.items() if s.ends},
        compose_files=job.local.shipped.compose_files,
        env_files=job.local.shipped.env_files,
        inputs=job.local.shipped.inputs,
        idle=sorted({*job.local.services, *facts.inactive} - {*facts.services}),
        patches=job.patched,
    )
    return Decision(make_plan(job.node, facts, desired, shipped=job.shipped_images), key)


def decide_rollback(job: Job, facts: Facts, target: Event) -> Decision:
    """A rollback to an earlier release, with the secret values that run now.

    Raises:
        PreflightError: the host no longer has what it takes.
    """

    def refusal(what: str) -> PreflightError:
        hint = deploy_anew(job.environment, job.node, target.release)
        return PreflightError(what, node=job.node.name, step="rollback", hint=hint)

    desired = earlier_release(job.release_id, target.release, facts)
    plan = make_plan(job.node, facts, desired)
    missing = [
        path
        for path, mark in target.release.files.items()
        if path not in desired.files and path in plan.changed and content_of(mark) not in {"", *facts.objects}
    ]
    if plan.pulls or missing:
        what = ", ".join([*map(str, plan.pulls), *missing])
        raise refusal(f"the host no longer has all of release {target.release.id}: {what}")
    if lacking := _valueless(facts, desired.release):
        raise refusal(
            f"release {target.release.id} needs {', '.join(lacking)}, and no container of what runs now has a value of it"
        )
    # A rollback after this one goes where a rollback from the restored release went.
    return Decision(replace(plan, next_before=target.before), facts.key, keep_values=True)


def decide_rotation(job: Job, facts: Facts, values: Mapping[str, Secret], changed: Sequence[str]) -> Decision:
    """A rotation: the release that runs, with other secret values.

    Args:
        changed: the secrets whose values are others.

    Raises:
        PreflightError: no release is recorded here.
    """
    before = facts.proven
    if before is None:
        raise PreflightError(
            "what runs here was not deployed by this program",
            node=job.node.name,
            hint=f"deploy it first: {job.node.deploy_task}",
        )
    placed = {name for place in facts.places for name in place.names}
    if lost := [name for name in changed if name not in placed]:
        raise PreflightError(
            f"nothing could go back to the running value of {', '.join(lost)}: it is not known where the containers have it",
            node=job.node.name,
            step="rotation",
            hint=f"does Compose read the files in {job.node.directory}? See {job.node.task('status')}",
        )
    applies = apply.changeable(job.node.stack.apply, changed)
    known = {name: fingerprint(name, values[name], facts.key) for name in changed}
    plan = make_plan(job.node, facts, rotated_release(job.release_id, before.release, known))
    return Decision(
        replace(plan, applies=tuple(step.secret for step in applies)),
        facts.key,
        applies=applies,
        # What deploy.toml does not declare any more has no other value than the one that runs.
        kept=tuple(sorted(set(before.release.marks) - set(values))),
    )


def _valueless(facts: Facts, release: Release) -> list[str]:
    """The secrets of a release whose values stand nowhere on the host, so that the switch would not even begin."""
    by_hand, running = facts.started_from, {c.service for c in facts.containers}
    lost = {PurePosixPath(file).name for file in facts.lost(facts.proven.release)} if facts.proven else set()
    places = [
        place
        for place in (*facts.places, *(by_hand.hidden if by_hand else ()))
        # Where secrets are delivered as files in memory, a reboot has taken those.
        if place.service in running and not (place.kind == "file" and place.whole and {*place.names} & lost)
    ]
    # What was kept for the release is in a container of its own.
    known = {reading.name for reading in readings(places)} | {*release.carried, *release.given}
    return sorted({*release.marks} - known)


def secret_marks(job: Job, facts: Facts, values: Mapping[str, Secret], key: str) -> dict[str, str]:
    """By service, the fingerprints of the secret values that it is to get.

    Raises:
        PreflightError: there is no value for one.
    """
    if unknown := [name for name in facts.secret_names if name not in values]:
        raise PreflightError(
            f"the host's files need {', '.join(unknown)} now, which they did not a moment ago",
            node=job.node.name,
            hint="somebody has changed a file there that Compose reads: run the command again",
        )
    return fingerprints({name: s.secret_names for name, s in facts.services.items()}, values, key)


def pinned(job: Job, facts: Facts, service: Service, manifests: Mapping[str, Manifest]) -> Image:
    """A service's image, by digest.

    Raises:
        PreflightError: none is known.
    """
    if (patch := job.patches.get(service.name)) is not None:
        return patch.image
    reference = service.image
    if asks_of(service).local:
        found = facts.on_host(reference)
        if found is None:
            raise PreflightError(f"the host has no {reference}", node=job.node.name, step="preflight")
        return found
    if reference.digest:
        return reference
    answer = manifests.get(service.name)
    told = answer.digest if answer is not None and answer.reference == reference else ""
    digest = told or facts.recorded_digest(service.name, reference)
    if not digest:
        raise PreflightError(f"no digest is known for {reference}", node=job.node.name, step="preflight")
    return reference.with_digest(digest)


def _mounted(job: Job, facts: Facts) -> dict[str, str]:
    """By service, the fingerprint of what it mounts and is not told of in another way."""
    files, reloads = followed(marks(job.local.files)), job.node.stack.reloads
    found = {
        name: mounted_mark(service, files, [r.path for r in reloads if r.service == name])
        for name, service in facts.services.items()
    }
    return {name: text for name, text in found.items() if text}


def _secret_files(job: Job, facts: Facts) -> dict[str, str]:
    """Where the stack's secrets are to lie in the host's memory, when that is how they are delivered."""
    memory = memory_of(job, facts)
    return {} if memory is None else secret_files(facts.services, memory)


def memory_of(job: Job, facts: Facts) -> PurePosixPath | None:
    """Where the files of the stack's secrets lie; None where Compose hands the values over."""
    in_memory = job.node.stack.delivery == "memory"
    return layout.secrets_in(facts.memory, job.local.project) if in_memory else None
