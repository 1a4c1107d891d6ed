"""What a host offers to containers beyond images and space: CPUs, runtimes, devices, networks and volumes. A part of the facts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field

from deploy_lib.compose import labels
from deploy_lib.compose.limits import DROPPED
from deploy_lib.shell import words


class Offers(Struct, frozen=True):
    """What a host offers.

    Attributes:
        cpus: how many; 0 when it did not say.
        memory: bytes, all of them; 0 when it did not say.
        runtimes: of its engine.
        swarm: its engine is a node of a Docker Swarm.
        networks: by name, whoever made them: the key in the Compose file for which Compose has made each, "" for others; only where
            one of the rendered files has a name of its own.
        volumes: by name, whoever made them; only where the rendered files have something external.
        devices: those paths of devices that the rendered files name and that exist.
        drivers: that hand over devices: "nvidia", "cdi".
        absent: paths that the rendered files name and that are not there; those that this user cannot see are not among them.
        dropped: keys and tags of the files that a rendering may lack; see `compose/limits.py`.
        plugins: of its engine: "log/json-file", "volume/local", "network/bridge", and the like.
        containers: by name, the project that they belong to, "" for none; only where the rendered files name a container.
        made: networks and volumes of this project, as Docker describes them; only where the rendered files say something of theirs.
    """

    cpus: int = 0
    memory: int = 0
    runtimes: frozenset[str] = frozenset()
    swarm: bool = False
    networks: Mapping[str, str] = field(default_factory=dict)
    volumes: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    drivers: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    plugins: frozenset[str] = frozenset()
    containers: Mapping[str, str] = field(default_factory=dict)
    made: tuple[tuple[str, Mapping[str, Any]], ...] = ()


PARTS = ("offers",)

_ABOUT = (
    "engine {{.ServerVersion}} {{.OSType}}/{{.Architecture}}{{println}}root {{.DockerRootDir}}{{println}}cpus {{.NCPU}}{{println}}memory {{.MemTotal}}{{println}}"
    "swarm {{.Swarm.LocalNodeState}}{{println}}"
    '{{range $n, $_ := .Runtimes}}{{println "runtime" $n}}{{end}}'
    + "".join(
        f'{{{{range .Plugins.{kind}}}}}{{{{printf "plugin {kind.lower()}/%s\\n" .}}}}{{{{end}}}}'
        for kind in ("Log", "Volume", "Network")
    )
    + '{{range .ClientInfo.Plugins}}{{if eq .Name "compose"}}{{println "compose" .Version}}{{end}}{{end}}'
)
_MADE = {
    "network": '{"Name":{{json .Name}},"Driver":{{json .Driver}},"Options":{{json .Options}},"Internal":{{json .Internal}},'
    '"Attachable":{{json .Attachable}},"EnableIPv6":{{json .EnableIPv6}},"IPAM":{{json .IPAM}},"Labels":{{json .Labels}}}',
    "volume": '{"Name":{{json .Name}},"Driver":{{json .Driver}},"Options":{{json .Options}},"Labels":{{json .Labels}}}',
}
"""Formats for `docker network inspect` and `docker volume inspect`."""

_ASK_MADE = "".join(
    f"""\
      ids=$(docker {kind} ls -q --filter "label={labels.PROJECT}=$p") || return
      [ -z "$ids" ] || docker {kind} inspect --format 'made {kind} {form}' $ids || return
