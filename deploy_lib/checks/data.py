"""That no container is replaced or removed whose data would be lost, or left behind where nothing finds them.

`losses` says what would be, from the facts and from a closer look at the host; it is asked again as long as it has further
questions. See docs/data.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from deploy_lib.checks.check import Check
from deploy_lib.checks.database import Judge, Loss, judge_database
from deploy_lib.checks.mounts import judge_mounts, judge_project
from deploy_lib.checks.risk import Look, Scene
from deploy_lib.config import Node

NAME = "data"
"""What the check is called."""

PROVES = "no data are lost with a container that is replaced or removed, or left where nothing finds them"

MIB = 1024 * 1024

LIMIT = 10 * MIB
"""Bytes in a container's own layer that are noise: caches, logs, process ids. Databases count from the first byte."""

_PASSING = ("/tmp", "/run", "/var/run", "/var/lock", "/var/cache", "/dev", "/proc", "/sys")  # noqa: S108 - in containers
_PASSING_NAMES = {"__pycache__", ".cache"}
"""What programs must not rely on (Filesystem Hierarchy Standard, XDG), and what is made anew from other files."""

_NAMED = 3
"""Directories that are named, at most."""


def check_data(node: Node, found: Iterable[Loss]) -> Iterator[Check]:
    """One check for each loss, a warning where deploy.toml accepts it; one that is ok where there is none."""
    losses = list(dict.fromkeys(found))
    if not losses:
        yield Check(NAME, PROVES)
    for loss in losses:
        if loss.later:
            yield Check(NAME, PROVES, "warning", problem=loss.problem, hint=loss.hint)
        elif loss.service in node.stack.accept_loss:
            hint = f"accept_loss accepts it: take {loss.service} out of it afterwards"
            yield Check(NAME, PROVES, "warning", problem=loss.problem, hint=hint)
        else:
            yield Check(NAME, PROVES, "failed", problem=loss.problem, hint=loss.hint)


def losses(scene: Scene, look: Look) -> list[Loss]:
    """What would be lost or left behind, as far as is known.

    Args:
        look: gets the questions that are still open.
    """
    found = list(judge_project(scene, look))
    for risk in scene.risks:
        judge = Judge(scene.node, scene.facts, risk, look, scene.pulled)
        database = list(judge_database(judge))
        found += [*database, *_layers(judge, database), *judge_mounts(scene, judge)]
    return found


def _layers(judge: Judge, told: Sequence[Loss]) -> Iterator[Loss]:
    """What lies in containers' own layers."""
    risk = judge.risk
    for container in risk.goes:
        size = judge.facts.layers.get(container.id, 0)
        small = size is not None and size <= LIMIT
        if small or (risk.ends and container.done) or any(loss.layer == container.id for loss in told):
            continue
        looked = judge.look.layer(container)
        sizes = looked or {}
        kept = {path: n for path, n in sizes.items() if path != "?" and not _passing(path)}
        # The engine's own number counts: the closer look may have missed something, and then it is no noise.
        noise = sum(sizes.values()) - sum(kept.values())
        known = looked is not None and "?" not in sizes
        total = size - noise if size is not None else sum(kept.values()) if known else None
        if total is not None and total <= LIMIT:
            continue
        shown = "nobody knows how much" if total is None else f"{total / MIB:.0f} MiB"
        yield judge.in_layer(container, shown, biggest(kept))


def _passing(path: str) -> bool:
    place = PurePosixPath(path)
    return any(place.is_relative_to(each) for each in _PASSING) or bool(_PASSING_NAMES & set(place.parts))


def biggest(sizes: Mapping[str, int]) -> str:
    """The directories that have most of it, for people: at most three, each as deep as it still has nine tenths of the one above."""
    total, found, left = sum(sizes.values()), list[str](), dict(sizes)
    while len(found) < _NAMED and sum(left.values()) * 10 > total:
        summed, here = _summed(left), "/"
        while True:
            below = [path for path in summed if path != here and str(PurePosixPath(path).parent) == here]
            best = max(below, key=lambda path: (summed[path], path), default="")
            if not best or (here != "/" and summed[best] * 10 < summed[here] * 9):
                break
            here = best
        found.append(here)
        left = {path: n for path, n in left.items() if not PurePosixPath(path).is_relative_to(here)}
    return ", ".join(found)


def _summed(sizes: Mapping[str, int]) -> dict[str, int]:
    """By directory, what lies in it and below it."""
    whole: dict[str, int] = {}
    for path, size in sizes.items():
        for place in (PurePosixPath(path), *PurePosixPath(path).parents):
            whole[str(place)] = whole.get(str(place), 0) + size
    return whole
