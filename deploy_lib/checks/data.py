"""That no container is replaced or removed whose data would be lost, or left behind where nothing finds them.

`losses` says what would be, from the facts and from a closer look at the host; it is asked again as long as it has further
questions. See docs/data.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from deploy_lib.checks.check import Check
from deploy_lib.checks.database import Judge, Loss, judge_database
from deploy_lib.checks.risk import Look, Risk
from deploy_lib.compose.container import Container
from deploy_lib.compose.mounts import Held
from deploy_lib.config import Node
from deploy_lib.host.look.facts import Facts

NAME = "data"
"""What the check is called."""

MIB = 1024 * 1024

LIMIT = 10 * MIB
"""Bytes in a container's own layer that are noise: caches, logs, process ids. Databases count from the first byte."""

_PASSING = ("/tmp", "/run", "/var/run", "/var/lock", "/var/cache", "/dev", "/proc", "/sys")  # noqa: S108 - in containers
_PASSING_NAMES = {"__pycache__", ".cache"}
"""What programs must not rely on (Filesystem Hierarchy Standard, XDG), and what is made anew from other files."""

_SYSTEM = ("/proc", "/sys", "/dev", "/run", "/var/run", "/etc", "/boot", "/lib/modules", "/usr")
"""Of the host: what lies there is not a stack's data."""


@dataclass(frozen=True)
class Scene:
    """What all risks of one node have in common.

    Attributes:
        risks: the containers that are replaced or removed, by service.
        mounted: the names of the volumes that any service of the new files mounts; None where the files stay as they are.
        shipped: the paths that the release puts below the stack's directory.
        pulled: the images of the release are on the host by now.
    """

    node: Node
    project: str
    facts: Facts
    risks: Sequence[Risk]
    mounted: frozenset[str] | None = None
    shipped: frozenset[str] = frozenset()
    pulled: bool = False

    def belongs(self, source: str) -> bool:
        """Whether a path of the host is the release's own, and no data."""
        path = PurePosixPath(source)
        if not path.is_relative_to(self.node.directory):
            return False
        below = str(path.relative_to(self.node.directory))
        return any(each == below or each.startswith(f"{below}/") for each in self.shipped)


def check_data(node: Node, found: Iterable[Loss]) -> Iterator[Check]:
    """One check for all losses, and one for those that deploy.toml accepts."""
    losses = list(found)
    accepted = [loss for loss in losses if loss.service in node.stack.accept_loss]
    refused = [loss for loss in losses if loss not in accepted]
    yield _check(refused, "failed")
    if accepted:
        yield _check(accepted, "warning")


def _check(losses: Sequence[Loss], otherwise: str) -> Check:
    proves = "no data are lost with a container that is replaced or removed, or left where nothing finds them"
    if not losses:
        return Check(NAME, proves)
    problem = "; ".join(dict.fromkeys(loss.problem for loss in losses))
    if otherwise == "warning":
        hint = "accept_loss of deploy.toml accepts it; take the service out of it afterwards"
        return Check(NAME, proves, "warning", problem=problem, hint=hint)
    return Check(NAME, proves, "failed", problem=problem, hint="; ".join(dict.fromkeys(x.hint for x in losses)))


def losses(scene: Scene, look: Look) -> list[Loss]:
    """What would be lost or left behind, as far as is known.

    Args:
        look: gets the questions that are still open.
    """
    found = list(_renamed(scene, look))
    for risk in scene.risks:
        judge = Judge(scene.node, scene.facts, risk, look, scene.pulled)
        database = list(judge_database(judge))
        found += [*database, *_layers(judge, database), *_volumes(scene, judge), *_binds(scene, judge)]
        found += _sources(scene, judge)
    return found


def _layers(judge: Judge, told: Sequence[Loss]) -> Iterator[Loss]:
    """What lies in containers' own layers."""
    risk = judge.risk
    for container in risk.goes:
        size = judge.facts.layers.get(container.id, 0)
        if size <= LIMIT or (risk.ends and container.done) or any(loss.layer == container.id for loss in told):
            continue
        lies = judge.look.layer(container)
        kept = {path: n for path, n in (lies or {}).items() if not _passing(path)}
        total = sum(kept.values()) if lies else size
        if total <= LIMIT:
            continue
        where = f" ({biggest(kept)})" if kept else ""
        yield judge.in_layer(container, f"{total / MIB:.0f} MiB", where)


def _passing(path: str) -> bool:
    place = PurePosixPath(path)
    return any(place.is_relative_to(each) for each in _PASSING) or bool(_PASSING_NAMES & set(place.parts))


def biggest(sizes: Mapping[str, int]) -> str:
    """The directories that have most of it, for people: the deepest that still have nine tenths of one, at most three."""
    whole: dict[str, int] = {}
    for path, size in sizes.items():
        for place in (PurePosixPath(path), *PurePosixPath(path).parents):
            whole[str(place)] = whole.get(str(place), 0) + size
    total, found, left = whole.get("/", 0), list[str](), dict(sizes)
    while left and len(found) < 3 and sum(left.values()) * 10 > total:
        here = "/"
        most = {**_summed(left)}
        while True:
            below = [p for p in most if p != here and str(PurePosixPath(p).parent) == here]
            best = max(below, key=lambda p: (most[p], p), default="")
            if not best or most[best] * 10 < most[here] * (9 if here != "/" else 1):
                break
            here = best
        found.append(here)
        left = {path: n for path, n in left.items() if not PurePosixPath(path).is_relative_to(here)}
    return ", ".join(found)


