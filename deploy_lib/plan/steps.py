"""Steps: a decision as what a host is to carry out, staging and switch; pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deploy_lib.compose.project import Project
from deploy_lib.config import Backup, OneOff, Stack
from deploy_lib.host.change import revive
from deploy_lib.host.change.backup import Order, make_steps
from deploy_lib.host.change.history import event
from deploy_lib.host.change.keeper import Keeper
from deploy_lib.host.change.place import Placement
from deploy_lib.host.change.prune import prune_script
from deploy_lib.host.change.stage import Staging, needed_logins, staging_steps
from deploy_lib.host.change.start import Runs
from deploy_lib.host.change.step import Step, shown_of
from deploy_lib.host.change.switch import Switch, forward_steps
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login
from deploy_lib.host.stack import HostStack
from deploy_lib.plan.decision import Decision, Job
from deploy_lib.plan.desired import Desired, contents_by_digest
from deploy_lib.plan.overtaken import overtaken
from deploy_lib.plan.rolls import rolls
from deploy_lib.plan.runs import runs, stopped, that_end
from deploy_lib.release.backup import BackupFile, new_id
from deploy_lib.release.files import content_of
from deploy_lib.release.history import Event, Kind, kept
from deploy_lib.release.release import Release
from deploy_lib.secrets.fingerprint import read_marks
from deploy_lib.shell import words
from deploy_lib.values import replace


def make_staging(decision: Decision, facts: Facts, stack: HostStack) -> Staging:
    """What the host lacks of the new release, and of the one that it may have to go back to."""
    plan = decision.plan
    back = plan.back
    back_files = back.release.files if back else {}
    marks = [*plan.desired.release.files.values(), *back_files.values()]
    lacking = {content_of(mark) for mark in marks} - {"", *facts.objects}
    contents = [*plan.desired.files.values(), *(back.files.values() if back else ())]
    back_images = set(back.release.images.values()) if back else set()
    lost = {image for image in back_images - set(plan.pulls) if not facts.has(image)}
    # A version before named the tags of these otherwise, in a way that others on the host may take for their own.
    kept = {
        image
        for event in facts.kept(stack.settings.keep_releases)
        for image in event.release.images.values()
        if facts.has(image)
    }
    images = (set(plan.desired.release.images.values()) | back_images) - lost
    protect = sorted(image for image in images if image.keep_tag(stack.keep_key) not in facts.keep_tags)
    return Staging(
        uploads=contents_by_digest(contents, lacking),
        saves={
            path: content_of(mark)
            for path, mark in {**plan.desired.release.files, **back_files}.items()
            if content_of(mark) in lacking and facts.files.get(path) == mark
        },
        pulls=plan.pulls,
        protect=protect,
        unnamed=[i for i in protect if facts.has(i) and not facts.names(i)],
        keep=sorted(i for i in kept - images if i.keep_tag(stack.keep_key) not in facts.keep_tags),
        recover=() if decision.keep_values else sorted(lost),
    )


def make_switch(
    decision: Decision,
    facts: Facts,
    job: Job,
    *,
    token: str,
    happens: Callable[[Kind, str], Event],
) -> Switch:
    """What the switch is to do.

    Args:
        token: the lock owner's.
        happens: makes an event of the new release, of a kind and with a detail.
    """
    plan, node = decision.plan, job.node
    release, back = plan.desired.release, plan.back
    recorded, by_hand = facts.proven, facts.started_from
    adopted = [plan.before] if plan.before is not None and recorded is None else []
    # The history as it will be: a rollback has the lineage of the release that it restores.
    proven = event("proven", release, before=plan.next_before)
    keep = kept([*facts.history, *adopted, proven], node.stack.keep_releases)
    ending = that_end(release, facts)
    settled = {c.service for c in plan.changes if c.action == "keep" and c.service in ending}
    needed = sorted({*release.marks, *release.carried, *release.given})
    others = [c.service for c in plan.changes if c.action != "keep"]
    only = {*decision.chosen, *others} if decision.chosen else set[str]()
    return Switch(
        token=token,
        forward=Placement({path: release.files[path] for path in plan.changed}, plan.dropped),
        back=plan.undo,
        started=[*adopted, happens("started", "")],
        abandoned=happens("reverted", "its session had ended; the host went back by itself"),
        stuck=happens("failed", "its session had ended, and the host could not go back by itself"),
        project=_project(decision, job, release),
        back_project=_project(decision, job, back.release) if back else None,
        paths=sorted({*release.files, *plan.dropped, *(back.release.files if back else ())}),
        one_offs=due_one_offs(decision, node.stack),
        reloads=plan.reloads,
        staying={
            change.service: [container.name for container in facts.of(change.service)]
            for change in plan.changes
            if change.action == "keep"
        },
        parts=plan.parts,
        overtaken=overtaken(plan, facts),
        paused=[
            c.name
            for change in plan.changes
            if change.action != "keep"
            for c in facts.of(change.service)
            if c.state == "paused"
        ],
        places=[*dict.fromkeys((*facts.places, *(by_hand.hidden if by_hand else ())))],
        marks={} if recorded is None else {s: read_marks(m) for s, m in recorded.release.secrets.items()},
        keeper=_keeper(facts, back.release) if back and facts.adopted else None,
        recalled=[Keeper(r.carried_from, r.carried, r.given) for r in _shells(facts, release, back)],
        runs=replace(
            runs(release.images, settled, ending, facts, late=decision.keep_values, only=only, known=others),
            only=() if only or ending else tuple(sorted(release.images)),
        ),
        back_runs=runs(
            back.release.images,
            settled,
            that_end(back.release, facts),
            facts,
            late=True,
            only=only,
            stopped=stopped(facts) if facts.adopted else (),
        )
        if back
        else Runs(),
        rolls=rolls(node.stack, release, only) if back else (),
        back_rolls=rolls(node.stack, back.release, only) if back else (),
        secrets=needed,
        unused=_unused(job, facts, [release, *([back.release] if back else [])]),
        kept_values=needed if decision.keep_values else [*decision.kept, *release.carried],
        applies=decision.applies,
        secret_files=release.secret_files,
        back_secret_files=back.release.secret_files if back else {},
        prune=prune_script(
            job.stack,
            [e.release for e in keep],
            needed=[plan.next_before] if plan.next_before else [],
            past=[e.release for e in facts.history],
        ),
    )


def _project(decision: Decision, job: Job, release: Release) -> Project:
    """Compose's project of a release; where some services were asked for, containers of no service are none of them."""
    return replace(job.stack.project_of(release), keeps_orphans=bool(decision.chosen))


