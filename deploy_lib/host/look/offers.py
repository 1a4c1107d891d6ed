"""What a host offers to containers beyond images and space: CPUs, runtimes, devices, networks and volumes. A part of the facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Offers:
    """What a host offers.

    Attributes:
        cpus: how many; 0 when it did not say.
        memory: bytes, all of them; 0 when it did not say.
        runtimes: of its engine.
        networks, volumes: by name, whoever made them.
        devices: those paths of devices that the rendered files name and that exist.
        drivers: that hand over devices: "nvidia", "cdi".
    """

    cpus: int = 0
    memory: int = 0
    runtimes: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    drivers: frozenset[str] = frozenset()


PARTS = ("offers",)

_ABOUT = (
    "root {{.DockerRootDir}}{{println}}cpus {{.NCPU}}{{println}}memory {{.MemTotal}}{{println}}"
    '{{range $n, $_ := .Runtimes}}{{println "runtime" $n}}{{end}}'
)

FUNCTIONS = f"""\
# about: what the engine says of itself, asked once, in $about.
about=
about() {{ [ -n "$about" ] || about=$(docker info --format '{_ABOUT}'); }}
# The rendered files are in $t/model; what nothing there asks for is of no interest.
offers() {{
  about || return
  printf '%s\\n' "$about" | grep -E '^(cpus|memory|runtime) '
  if grep -qs '"external": *true' "${{t-}}/model"; then
    docker network ls --format 'network {{{{.Name}}}}' || return
    docker volume ls --format 'volume {{{{.Name}}}}' || return
  fi
  if [ -s "${{t-}}/model" ]; then
    grep -oE '"/(dev|sys|proc)/[^":]+' "$t/model" | cut -c 2- | sort -u | while read -r x; do
      [ ! -e "$x" ] || echo "device $x"
    done
  fi
  # The engine knows the driver when it finds its hook, or a description of its devices.
  x=$(command -v nvidia-container-runtime-hook) && echo 'driver nvidia'
  for x in /etc/cdi/* /var/run/cdi/*; do
    case $x in *.json | *.yaml)
      [ -e "$x" ] || continue
      echo 'driver cdi'
      grep -q 'nvidia\\.com/gpu' "$x" 2>/dev/null && echo 'driver nvidia';;
    esac
  done
  true
}}
"""
"""One shell function for each of PARTS."""


def read_offers(said: str) -> Offers:
    """The answer of `offers`.

    Raises:
        ValueError: it is something else.
    """
    found = [
        (kind, name) for line in said.splitlines() for kind, _, name in [line.strip().partition(" ")] if kind
    ]
    if odd := {kind for kind, _ in found} - {"cpus", "memory", *_NAMED}:
        raise ValueError(odd)
    return Offers(
        cpus=_number(name for kind, name in found if kind == "cpus"),
        memory=_number(name for kind, name in found if kind == "memory"),
        **{field: frozenset(name for kind, name in found if kind == word) for word, field in _NAMED.items()},
    )


_NAMED = {
    "runtime": "runtimes",
    "network": "networks",
    "volume": "volumes",
    "device": "devices",
    "driver": "drivers",
}


def _number(values: Iterable[str]) -> int:
    text = next(iter(values), "0")
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ValueError(text)
    return int(text)
