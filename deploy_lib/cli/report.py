"""A command's report on its nodes: the parts of the JSON document, and the tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from deploy_lib import layout
from deploy_lib.compose.called import by_name
from deploy_lib.compose.container import Container
from deploy_lib.fleet.done import Done
from deploy_lib.host.look import sizes
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.shipping import told_of
from deploy_lib.output.console import Console
from deploy_lib.plan.plan import Plan
from deploy_lib.plan.preview import Preview


def as_dict(deployment: Deployment, done: Done | None = None) -> dict[str, Any]:
    """A node's part of the JSON document.

    Args:
        done: the command's result; None when it broke off.
    """
    name = deployment.node.name
    plan, before = deployment.plan, deployment.before
    data: dict[str, Any] = {
        "outcome": deployment.outcome.value,
        "from": before.release.title if before else None,
        "to": plan.desired.release.title if plan else None,
        "services": services(deployment.running or ()),
        "error": str(deployment.error) if deployment.error else None,
    }
    if deployment.backups:
        data["backups"] = [backup.as_dict() for backup in deployment.backups]
    if (what := deployment.restoration) is not None:
        data["restore"] = {
            "backup": what.file.as_dict(),
            "stop": list(what.stop),
            "commands": what.commands(deployment.site),
        }
    if deployment.request.command == "prune":
        removed = list(done.removed.get(name, ())) if done else []
        data["pruned"] = [] if deployment.request.dry_run else removed
        if deployment.request.dry_run:
            data["plan"] = {"removed": removed}
    if plan is not None and deployment.request.dry_run:
        preview = done.previews.get(name, Preview()) if done else Preview()
        data["plan"] = {
            **describe(plan),
            "diffs": dict(preview.diffs),
            "commands": list(preview.commands),
            "sizes": {str(image): size for image, size in preview.sizes.items()},
        }
    return data


def services(containers: Iterable[Container]) -> dict[str, dict[str, Any]]:
    """Containers for JSON, by service; "web-2" for a second one of it."""
    return {
        name: {"image": str(c.image), "state": c.state, "health": c.health, "container": c.id}
        for name, c in by_name(containers)
    }


def describe(plan: Plan) -> dict[str, Any]:
    """A plan for JSON."""
    return {
        "services": {
            c.service: {
                "action": c.action,
                "image": str(c.image),
                "before": str(c.before or ""),
                "why": c.why,
            }
            for c in plan.changes
        },
        "files": list(plan.changed),
        "removed": list(plan.dropped),
        "pulls": [str(image) for image in plan.pulls],
        "ships": [str(image) for image in plan.ships],
        "reloads": [r.service for r in plan.reloads],
        "back": plan.back.release.id if plan.back else None,
        "adopts": plan.before.kind == "adopted" if plan.before else False,
        "nothing": plan.nothing,
        "down": list(plan.down),
        "applies": list(plan.applies),
        "probes": plan.other_probes,
    }


def show_plan(console: Console, deployment: Deployment, preview: Preview | None) -> None:
    """A plan for people."""
    plan, preview = deployment.plan, preview or Preview()
    if plan is None:
        return
    before = plan.before.release.title if plan.before else "nothing"
    console.result(f"{deployment.node.name}: {before} -> {plan.desired.release.title}")
    if plan.nothing:
        console.result("  nothing to change")
        return
    if plan.before is not None and plan.before.kind == "adopted":
        console.result("  what runs without a record is adopted, and a failure goes back to it")
    replicas = plan.desired.release.replicas
    shipped = [d for d in deployment.site.deliveries if d.shipment.image in plan.ships]
    rows = [
        [c.service, c.action, c.why, c.image.short]
        for c in plan.changes
        if c.before or replicas.get(c.service, 1)
    ]
    console.table("", ["service", "action", "why", "image"], rows, flexible="why")
    for title, names in (
        ("go down while they are replaced, and keep data in a volume", plan.down),
        ("files", plan.changed),
        ("removed files", plan.dropped),
        (
            "images to pull",
            [f"{image.short} ({sizes.shown(preview.sizes.get(image))})" for image in plan.pulls],
        ),
        ("images to ship", [told_of(d.shipment) for d in shipped]),
        ("reloaded", [reload.service for reload in plan.reloads]),
        ("changed in the program's own data, too", plan.applies),
    ):
        if names:
            console.result(f"  {title}: {', '.join(names)}")
    if plan.other_probes:
        console.result("  its probes differ from those of the release before")
    for path, diff in preview.diffs.items():
        # The table above says the same in fewer words.
        if path != layout.OVERRIDE:
            console.result(_indented(diff))
    console.result("  commands:")
    for command in preview.commands:
        console.result(_indented(command))
    console.result(f"  {going_back(plan)}")


def show_restoration(console: Console, deployment: Deployment) -> None:
    """What a restore would do, for people."""
    what = deployment.restoration
    if what is None:
        return
    console.result(
        f"{deployment.node.name}: {what.file.shown}, made when {what.file.tag} ran, into {what.backup.service}"
    )
    console.result("  first: a backup of the data that are there; a failure puts that back")
    if what.stop:
        console.result(f"  stopped meanwhile: {', '.join(what.stop)}")
    console.result("  commands:")
    for command in what.commands(deployment.site):
        console.result(_indented(command))


def show_removals(console: Console, node: str, removed: Sequence[str]) -> None:
    """What a pruning would remove, for people."""
    console.result(f"{node}: {len(removed)} to remove" if removed else f"{node}: nothing to remove")
    for what in removed:
        console.result(f"  {what}")


def going_back(plan: Plan) -> str:
    """Which release a failure goes back to, and which one a later rollback."""
    if plan.back is None:
        return "if it fails: the stack is taken down again, its volumes stay"
    release = plan.back.release
    back = f"{release.title} (release {release.id})"
    if plan.next_before == release.id:
        return f"if it fails, and for a rollback afterwards: {back}"
    if plan.next_before is None:
        return f"if it fails: {back}; there is nothing for a rollback afterwards"
    return f"if it fails: {back}; for a rollback afterwards: release {plan.next_before}"


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines()).rstrip("\n")


def show_services(console: Console, deployments: Sequence[Deployment]) -> None:
    """What runs now, for people."""
    rows = [
        row
        for d in deployments
        for row in (
            [
                [
                    d.node.name,
                    name,
                    c.health if c.health and c.state == "running" else c.state,
                    c.image.short,
                ]
                for name, c in by_name(d.running)
            ]
            if d.running is not None
            else [[d.node.name, "?", "unknown: the host does not say what runs", ""]]
        )
    ]
    console.table("", ["node", "service", "state", "image"], rows, flexible="image")


def short_time(at: str) -> str:
    """A time of the history for people: to the minute, UTC."""
    return at[:16].replace("T", " ")