def _keeper(facts: Facts, back: Release) -> Keeper | None:
    """What keeps the values that only a shell gave to the adopted release; None where there are none, or no image for it."""
    image = next((str(i.listed) for i in back.images.values() if facts.has(i)), "")
    if not back.carried_from or not image:
        return None
    hidden = facts.started_from.hidden if facts.started_from else ()
    seen = {name for place in (*facts.places, *hidden) if place.kind != "file" for name in place.names}
    files = tuple(name for name in (*back.carried, *back.given) if name not in seen)
    return Keeper(back.carried_from, back.carried, back.given, image, files)


def _shells(facts: Facts, release: Release, back: Desired | None) -> list[Release]:
    """The releases that need what only a shell had, and whose containers do not run as somebody else has started them."""
    return [r for r in (release, *([back.release] if back and not facts.adopted else [])) if r.carried_from]


def _unused(job: Job, facts: Facts, releases: Sequence[Release]) -> list[str]:
    """The declared secrets of which no container has anything; none where that is not known of one of the releases."""
    if any(release.places is None for release in releases):
        return []
    places = [*facts.places, *(place for release in releases for place in release.places or ())]
    used = {name for place in places for name in place.names} | {n for r in releases for n in r.marks}
    return sorted(set(job.environment.secrets) - used)


def shown_commands(decision: Decision, facts: Facts, job: Job, logins: Sequence[Login]) -> list[str]:
    """The Docker commands that carrying out a decision would run, from the very steps that its scripts are made of."""
    release = decision.plan.desired.release
    staging = make_staging(decision, facts, job.stack)
    switch = make_switch(
        decision, facts, job, token="", happens=lambda kind, detail: event(kind, release, detail=detail)
    )
    backups = [
        step
        for backup in due_backups(decision, facts, job.node.stack)
        for step in make_steps(new_order(job.stack, backup, release))
    ]
    # The layers come on the commands' standard input.
    loads = [Step("", (words("docker", "load"),)) for _ in decision.plan.ships]
    return shown_of(
        [
            *loads,
            *staging_steps(job.stack, staging, needed_logins(staging, logins)),
            *backups,
            *revive.steps(switch.paused),
            *forward_steps(job.stack, switch),
        ]
    )


def due_backups(decision: Decision, facts: Facts, stack: Stack) -> list[Backup]:
    """The data that the switch may touch: those of a service that gets another image, and all where a command comes first."""
    before, images = decision.plan.before, decision.plan.desired.release.images
    recorded = before.release.images if before else {}
    anything = bool(due_one_offs(decision, stack))

    def touched(service: str) -> bool:
        running, image = facts.of(service), images.get(service)
        # Where nothing ever ran there are no data; a service that ran and has stopped is one whose data cannot be read.
        if anything or image is None:
            return bool(running) or service in recorded
        if service in decision.plan.aside:
            return False
        # An adopted project's containers may have been started from other names for the same images.
        if running:
            return any(container.image_id != facts.id_of(image) for container in running)
        return service in recorded and recorded[service] != image

    return [backup for backup in stack.backups if touched(backup.service)]


def due_one_offs(decision: Decision, stack: Stack) -> list[OneOff]:
    """The commands of new images; a rollback undoes no migration, and an older image knows none of the newer ones."""
    new_images = {c.service for c in decision.plan.changes if c.image != c.before and c.action != "keep"}
    return [o for o in stack.before_switch if o.service in new_images and not decision.keep_values]


def new_order(
    stack: HostStack, backup: Backup, release: Release, *, why: str = "", image: str = "", command: str = ""
) -> Order:
    """A backup that is to be made now.

    Args:
        release: that runs.
        why: what it is made for.
        image: that its service runs.
        command: that asks for it.
    """
    identity = new_id(backup.name)
    made = event(
        "backup",
        release,
        command=command,
        detail=f"{identity}, {why}" if why else identity,
        backups=(identity,),
    )
    file = BackupFile(
        id=identity,
        name=backup.name,
        stack=stack.name,
        service=backup.service,
        image=image,
        release=release.id,
        tag=release.tag,
        at=made.at,
        by=f"{made.who}@{made.origin}",
        why=why,
        compressed=backup.compress,
    )
    return Order(backup, file, made)
