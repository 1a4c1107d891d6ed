"""Status: how a host stands, in rows and in words; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from deploy_lib.compose.called import by_name
from deploy_lib.compose.container import Container
from deploy_lib.config import Environment, Node
from deploy_lib.host.change.lock import describe
from deploy_lib.host.look.facts import Facts
from deploy_lib.plan.alone import parts_of
from deploy_lib.plan.drift import drift, restore_problem
from deploy_lib.release.history import Event
from deploy_lib.source.versions import typed

Standing = Literal["as recorded", "drift", "interrupted", "not deployed"]


class Row(Struct, frozen=True):
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


class Status(Struct, frozen=True):
    """How a host stands.

    Attributes:
        outcome: "interrupted": a switch began, and it is unknown how it ended.
        release: the proven one; None when nothing was ever deployed.
        drift: how the host differs from it, in words; before that, a switch or a restore of which it is unknown how it ended. Empty
            when it is as recorded.
        notes: worth knowing, but no drift.
    """

    outcome: Standing
    release: Event | None
    rows: tuple[Row, ...]
    drift: tuple[str, ...]
    notes: tuple[str, ...]


def status(facts: Facts, more: Sequence[str] = ()) -> Status:
    """Compares a host with its record.

    Args:
        more: notes about what is newer elsewhere, such as the branch that is followed; no drift: the host is as it was left.
    """
    proven = facts.proven
    begun = facts.interrupted
    found = drift(facts)
    notes = (*_notes(facts), *more)
    outcome: Standing = "drift" if found else "as recorded" if proven else "not deployed"
    if begun is not None and not facts.machine.locked:
        outcome = "interrupted"
        found = (
            f"the switch to {begun.release.title} (release {begun.release.id}), begun by {begun.who} at {begun.at}, was "
            "interrupted: the host goes back by itself, or the next deployment continues from there",
            *found,
        )
    if (restored := restore_problem(facts)) and not facts.machine.locked:
        outcome, found = "interrupted", (restored, *found)
    return Status(outcome, proven, tuple(_rows(facts, proven)), found, notes)


def left_behind(
    environment: Environment, node: Node, statuses: Mapping[str, Status], nodes: Iterable[Node]
) -> str:
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
    brings = "" if newest.patches else " brings it there"
    return f"it has missed {newest.title}, which the others run: {node.deploy_task}{typed(environment, newest)}{brings}"


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
