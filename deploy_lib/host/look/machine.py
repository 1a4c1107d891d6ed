"""The machine below a stack: its clock, space, memory, ports and mounts. A part of the facts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.compose.container import PUBLISHED
from deploy_lib.host.change.lock import holder
from deploy_lib.shell import quote
from deploy_lib.ssh.session import Session

STORAGE_TIMEOUT = 5
"""Seconds until shared storage must have answered: a dead NFS server answers nothing, ever."""


@dataclass(frozen=True)
class Publisher:
    """A running container that publishes ports.

    Attributes:
        project: its Compose project, "" without one.
    """

    name: str
    project: str
    ports: frozenset[int]


@dataclass(frozen=True)
class Machine:
    """What a stack needs of its host, apart from Docker.

    Attributes:
        now: the host's clock, seconds since 1970; 0 when it did not say.
        docker_root: where Docker keeps images.
        free: free bytes by what they are for: "docker", "directory".
        memory: bytes that programs could still get.
        listening: TCP ports that something listens on.
        publishers: running containers that publish ports, those of the stack among them.
        swap: what it swaps to.
        storage: of the shared storage: "mounted", "writable", both or nothing.
        locked: the owner's note, while somebody holds the deployment lock.
    """

    now: float = 0
    docker_root: str = ""
    free: Mapping[str, int] = field(default_factory=dict)
    memory: int = 0
    listening: frozenset[int] = frozenset()
    publishers: tuple[Publisher, ...] = ()
    swap: tuple[str, ...] = ()
    storage: frozenset[str] = frozenset()
    locked: str = ""


PARTS = ("clock", "space", "ram", "listening", "published", "swap", "storage", "locked")


def ask_storage(session: Session, path: str) -> frozenset[str]:
    """Looks at the shared storage alone: see `Machine.storage`.

    Raises:
        RemoteError: the host did not answer.
    """
    return frozenset(session.run(_storage_script(path), step="shared storage").stdout.split())


def functions(directory: PurePosixPath, storage: str | None) -> str:
    """One shell function for each of PARTS.

    Args:
        storage: where the shared storage should be mounted; None for a stack without.
    """
    owner = quote(directory / layout.OWNER)
    return f"""\
clock() {{ date +%s.%N; }}
space() {{
  x={quote(directory)}
  while [ ! -e "$x" ]; do x=$(dirname "$x"); done
  echo "directory $(df -Pk "$x" | tail -n 1)"
  d=$(docker info --format '{{{{.DockerRootDir}}}}') && [ -n "$d" ] || return
  echo "root $d"
  # Where one may not look into it, it is below one that one may.
  while [ ! -x "$d" ] && [ "$d" != / ]; do d=$(dirname "$d"); done
  echo "docker $(df -Pk "$d" | tail -n 1)"
}}
ram() {{ cat /proc/meminfo; }}
listening() {{ grep -hE '^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:0000 0A' /proc/net/tcp /proc/net/tcp6; true; }}
published() {{ ids=$(docker ps -q) && {{ [ -z "$ids" ] || docker inspect --format {quote(PUBLISHED)} $ids; }}; }}
swap() {{ [ ! -e /proc/swaps ] || tail -n +2 /proc/swaps; }}
storage() {{
{_storage_script(storage)}
}}
# Taking the lock, to see, could get in somebody's way: whoever has it has said so, lives, and has its file open.
locked() {{
  {holder(directory)} && head -n 1 {owner} 2>/dev/null || true
}}
"""


def _storage_script(path: str | None) -> str:
    if path is None:
        return "  :"
    return f"""\
  x={quote(path)}
  cut -d ' ' -f 5 /proc/self/mountinfo | grep -qxF "$x" && echo mounted
  timeout {STORAGE_TIMEOUT} sh -c '[ -d "$1" ] && [ -w "$1" ] && echo writable' - "$x"; true"""


_DF = re.compile(r"(\w+) .*?(\d+)\s+(\d+)\s+(\d+)\s+\d+%\s+/")
_LISTENING = re.compile(r"\d+: [0-9A-F]+:([0-9A-F]{4}) ")
_MEMORY = re.compile(r"MemAvailable:\s+(\d+) kB")


def read_machine(parts: Mapping[str, str]) -> Machine:
    """The answers of PARTS; what is missing or odd counts as unknown."""
    text = {name: parts.get(name, "") for name in PARTS}
    clock = re.match(r"\d+(\.\d+)?", text["clock"])
    root = re.search(r"^root (.*)$", text["space"], re.MULTILINE)
    memory = _MEMORY.search(text["ram"])
    return Machine(
        now=float(clock[0]) if clock else 0,
        docker_root=root[1] if root else "",
        free={m[1]: int(m[4]) * 1024 for line in text["space"].splitlines() if (m := _DF.match(line))},
        memory=int(memory[1]) * 1024 if memory else 0,
        listening=frozenset(int(port, 16) for port in _LISTENING.findall(text["listening"])),
        publishers=tuple(_publisher(line) for line in text["published"].splitlines() if line.startswith("{")),
        swap=tuple(line.split()[0] for line in text["swap"].splitlines() if line.strip()),
        storage=frozenset(text["storage"].split()),
        locked=text["locked"].strip(),
    )


def _publisher(line: str) -> Publisher:
    data = json.loads(line)
    ports = frozenset(int(port) for port in data["ports"] if port)
    return Publisher(data["name"].removeprefix("/"), data["project"] or "", ports)
