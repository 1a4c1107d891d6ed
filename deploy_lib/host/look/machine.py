"""The machine below a stack: its clock, space, memory, ports and mounts. A part of the facts."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from msgspec import Struct, field

from deploy_lib import layout
from deploy_lib.answers import Parts
from deploy_lib.compose.port import Port
from deploy_lib.compose.publisher import Publisher, read_publishers
from deploy_lib.host.change.lock import holder
from deploy_lib.host.look import offers
from deploy_lib.host.look.offers import Offers, read_offers
from deploy_lib.shell import quote
from deploy_lib.ssh.session import Session

STORAGE_TIMEOUT = 5
"""Seconds until shared storage must have answered: a dead NFS server never answers."""


class Machine(Struct, frozen=True):
    """What a stack needs of its host, apart from Docker.

    Attributes:
        now: the host's clock, seconds since 1970; 0 when it did not say.
        docker_root: where Docker keeps images.
        free: free bytes by what they are for: "docker", "directory".
        memory: bytes that programs could still get.
        listening: ports of TCP and UDP that something listens on, with its address.
        addresses: its own; empty where a program may listen on any, or they are unknown.
        publishers: all containers, those of the stack among them.
        swap: what it swaps to.
        storage: of the shared storage: "mounted", "writable", both or nothing.
        locked: the owner's note, while somebody holds the deployment lock.
        offers: what containers can be given; None when it did not say.
    """

    now: float = 0
    docker_root: str = ""
    free: Mapping[str, int] = field(default_factory=dict)
    memory: int = 0
    listening: frozenset[Port] = frozenset()
    addresses: frozenset[str] = frozenset()
    publishers: tuple[Publisher, ...] = ()
    swap: tuple[str, ...] = ()
    storage: frozenset[str] = frozenset()
    locked: str = ""
    offers: Offers | None = None


PARTS = ("clock", "space", "ram", "listening", "published", "swap", "storage", "locked", *offers.PARTS)


def ask_storage(session: Session, path: str) -> frozenset[str]:
    """Looks at the shared storage alone: see `Machine.storage`.

    Raises:
        RemoteError: the host did not answer.
    """
    return frozenset(session.run(_storage_script(path), step="shared storage").stdout.split())


def functions(directory: PurePosixPath, storage: str | None) -> str:
    """One shell function for each of PARTS but `published`; they call `there` of `shell`.

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
  about && d=$(printf '%s\\n' "$about" | sed -n 's/^root //p') && [ -n "$d" ] || return
  echo "root $d"
  # Where one may not look into it, it is below one that one may.
  while [ ! -x "$d" ] && [ "$d" != / ]; do d=$(dirname "$d"); done
  echo "docker $(df -Pk "$d" | tail -n 1)"
}}
ram() {{ cat /proc/meminfo; }}
listening() {{
  r=0
  # States: 0A listens; a socket of UDP that is bound and not connected has 07.
  for x in tcp tcp6 udp udp6; do
    [ -e "/proc/net/$x" ] || continue
    echo "$x"
    grep -E '^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:0000 0[A7]' "/proc/net/$x" || [ $? = 1 ] || r=1
  done
  echo addresses
  if [ "$(cat /proc/sys/net/ipv4/ip_nonlocal_bind 2>/dev/null)" = 0 ]; then
    grep -B 1 'host LOCAL' /proc/net/fib_trie; cat /proc/net/if_inet6
  fi 2>/dev/null
  return $r
}}
swap() {{ [ ! -e /proc/swaps ] || tail -n +2 /proc/swaps; }}
storage() {{
{_storage_script(storage)}
}}
# Taking the lock to find out could hinder somebody, so its holder is recognised: its note, its process, its open file.
locked() {{
  there {owner} || {{ [ $? = 1 ]; return; }}
  {holder(directory)} && head -n 1 {owner} 2>/dev/null || true
}}
{offers.FUNCTIONS}"""


def _storage_script(path: str | None) -> str:
    if path is None:
        return "  :"
    return f"""\
  x={quote(path)}
  cut -d ' ' -f 5 /proc/self/mountinfo | grep -qxF "$x" && echo mounted
  timeout {STORAGE_TIMEOUT} sh -c '[ -d "$1" ] && [ -w "$1" ] && echo writable' - "$x"; true"""


_DF = re.compile(r"(\w+) .*?(\d+)\s+(\d+)\s+(\d+)\s+\d+%\s+/")
_LISTENING = re.compile(r" *\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) \S+ 0([A7])")
_MEMORY = re.compile(r"MemAvailable:\s+(\d+) kB")


def read_machine(parts: Parts) -> Machine:
    """The answers of PARTS."""
    root, free = parts.read("space", _space, ("", dict[str, int]()))
    return Machine(
        now=parts.read("clock", _clock, 0.0),
        docker_root=root,
        free=free,
        memory=parts.read("ram", _memory, 0),
        listening=parts.read("listening", _listening, frozenset()),
        addresses=parts.read("listening", _addresses, frozenset()),
        publishers=parts.read("published", read_publishers, ()),
        swap=parts.read("swap", _swap, ()),
        storage=parts.read("storage", lambda said: frozenset(said.split()), frozenset()),
        locked=parts.read("locked", str.strip, ""),
        offers=parts.read("offers", lambda said: read_offers(said) if said.strip() else None, None),
    )


def _clock(said: str) -> float:
    found = re.match(r"\d{1,15}(\.\d+)?", said.strip())
    return float(found[0]) if found else 0


def _space(said: str) -> tuple[str, dict[str, int]]:
    root = re.search(r"^root (.*)$", said, re.MULTILINE)
    found = (_DF.match(line) for line in said.splitlines())
    return root[1] if root else "", {m[1]: int(m[4]) * 1024 for m in found if m}


def _memory(said: str) -> int:
    available = _MEMORY.search(said)
    return int(available[1]) * 1024 if available else 0


def _listening(said: str) -> frozenset[Port]:
    found, protocol = set[Port](), ""
    for line in said.partition(_ADDRESSES)[0].splitlines():
        if line.strip() in ("tcp", "tcp6", "udp", "udp6"):
            protocol = line.strip().removesuffix("6")
        elif line.strip():
            match = _LISTENING.match(line)
            if match is None or not protocol:
                raise ValueError(line)
            if match[3] == ("A" if protocol == "tcp" else "7"):
                found.add(Port(int(match[2], 16), protocol, _address(match[1])))
    return frozenset(found)


_ADDRESSES = "addresses\n"


def _addresses(said: str) -> frozenset[str]:
    lines = said.partition(_ADDRESSES)[2].splitlines()
    return frozenset(filter(None, map(_own, lines)))


_FOUR, _SIX = re.compile(r"[ |+-]*\|-- ([0-9.]+)$"), re.compile("[0-9a-f]{32}")


@functools.lru_cache(maxsize=4096)
def _own(line: str) -> str:
    """The address in a line of the kernel's tables; "" where it has none."""
    if found := _FOUR.match(line):
        return str(ipaddress.ip_address(found[1]))
    if found := _SIX.match(line):
        return str(ipaddress.ip_address(bytes.fromhex(found[0])))
    return ""


@functools.lru_cache(maxsize=4096)  # most of them listen on few addresses, and hosts on the same ones
def _address(digits: str) -> str:
    """An address as the kernel prints it: words of four bytes, each backwards."""
    words = (bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8))
    found = ipaddress.ip_address(b"".join(words))
    return str((found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None) or found)


def _swap(said: str) -> tuple[str, ...]:
    return tuple(line.split()[0] for line in said.splitlines() if line.strip())
