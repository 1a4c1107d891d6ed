"""Risks: which containers a plan replaces or removes, and what comes in their place; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from deploy_lib import layout
from deploy_lib.checks.risk import Risk, Scene
from deploy_lib.compose.called import by_number
from deploy_lib.compose.container import Container
from deploy_lib.compose.mounts import wanted
from deploy_lib.compose.service import Service
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.stack import HostStack
from deploy_lib.plan.changes import Change
from deploy_lib.plan.plan import Plan
from deploy_lib.values import replace


def make_scene(
    plan: Plan,
    facts: Facts,
    stack: HostStack,
    services: Mapping[str, Service] | None,
    declared: Collection[str] = (),
) -> Scene:
    """What a plan does to containers that may have data.

    Args:
        declared: the services that stand in the Compose files; one that no profile has switched on is left alone.
        services: the stack as the host's Compose renders it for the plan's release; None: its files stay as they are.
    """
    release, found = plan.desired.release, dict(services or {})
    mounted = None
    if services is not None:
        mounted = frozenset(
            held.source
            for service in found.values()
            for held in wanted(service, found, stack.directory)
            if held.kind in ("volume", "bind") and held.source
        )
    shipped = {path for path in release.files if path not in (layout.OVERRIDE, layout.VARIABLES)}
    before = plan.before.release.files if plan.before else {}
    risks = () if plan.nothing else tuple(_risks(plan, facts, stack, services, declared))
    return Scene(stack.node, stack.project_name, facts, risks, mounted, frozenset({*shipped, *before}))


def only(scene: Scene, recreated: Collection[str]) -> Scene:
    """The same without what was not sure to be replaced, and is not.

    Args:
        recreated: the services for which Compose finds another configuration.
    """
    risks = [replace(r, sure=True) for r in scene.risks if r.sure or r.service in recreated]
    return replace(scene, risks=tuple(risks))


def _risks(
    plan: Plan,
    facts: Facts,
    stack: HostStack,
    services: Mapping[str, Service] | None,
    declared: Collection[str],
) -> Iterator[Risk]:
    release = plan.desired.release
    inputs = {*stack.inputs_of(release)} - {layout.OVERRIDE}
    changed = inputs & {*plan.changed, *plan.dropped}
    rewritten = bool(changed - {layout.VARIABLES})
    for change in plan.changes:
        if change.service not in release.images or change.service in plan.aside:
            continue
        stay, gone = _staying(change, facts, release.replicas.get(change.service, 1))
        image = release.references[change.service]
        sure = [c for c in stay if change.action == "recreate" or c.image != image]
        if gone:
            yield replace(_risk(change, gone, None, stack, plan, facts), after=None)
        if sure or (stay and changed) or (not stay and not gone and change.action == "create"):
            risk = _risk(change, stay, services, stack, plan, facts)
            certain = bool(sure) or not stay or _otherwise_mounted(risk)
            # Of what somebody else has started, Compose's own hash has said already that it stays.
            if not certain and change.service in facts.alike and change.service in release.as_started:
                continue
            yield replace(risk, sure=certain, rewritten=rewritten or certain)
    left = {*declared, *release.idle, *facts.inactive, *plan.aside}
    for name in sorted({c.service for c in facts.containers} - {*release.images, *left}):
        yield Risk(name, tuple(facts.of(name)), None)


def _otherwise_mounted(risk: Risk) -> bool:
    """Whether it has a volume that it is not to have there any more.

    Some versions of Compose keep a container although its volume has another name; sooner or later it is replaced.
    """
    after = {(held.source, held.target, held.inner) for held in risk.after or ()}
    return any(
        held.kind == "volume" and not held.anonymous and (held.source, held.target, held.inner) not in after
        for container in risk.goes
        for held in container.mounts
    )


def _staying(change: Change, facts: Facts, replicas: int) -> tuple[list[Container], list[Container]]:
    """A service's containers: those that stay or are replaced, and those that there will be no more."""
    running = by_number(facts.of(change.service))
    return running[:replicas], running[replicas:]


def _risk(
    change: Change,
    goes: Sequence[Container],
    services: Mapping[str, Service] | None,
    stack: HostStack,
    plan: Plan,
    facts: Facts,
) -> Risk:
    release = plan.desired.release
    service = services.get(change.service) if services is not None else None
    ever = [plan.before, facts.unsettled]
    new = not goes and not any(change.service in event.release.images for event in ever if event)
    after = wanted(service, services or {}, stack.directory) if service else goes[0].mounts if goes else None
    return Risk(
        change.service,
        tuple(goes),
        after,
        change.image,
        service.image if service else change.image,
        environment=service.environment if service else {},
        command=service.command if service else (),
        ends=change.service in release.ends,
        new=new,
    )
