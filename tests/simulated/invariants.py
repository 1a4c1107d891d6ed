"""What holds on a simulated host, whatever befell it."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy_lib.layout import LOCK, METRICS, SWITCH_LOCK, TEMPORARY, VERDICT

from .gateway import AWAY
from .project import GATEWAY, ROLLED
from .world import World

SERVICES = ("db", "setup", "web")
SETTLED = ("proven", "reverted", "adopted")
ASIDE = ("aborted", "backup")

Held = Mapping[str, Mapping[str, str]]
"""The secret files of containers, by service."""


def held(world: World) -> Held:
    """What containers have now."""
    return {c.service: dict(c.files) for c in world.containers.values()}


def recorded(world: World) -> dict[str, Any] | None:
    """The release that was proven last; None where none was."""
    events = [event for event in world.events() if event["kind"] in ("proven", "adopted")]
    release: dict[str, Any] | None = events[-1]["release"] if events else None  # type: ignore[assignment]
    return release


def check_free(world: World) -> None:
    """Nobody holds a lock."""
    home = world.host.home
    for name in (LOCK, SWITCH_LOCK):
        if (home / name).exists():
            with (home / name).open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def check_no_verdict(world: World) -> None:
    """None waits for a switch. One that a host had when it went down is removed by who takes the lock next."""
    assert not (world.host.home / VERDICT).exists(), "a verdict is left"


def check_history(world: World) -> None:
    """The newest switch has an end, and every line is whole."""
    path = world.host.home / ".deploy/history.jsonl"
    for line in path.read_text().splitlines() if path.exists() else ():
        json.loads(line)
    kinds = [event["kind"] for event in world.events() if event["kind"] not in ASIDE]
    assert not kinds or kinds[-1] in SETTLED or recorded(world) is None, f"the history ends so: {kinds}"
    assert not kinds or kinds[-1] != "started", f"a release has no end: {kinds}"


def check_whole(world: World) -> None:
    """The recorded release runs wholly and healthily, from its files, and nothing beside it; nothing, where none is recorded."""
    release = recorded(world)
    found = sorted((c.service, c.name) for c in world.containers.values())
    services = sorted([*SERVICES, *([GATEWAY] if world.rolling else [])])
    names = [(service, f"shop-{service}-1") for service in services]
    if world.rolling:
        # Of a service that is replaced beside itself, numbers count on.
        found = [(service, f"shop-{service}-1" if service == ROLLED else name) for service, name in found]
    if release is None:
        assert found == [], "nothing was ever proven here"
        return
    assert found == names
    told = {**release["images"], **release.get("as_started", {})}
    assert {c.service: c.image for c in world.containers.values()} == told
    for c in world.containers.values():
        world.host.engine.look(c)
        if c.service == "setup":
            assert (c.state, c.code) == ("exited", 0), c
        else:
            assert c.state == "running", c
            while c.health == "starting":
                world.host.engine.look(c)
            assert c.health == "healthy", c
    for path, mark in release["files"].items():
        content = (world.host.home / path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == mark.partition(" ")[0], f"{path} is not as recorded"


def check_values(world: World, expected: Held) -> None:
    """Containers have these secret values."""
    now = held(world)
    different = [service for service in expected if now.get(service) != expected[service]]
    assert not different, f"other secret values: {different}"


def current(world: World) -> Held:
    """What containers have that got the values at the source."""
    values = world.values
    database = {path: value for path, value in values.items() if path.endswith("db_password")}
    return {"db": database, "setup": database, "web": values, **({GATEWAY: {}} if world.rolling else {})}


def check_gateway(world: World) -> None:
    """The gateway goes by what it finds again."""
    for c in world.containers.values():
        assert all(state == AWAY for _, state in c.told.values()), f"{c.name} keeps to {c.told}"


def _may_be_in_use(path: Path) -> bool:
    """Whether it is an empty directory of a script whose process has a number that some program has: that may have just made it, and it
    goes with the next sweep after that program's end."""
    number = path.name.removeprefix(f"{TEMPORARY}.").partition(".")[0]
    return path.is_dir() and not any(path.iterdir()) and Path(f"/proc/{number}").exists()


def check_clean(world: World, *, untouched: bool) -> None:
    """Memory has the log of the newest switch and nothing else, and no file of the host has a secret value.

    Args:
        untouched: the last command had nothing to do. Of a switch that was killed, or of a host that went down, when all was
            proven, the signs beside the log and an unfinished file of numbers stay until the next one, which replaces them.
    """
    left = [path for name in ("run", "shm") for path in (world.host.root / name).rglob("*")]
    left = [path for path in left if not (untouched and path.name in ("event", "asked"))]
    odd = [path for path in left if path.name != "log" and not path.name.startswith(f"{TEMPORARY}-shop.")]
    odd = [path for path in odd if not _may_be_in_use(path)]
    assert not odd, f"left in memory: {odd}"
    assert len(left) <= 2, f"left in memory: {left}"
    numbers = (world.host.home / METRICS).parent
    strange = [p for p in _strange(world.host.home) if not (untouched and p.parent == numbers)]
    assert not strange, f"files of no release are left: {strange}"
    values = [value.encode() for each in held(world).values() for value in each.values()]
    for path in world.host.root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert not any(value in content for value in values), f"{path} has a secret value"


def _strange(home: Path) -> Iterator[Path]:
    for path in home.rglob("*"):
        if path.name.endswith((".deploy-new", ".new")):
            yield path
