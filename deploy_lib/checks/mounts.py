"""That volumes and directories which a service has its data in are mounted again, and where they were."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import PurePosixPath

from deploy_lib.checks.database import Judge, Loss
from deploy_lib.checks.risk import Look, Scene
from deploy_lib.compose.container import Container
from deploy_lib.compose.mounts import Held, at

_SYSTEM = ("/proc", "/sys", "/dev", "/run", "/var/run", "/etc", "/boot", "/lib/modules", "/usr")
"""Of the host: what lies there is not a stack's data."""


def judge_mounts(scene: Scene, judge: Judge) -> Iterator[Loss]:
    """What one service would have no more, or elsewhere, or an empty one of."""
    yield from _volumes(scene, judge)
    yield from _hidden(scene, judge)
    yield from _binds(scene, judge)
    yield from _sources(scene, judge)


def _volumes(scene: Scene, judge: Judge) -> Iterator[Loss]:
    """Volumes that the service has, and would have no more."""
    for container in judge.risk.goes:
        for held in container.mounts:
            problem = _left(scene, judge, container, held) if held.kind == "volume" and held.writable else ""
            if problem and judge.look.held(container, held.target):
                yield judge.loss(problem, _keep_hint(held))


def _left(scene: Scene, judge: Judge, container: Container, held: Held) -> str:
    """Why a volume is left behind; "" where it is not."""
    risk, service = judge.risk, judge.risk.service
    elsewhere = held.source in scene.still_mounted
    if risk.after is None:
        if held.anonymous:
            return f"{service} keeps data in a volume without a name ({held.target}), which {risk.doing} would leave behind"
        return (
            ""
            if elsewhere
            else f"{service} has the volume {held.source} at {held.target}, which no service would mount any more"
        )
    same = [each for each in risk.after if each.source == held.source and each.kind == "volume"]
    exact = next((each for each in risk.after if each.target == held.target), None)
    there = exact or at(risk.after, held.target)
    has = f"{service} has {_full(held)} at {held.target}, and would have"
    if there in same and there.place_of(held.target) == held.place_of(held.target):
        return ""
    if held.anonymous:
        if exact.anonymous if exact else judge.inherits(container, held.target):
            return ""
        instead = f", as {_shown(exact)} would take its place" if exact else ""
        return f"{service} keeps data in a volume without a name ({held.target}), which {risk.doing} would leave behind{instead}"
    database = judge.covers_database(container, held)
    if same:
        # Of a database, its program has been asked where it looks.
        return "" if database else f"{has} {_instead(there if there in same else None, same[0])}"
    if there is not None:
        return f"{has} {_full(there)} there"
    if not elsewhere:
        return f"{service} has {_full(held)} at {held.target}, which no service would mount any more"
    return f"{has} nothing there" if database else ""


def _instead(there: Held | None, elsewhere: Held) -> str:
    """Where the same volume would be."""
    if there is None:
        return f"it at {elsewhere.target}"
    return f"{_full(there)} there" if there.inner else "all of that volume there"


def _full(held: Held) -> str:
    return f"{held.inner} in {_shown(held)}" if held.inner else _shown(held)


def _hidden(scene: Scene, judge: Judge) -> Iterator[Loss]:
    """What lies in a mount, and would be hidden by a new one further down."""
    for container in judge.risk.goes:
        for new in judge.risk.after or ():
            known = {*container.memory, *(held.target for held in container.mounts)}
            over = at(container.mounts, new.target)
            if over is None or new.target in known or not over.writable or _scratch(new.target):
                continue
            if over.kind == "bind" and (scene.belongs(_path(over, new.target)) or _of_system(over.source)):
                continue
            if new.kind == over.kind == "volume" and new.source == over.source:
                continue  # another part of the same one
            full = new.kind == "bind" and judge.look.source(new.source) not in ("", "empty", "missing")
            if full or not judge.look.held(container, new.target):
                continue
            service = judge.risk.service
            problem = (
                f"{service} has data at {new.target}, in {_shown(over)}, and would have {_full(new)} there"
            )
            yield judge.loss(problem, "mount it elsewhere, or move the data into it")


def _scratch(target: str) -> bool:
    return PurePosixPath(target).name in ("tmp", "temp", "cache", ".cache", "__pycache__", "node_modules")


def _path(held: Held, target: str) -> str:
    """Where a path of the container lies on the host, in a directory of it that is mounted."""
    return posixpath.normpath(f"{held.source}/{held.place_of(target)}")


