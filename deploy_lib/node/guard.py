"""The guard of a node's data: before a container is replaced or removed, its host is asked whether anything would be lost.

The facts alone say it where nothing is in danger, and the host is asked no question then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct

from deploy_lib import layout
from deploy_lib.checks import Check
from deploy_lib.checks.check import failed
from deploy_lib.checks.data import NAME, PROVES, check_data, losses
from deploy_lib.checks.risk import Look, Scene
from deploy_lib.compose.env_file import read_env_file
from deploy_lib.compose.service import Service
from deploy_lib.errors import CommandError, PreflightError, RemoteError, UnforeseenError, told
from deploy_lib.host.files import read_files
from deploy_lib.host.look.data import Found, Question, ask
from deploy_lib.host.look.deployed import ask_started
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.kept import ask_kept
from deploy_lib.host.look.registry import Manifest
from deploy_lib.names import did_you_mean
from deploy_lib.node.adoption import compare_adopted
from deploy_lib.node.dry_run import look_closer
from deploy_lib.node.site import Site
from deploy_lib.plan.decide import decide_version
from deploy_lib.plan.decision import Job
from deploy_lib.plan.plan import Plan
from deploy_lib.plan.risks import make_scene, only
from deploy_lib.release.files import content_of
from deploy_lib.release.release import Release, Version
from deploy_lib.secrets.value import Secret
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace

_ROUNDS = 4
"""Times that a host is asked, at most: each answer may lead to another question, such as where a database lies, and then what is
there."""


class Guarded(Struct, frozen=True):
    """What became of the data, as far as it can be told before anything is changed.

    Attributes:
        again: an image that is not on the host yet has a say in it.
    """

    checks: tuple[Check, ...]
    again: bool = False


def guard(
    session: Session,
    job: Job,
    plan: Plan,
    facts: Facts,
    services: Mapping[str, Service] | None,
    *,
    pulled: bool = False,
) -> Guarded:
    """Looks for data that the plan would lose.

    Args:
        services: see `make_scene`.
        pulled: the images of the release are on the host.

    Raises:
        RemoteError: the host does not answer.
    """
    # What an earlier release does not declare is removed with it, whatever the checkout declares.
    declared = job.local.services if plan.desired.release.restores is None else ()
    scene = replace(make_scene(plan, facts, job.stack, services, declared), pulled=pulled)
    look = Look(Found())
    if not losses(scene, look) and not look.question:
        return Guarded(tuple(check_data(job.node, ())), bool(look.lacking))
    doubted = {risk.service for risk in scene.risks if not risk.sure and _suspicious(scene, risk.service)}
    scene = only(scene, _recreated(session, job, plan, doubted) if doubted else ())
    asked, found = Question(), Found()
    for _ in range(_ROUNDS):
        look = Look(found)
        lost = losses(scene, look)
        question = look.question.without(asked)
        if not question:
            break
        found, asked = found.also(ask(session, question)), look.question
    return Guarded(tuple(check_data(job.node, lost)), bool(look.lacking))


def _recreated(session: Session, job: Job, plan: Plan, doubted: set[str]) -> Collection[str]:
    """The services for which Compose finds another configuration; all of those in doubt where that cannot be compared."""
    try:
        foreseen, _, _ = look_closer(session, job, plan)
    except CommandError:
        # Compose does not read the files as they are known here.
        return doubted
    if foreseen is None:
        return doubted
    return [change.service for change in foreseen.changes if change.action == "recreate"]


def _suspicious(scene: Scene, service: str) -> bool:
    alone = replace(scene, risks=tuple(risk for risk in scene.risks if risk.service == service))
    look = Look(Found())
    return bool(losses(alone, look)) or bool(look.question)


def foresee_loss(
    session: Session,
    job: Job,
    facts: Facts,
    version: Version,
    manifests: Mapping[str, Manifest],
    values: Mapping[str, Secret],
) -> tuple[Check, ...]:
    """The same in preflight, before anything is decided; nothing where other checks say why nothing can be decided yet."""
    try:
        with told(job.node.name):
            if job.request.services:
                # That is decided from what lies there, too, which is looked at under the lock.
                return tuple(_strange(job, facts))

            def judge(facts: Facts) -> tuple[Check, ...]:
                plan = decide_version(job, facts, version, manifests, values, facts.key or _ANY_KEY).plan
                return guard(session, job, plan, facts, facts.services).checks

            found = judge(facts)
            if facts.adopted and failed(found):
                # What somebody else has started may stay as it is, which takes another question.
                found = judge(compare_adopted(session, job, facts, version, values))
            return (*found, *_strange(job, facts))
    except PreflightError:
        return ()
    except (RemoteError, UnforeseenError) as error:
        hint = error.hint or "run the same command again"
        return (Check(NAME, "the host answers all questions", "failed", problem=error.what, hint=hint),)


def _strange(job: Job, facts: Facts) -> Iterator[Check]:
    """Services that deploy.toml names and nobody knows; one that is gone from the Compose file may still have a container."""
    recorded = facts.proven.release.images if facts.proven else {}
    known = {*facts.services, *recorded, *(container.service for container in facts.containers)}
    for name in job.node.stack.accept_loss:
        if name not in known:
            hint = did_you_mean(name, known) or "take it out"
            yield Check(
                NAME,
                PROVES,
                "warning",
                problem=f"accept_loss names {name}, and there is no such service",
                hint=hint,
            )


_ANY_KEY = "0" * 64
"""In place of the one that a host without any is going to get: nothing of what it marks is looked at."""


def kept_services(
    site: Site, plan: Plan, facts: Facts, known: Mapping[str, Service] | None = None
) -> Mapping[str, Service] | None:
    """The services of an earlier release; None where the files that Compose reads are those that lie there already.

    Args:
        known: those of the same kept files, where the host has rendered them before.

    Raises:
        RemoteError: the host does not answer.
    """
    release, stack = plan.desired.release, site.stack
    inputs = {path for path in stack.inputs_of(release) if path != layout.OVERRIDE}
    if not plan.nothing and not {*release.compose_files} <= {*release.files}:
        return _started_by_hand(site, release)
    if plan.nothing or all(release.files.get(path) == facts.files.get(path) for path in inputs):
        return None
    if known is not None:
        return known
    found = ask_kept(site.session, stack, release, {*site.job.environment.secrets, *release.marks})
    if found is None:
        site.say(
            "data", f"Compose does not read the files of release {release.id}: its mounts are not compared"
        )
    return found


def _started_by_hand(site: Site, release: Release) -> Mapping[str, Service] | None:
    """The services of a release that somebody else has started: its files stay where they were, and its variables are kept."""
    kept = f"{layout.OBJECTS}/{content_of(release.files.get(layout.VARIABLES, ''))}"
    content = read_files(site.session, site.node.directory, [kept]).get(kept, b"")
    project = replace(
        site.stack.project_of(release), files=release.compose_files, env_files=release.env_files
    )
    secrets = {*site.job.environment.secrets, *release.carried}
    return ask_started(site.session, project, secrets, read_env_file(content))
