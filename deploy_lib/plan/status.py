"""Status: a host's facts compared with its record, in rows and in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from deploy_lib.compose.called import by_name
from deploy_lib.compose.container import Container
from deploy_lib.config import Node
from deploy_lib.host.change.lock import describe
from deploy_lib.host.look.facts import Facts
from deploy_lib.plan.alone import parts_of
from deploy_lib.release.history import Event
from deploy_lib.release.image import Image

Outcome = Literal["as recorded", "drift", "interrupted", "not deployed"]


@dataclass(frozen=True)
class Row:
    """One container, or a service that has none.

    Attributes:
        service: its service; "web-2" for a second container of it.
        image: the reference that it was created from; `tag` and `digest` are parts of it.
        digest: `sha256:...`, "" for an image that is not pinned; of one that has no name, its id.
        uptime: seconds that it runs; None when it does not.
        ports: of the host, that lead to it.
    """

    service: str
    image: str
    tag: str
    digest: str
    state: str
    health: str | None
    uptime: float | None
    restarts: int
    ports: tuple[int, ...]
    container: str = ""


@dataclass(frozen=True)
class Status:
    """How a host stands.

    Attributes:
        outcome: "interrupted": a switch began, and it is unknown how it ended.
        release: the proven one; None when nothing was ever deployed.
        drift: how the host differs from it, in words; empty when it is as recorded.
        notes: worth knowing, but no drift.
    """

    outcome: Outcome
    release: Event | None
    rows: tuple[Row, ...]
    drift: tuple[str, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """This node's part of the JSON document."""
        recorded = self.release.release if self.release else None
        return {
            "outcome": self.outcome,
            "from": None,
            "to": recorded.title if recorded else None,
            "release": self.release
            and {
                "id": self.release.release.id,
                "tag": self.release.release.tag,
                "commit": self.release.release.commit,
                "patches": dict(self.release.release.patches),
                "who": self.release.who,
                "origin": self.release.origin,
                "at": self.release.at,
            },
            "services": {
                row.service: {k: v for k, v in row.__dict__.items() if k != "service"} for row in self.rows
            },
            "drift": list(self.drift),
            "notes": list(self.notes),
            "error": None,
        }


def status(facts: Facts, more: Sequence[str] = ()) -> Status:
    """Compares a host with its record.

    Args:
        more: notes about what is newer elsewhere, such as the branch that is followed; no drift: the host is as it was left.
    """
    proven = facts.proven
    begun = facts.interrupted
    drift = tuple(_drift(facts, proven)) if proven else tuple(_unrecorded(facts))
    notes = (*_notes(facts), *more)
    outcome: Outcome = "drift" if drift else "as recorded" if proven else "not deployed"
    if begun is not None and not facts.machine.locked:
        outcome = "interrupted"
        drift = (
            f"the switch to {begun.release.title} (release {begun.release.id}), begun by {begun.who} at {begun.at}, was "
            "interrupted: the host goes back by itself, or the next deployment continues from there",
            *drift,
        )
    if (restored := restore_problem(facts)) and not facts.machine.locked:
        outcome, drift = "interrupted", (restored, *drift)
    return Status(outcome, proven, tuple(_rows(facts, proven)), drift, notes)


def left_behind(node: Node, statuses: Mapping[str, Status], nodes: Iterable[Node]) -> str:
    """What an optional node has missed while it was off; "" for nothing.

    Args:
        statuses: by node, as far as they are known.
        nodes: those of the environment that were asked; where others run the same stack, only these count.
    """
    own = statuses.get(node.name)
    others = [n for n in nodes if n.name != node.name and n.name in statuses]
    alike = [n for n in others if n.stack_name == node.stack_name] or others
    events = [found for n in alike if (found := statuses[n.name].release)]
    if not node.optional or own is None or not events:
        return ""
    newest = max(events, key=lambda event: event.release.id).release
    here = own.release.release if own.release else None
    if here is not None and (
        here.id >= newest.id or (here.tag, here.patches) == (newest.tag, newest.patches)
    ):
        return ""
    if newest.patches:
        given = " ".join(f"--image {s}=..." for s in sorted(newest.patches))
        return f"it has missed {newest.title}, which the others run: {node.deploy_task} --tag {newest.tag} {given}"
    return f"it has missed {newest.tag}, which the others run: {node.deploy_task} --tag {newest.tag} brings it there"


def restore_problem(facts: Facts) -> str:
    """What a restore has left, where that is unknown; "" otherwise."""
    begun = facts.unsettled_restore
    if begun is None:
        return ""
    came = "was interrupted" if begun.kind == "restoring" else "failed, and could not be undone"
    file, *before = begun.backups or ("?",)
    known = f", and {before[0]} as they were before it" if before else ""
    return (
        f"the restore of {file}, begun by {begun.who} on {begun.origin} at {begun.at}, {came}: it is unknown what the data are. "
        f"Put a backup back (restore --backup ID): {file} has what was to be restored{known}"
    )