def _shown(held: Held) -> str:
    if held.kind == "volume":
        return f"the volume {held.source}" if held.source else "a new volume"
    return "memory" if held.kind == "tmpfs" else held.source


def _keep_hint(held: Held) -> str:
    if held.anonymous:
        return f"give it a name first: copy what it has into a volume that the Compose file names, and mount that at {held.target}"
    return f"mount it there again (with name: {held.source} below volumes:, its name stays), or move the data"


def _binds(scene: Scene, judge: Judge) -> Iterator[Loss]:
    """Directories of the host that the service has, and would have elsewhere, or an empty one in their place."""
    for container in judge.risk.goes if judge.risk.after is not None else ():
        for held in container.mounts:
            own = scene.belongs(held.source) or _of_system(held.source)
            if held.kind != "bind" or not held.writable or own or judge.covers_database(container, held):
                continue
            if problem := _misplaced(scene, judge, container, held):
                yield judge.loss(
                    problem,
                    f"mount it at {held.target} again, or move what it has to where the program looks",
                )


def _misplaced(scene: Scene, judge: Judge, container: Container, held: Held) -> str:
    """Why a directory of the host is not found any more; "" where it is."""
    after, look = judge.risk.after or (), judge.look
    there = at(after, held.target)
    moved = next((each for each in after if each.source == held.source), None)
    has = f"{judge.risk.service} has {held.source} at {held.target}"
    path = _path(there, held.target) if there is not None and there.kind == "bind" else ""
    if path == held.source:
        return ""
    if moved is not None:
        full = look.source(held.source) in ("", "full")
        return f"{has}, and would have it at {moved.target}" if full else ""
    if there is None:
        missed = not _mounted(scene, held.source) and look.source(held.source) in ("", "full")
        return f"{has}, which no service would mount any more" if missed else ""
    if scene.belongs(path or there.source) or not look.held(container, held.target):
        return ""
    if there.kind != "bind":
        return f"{has}, and would have {_full(there)} there"
    return (
        f"{has}, and would have {path} there, which is empty"
        if look.source(path) in ("", "empty", "missing")
        else ""
    )


def _mounted(scene: Scene, path: str) -> bool:
    """Whether any service has a path of the host afterwards, or one that it lies in."""
    places = {path, *map(str, PurePosixPath(path).parents)} - {"/"}
    return bool(places & scene.still_mounted)


def _of_system(source: str) -> bool:
    return source == "/" or any(PurePosixPath(source).is_relative_to(each) for each in _SYSTEM)


def _sources(scene: Scene, judge: Judge) -> Iterator[Loss]:
    """Directories of the host that Docker would make, empty, for a service that was here before."""
    risk = judge.risk
    if risk.new or scene.mounted is None:
        return
    known = {held.source for container in scene.facts.containers for held in container.mounts}
    for held in risk.after or ():
        # Below the stack's directory it is shipped, is there, or is what the stack fills itself: another check looks at that. Where a
        # service has lost its container, though, it was here before, and so was what it filled.
        below = PurePosixPath(held.source).is_relative_to(scene.node.directory) and bool(risk.goes)
        below = below or scene.belongs(held.source)
        if held.kind != "bind" or below or held.source in known or _of_system(held.source):
            continue
        if judge.look.source(held.source) in ("", "missing"):
            problem = f"{risk.service} would get {held.source} at {held.target}, which is not on the host: Docker would make it, empty"
            yield judge.loss(problem, f"mount what belongs there, or make it: mkdir -p {held.source}")


def judge_project(scene: Scene, look: Look) -> Iterator[Loss]:
    """Volumes that would be others, because the project has another name than the one that was started in the directory."""
    if scene.facts.containers or scene.mounted is None or not scene.risks:
        return
    for project, volumes in sorted(look.projects(scene.node.directory).items()):
        old, new = (f"{each}_" for each in (project, scene.project))
        pairs = {name: f"{new}{name.removeprefix(old)}" for name in volumes if name.startswith(old)}
        for risk in scene.risks if project != scene.project else ():
            for held in risk.after or ():
                was = next((name for name, then in pairs.items() if then == held.source), None)
                if was is None:
                    continue
                problem = (
                    f"the project in {scene.node.directory} is {project}, and would be {scene.project}: {risk.service} would have "
                    f"the volume {held.source} in place of {was}"
                )
                judge = Judge(scene.node, scene.facts, risk, look)
                yield judge.loss(
                    problem,
                    f'put project = "{project}" into [stacks.{scene.node.stack_name}] of deploy.toml, or give the volume its name: {was}',
                )