def _summed(sizes: Mapping[str, int]) -> dict[str, int]:
    whole: dict[str, int] = {}
    for path, size in sizes.items():
        for place in (PurePosixPath(path), *PurePosixPath(path).parents):
            whole[str(place)] = whole.get(str(place), 0) + size
    return whole


def _volumes(scene: Scene, judge: Judge) -> Iterator[Loss]:
    """Volumes that the service has, and would have no more."""
    for container in judge.risk.goes:
        for held in container.mounts:
            if held.kind == "volume" and held.writable and (problem := _left(scene, judge, container, held)):
                if judge.look.held(container, held.target):
                    yield judge.loss(problem, _keep_hint(held))


def _left(scene: Scene, judge: Judge, container: Container, held: Held) -> str:
    """Why a volume is left behind; "" where it is not."""
    risk, service = judge.risk, judge.risk.service
    elsewhere = scene.mounted is not None and held.source in scene.mounted
    if risk.after is None:
        if held.anonymous:
            return f"{service} keeps data in a volume without a name ({held.target}), which {risk.doing} would leave behind"
        return "" if elsewhere else f"{service} has the volume {held.source} at {held.target}, which no service would mount any more"
    same = [each for each in risk.after if each.source == held.source and each.kind == "volume"]
    there = next((each for each in risk.after if each.target == held.target), None)
    if there in same or (there is not None and there.anonymous and held.anonymous):
        return ""
    if held.anonymous:
        if there is None and judge.inherits(container, held.target):
            return ""
        instead = f", as {_shown(there)} would take its place" if there else ""
        return f"{service} keeps data in a volume without a name ({held.target}), which {risk.doing} would leave behind{instead}"
    if same:
        if judge.covers_database(container, held):
            return ""  # its program has been asked where it looks
        return f"{service} has the volume {held.source} at {held.target}, and would have it at {same[0].target}"
    if elsewhere:
        return ""
    if there is not None:
        return f"{service} has the volume {held.source} at {held.target}, and would have {_shown(there)} there"
    return f"{service} has the volume {held.source} at {held.target}, which no service would mount any more"


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
    risk, service = judge.risk, judge.risk.service
    for container in risk.goes if risk.after is not None else ():
        for held in container.mounts:
            if held.kind != "bind" or not held.writable or scene.belongs(held.source) or _of_system(held.source):
                continue
            if judge.covers_database(container, held):
                continue
            after = risk.after or ()
            there = next((each for each in after if each.target == held.target), None)
            moved = next((each for each in after if each.source == held.source), None)
            if there is not None and there.source == held.source:
                continue
            if moved is not None and judge.look.source(held.source) in ("", "full"):
                problem = f"{service} has {held.source} at {held.target}, and would have it at {moved.target}"
                yield judge.loss(problem, f"mount it at {held.target} again, or see that the program looks there")
            elif there is not None and there.kind == "volume" and judge.look.held(container, held.target):
                problem = f"{service} has {held.source} at {held.target}, and would have {_shown(there)} there"
                yield judge.loss(problem, "mount it there again, or copy what it has into the volume")
            elif there is not None and there.kind == "bind" and not scene.belongs(there.source):
                if judge.look.source(there.source) in ("", "empty", "missing") and judge.look.held(container, held.target):
                    problem = f"{service} has {held.source} at {held.target}, and would have {there.source} there, which is empty"
                    yield judge.loss(problem, f"move what {held.source} has to {there.source}, or mount it again")


def _of_system(source: str) -> bool:
    return source == "/" or any(PurePosixPath(source).is_relative_to(each) for each in _SYSTEM)


def _sources(scene: Scene, judge: Judge) -> Iterator[Loss]:
    """Directories of the host that Docker would make, empty, for a service that was here before."""
    risk = judge.risk
    if risk.new or scene.mounted is None:
        return
    known = {held.source for container in scene.facts.containers for held in container.mounts}
    for held in risk.after or ():
        # Below the stack's directory it is shipped, is there, or is what the stack fills itself: another check looks at that.
        below = PurePosixPath(held.source).is_relative_to(scene.node.directory)
        if held.kind != "bind" or below or held.source in known or _of_system(held.source):
            continue
        if judge.look.source(held.source) in ("", "missing"):
            problem = f"{risk.service} would get {held.source} at {held.target}, which is not on the host: Docker would make it, empty"
            yield judge.loss(problem, f"mount what belongs there, or make it: mkdir -p {held.source}")


def _renamed(scene: Scene, look: Look) -> Iterator[Loss]:
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
                problem = f"the project in {scene.node.directory} is {project}, and would be {scene.project}: {risk.service} would have the volume {held.source} in place of {was}"
                line = f'put project = "{project}" into [stacks.{scene.node.stack_name}] of deploy.toml, or give the volume its name: {was}'
                yield Loss(risk.service, problem, line)