"""
    for kind, form in _MADE.items()
)

FUNCTIONS = f"""\
# about: what the engine says of itself, asked once, in $about.
about=
about() {{ [ -n "$about" ] || about=$(docker info --format '{_ABOUT}'); }}
# The rendered files are in $t/model; what nothing there asks for is of no interest.
offers() {{
  about || return
  printf '%s\\n' "$about" | grep -E '^(cpus|memory|swarm|runtime|plugin) '
  p=$(sed -n 's/^  "name": "\\([^"]*\\)",*$/\\1/p' "${{t-}}/model" 2>/dev/null | head -n 1)
  # One whose name does not begin with the project's may be there already, whoever has made it.
  if grep -qs '"external": *true' "${{t-}}/model" ||
    sed -n '/^  "networks": {{/,/^  }}/s/^      "name": "//p' "${{t-}}/model" 2>/dev/null | grep -qv "^${{p}}_"; then
    docker network ls --format 'network {{{{.Name}}}}={labels.template(labels.NETWORK)}' || return
  fi
  if grep -qs '"external": *true' "${{t-}}/model"; then
    docker volume ls --format 'volume {{{{.Name}}}}' || return
  fi
  # `docker info` names neither those that Docker manages itself nor those of files that nothing has used yet.
  if grep -s '"driver": ' "${{t-}}/model" | grep -qvE '"(json-file|local|journald|syslog|none|bridge|host|default)"'; then
    docker plugin ls --filter enabled=true --format 'plugin any/{{{{.Name}}}}' || return
    for x in /run/docker/plugins/* /run/docker/plugins/*/* /etc/docker/plugins/* /usr/lib/docker/plugins/*; do
      case $x in *.sock | *.spec | *.json) x=${{x##*/}}; echo "plugin any/${{x%.*}}";; esac
    done
  fi
  if [ -s "${{t-}}/model" ]; then
    # A device may be written with what follows it, after a colon; its own path may have one, too.
    grep -oE '"/(dev|sys|proc)/[^"]+' "$t/model" | cut -c 2- | sort -u | while read -r x; do
      for x in "$x" "${{x%%:*}}"; do [ ! -e "$x" ] || echo "device $x"; done
    done
    # A path with a backslash in it is written otherwise there, and counts as one that exists.
    grep -oE '("(source|device)": "|"seccomp[:=])/[^"\\\\]+"' "$t/model" | sed 's/"$//; s/^[^/]*//' | sort -u | while read -r x; do
      case $x in "$t"/*) continue;; esac
      there "$x"; [ $? != 1 ] || echo "absent $x"
    done
    for x in {words(*DROPPED)}; do
      ! grep -rqsE "^[^#]*$x(.?:|[ {{[]|$)" "$t/files" || echo "dropped $x"
    done
    if grep -qE '"container_name"|"container:|"external_links"' "$t/model"; then
      docker ps -a --format 'container {{{{.Names}}}}={labels.template(labels.PROJECT)}' || return
    fi
    if sed -n -e '/^  "networks": {{/,/^  }}/p' -e '/^  "volumes": {{/,/^  }}/p' "$t/model" |
      grep -qE '"(driver|driver_opts|internal|attachable|enable_ipv6|subnet|labels)"'; then
{_ASK_MADE}    fi
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
    if odd := {kind for kind, _ in found} - {
        "cpus",
        "memory",
        "swarm",
        "network",
        "container",
        "made",
        *_NAMED,
    }:
        raise ValueError(odd)
    return Offers(
        cpus=_number(name for kind, name in found if kind == "cpus"),
        memory=_number(name for kind, name in found if kind == "memory"),
        # Compose takes a node for one in each of the other states as well.
        swarm=any(kind == "swarm" and name not in ("", "inactive", "locked") for kind, name in found),
        networks={
            name: key for kind, line in found if kind == "network" for name, _, key in [line.partition("=")]
        },
        containers={
            each: project
            for kind, line in found
            if kind == "container"
            for names, _, project in [line.partition("=")]
            for each in names.split(",")
        },
        made=tuple(_made(line) for kind, line in found if kind == "made"),
        **{field: frozenset(name for kind, name in found if kind == word) for word, field in _NAMED.items()},
    )


_NAMED = {
    "runtime": "runtimes",
    "volume": "volumes",
    "device": "devices",
    "driver": "drivers",
    "absent": "absent",
    "dropped": "dropped",
    "plugin": "plugins",
}


def _made(line: str) -> tuple[str, Mapping[str, Any]]:
    kind, _, described = line.partition(" ")
    data = json.loads(described)
    if not isinstance(data, dict):
        raise TypeError(line)
    return kind, data


def _number(values: Iterable[str]) -> int:
    text = next(iter(values), "0")
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ValueError(text)
    return int(text)