def _drift(facts: Facts, proven: Event) -> Iterator[str]:
    release = proven.release
    for service in sorted(release.images):
        yield from _service(facts, proven, service)
    for container in facts.containers:
        if container.service not in {*release.images, *release.idle}:
            yield f"{container.name} is not part of the release"
    if facts.lost(release):
        yield (
            f"{len(facts.lost(release))} secret values are no longer in memory (was the host rebooted?): services that use "
            "them do not start again before the next deployment, which brings them back"
        )
    for image in sorted(set(release.images.values())):
        yield from _image(facts, image)
    for path in sorted({*release.files, *facts.files}):
        if path not in facts.files:
            yield f"the file {path} is missing"
        elif path not in release.files:
            yield f"the file {path} is not part of the release: remove it, or take it into the checkout"
        elif facts.files[path] != release.files[path]:
            yield f"the file {path} was edited on the host"


def _service(facts: Facts, proven: Event, service: str) -> Iterator[str]:
    image, expected = proven.release.images[service], proven.release.replicas.get(service, 1)
    containers = facts.of(service)
    if not containers and expected:
        yield f"{service} is missing: it has no container"
    elif len(containers) != expected:
        yield f"{service} has {_count(len(containers))}, and the release has {expected}"
    for container in containers:
        if container.done and service in proven.release.ends:
            continue
        if container.state != "running":
            yield f"{container.name} is {container.state}"
        elif container.health == "unhealthy":
            yield f"{container.name} is unhealthy"
        # An adopted project's containers may have been started from other names for the same images.
        built = facts.id_of(image)
        if container.image != image and container.image_id != (built or str(image)):
            yield f"{container.name} runs {container.image}, and the release has {image}"
        elif built is not None and container.image_id != built:
            yield f"{container.name} runs another image than {image}"
        elif service in proven.hashes and facts.remade(container, proven):
            yield f"{container.name} was created with another configuration than the release's"


def _image(facts: Facts, image: Image) -> Iterator[str]:
    built = facts.id_of(image)
    if built is None:
        yield f"the image {image} is not on the host any more"
        return
    protecting = sorted(tag for tag in facts.tags if tag.startswith(image.keep_tags))
    for tag in (image.listed_tag, *protecting):
        if facts.tags.get(tag, built) != built:
            yield f"the tag {tag} on the host points to another image than the release's ({image.digest})"


def _unrecorded(facts: Facts) -> Iterator[str]:
    if facts.containers:
        yield f"{_count(len(facts.containers))} of the stack run here without a record: the next deployment adopts them"


def _notes(facts: Facts) -> Iterator[str]:
    newest = facts.newest_switch
    if newest is not None and newest.kind in ("failed", "reverted"):
        came = "failed" if newest.kind == "failed" else "failed and was taken back"
        yield f"the last deployment, of {newest.release.title} by {newest.who} at {newest.at}, {came}"
    if facts.proven is not None and (alone := parts_of(facts.proven.release)):
        were = (
            "was deployed by itself: its part"
            if len(alone) == 1
            else "were deployed by themselves: their part"
        )
        yield (
            f"{', '.join(alone)} {were} of the files is newer than that of the other services, which the next deployment "
            "of the whole stack takes along"
        )
    idle = facts.proven.release.idle if facts.proven else ()
    if beside := [container.name for container in facts.containers if container.service in idle]:
        yield (
            f"{', '.join(beside)}: of a profile that is not active, so deployments leave it as it is; COMPOSE_PROFILES in an env "
            "file, or in the node's variables, takes it along"
        )
    if facts.machine.locked:
        yield f"the deployment lock is held by {describe(facts.machine.locked)}"


def _rows(facts: Facts, proven: Event | None) -> Iterator[Row]:
    expected = proven.release.images if proven else {}
    replicas = proven.release.replicas if proven else {}
    for service in sorted({*expected, *(container.service for container in facts.containers)}):
        for name, container in by_name(facts.of(service)):
            yield _row(facts, name, container, proven)
        if not facts.of(service) and replicas.get(service, 1):
            image = expected[service]
            yield Row(service, str(image), image.tag, image.digest, "missing", None, None, 0, ())


def _row(facts: Facts, name: str, container: Container, proven: Event | None) -> Row:
    image = container.image
    # Such an image has no name on the host: what the operator called it says more.
    patch = (proven.release.patches if proven and not image.repository else {}).get(container.service, "")
    running = container.state == "running"
    return Row(
        service=name,
        image=str(image),
        tag=image.tag or patch.rpartition(" ")[0],
        digest=image.digest,
        state=container.state,
        health=container.health,
        uptime=_since(container.started, facts.machine.now) if running else None,
        restarts=container.restarts,
        ports=container.ports,
        container=container.id,
    )


def _since(started: str, now: float) -> float | None:
    try:
        began = datetime.fromisoformat(started[:19]).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    return max(0.0, round(now - began, 0)) if now else None


def _count(number: int) -> str:
    return "1 container" if number == 1 else f"{number} containers"
