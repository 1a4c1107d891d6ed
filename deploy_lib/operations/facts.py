"""Facts: all that a deployment wants to know of a host before it decides, gathered by one script."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from deploy_lib.errors import RemoteError
from deploy_lib.operations import layout, machine
from deploy_lib.operations.compose import (
    Container,
    Service,
    containers_command,
    parse_config,
    parse_container,
    render_command,
)
from deploy_lib.operations.files import pack
from deploy_lib.operations.history import Event, parse_events, read_command
from deploy_lib.operations.machine import Machine
from deploy_lib.operations.references import KEEP
from deploy_lib.operations.shell import FIND_MEMORY, SCRATCH, ours, quote, strangers, words
from deploy_lib.ssh.session import Session
from deploy_lib.topology import Node

PROVEN_LINES, NEWEST_LINES = 40, 6
"""Lines of history read with the facts: releases that a rollback could go to, more where more are kept, and what happened
last."""

TIMEOUT = 60.0


@dataclass(frozen=True)
class Facts:
    """A host, as one node's deployment sees it.

    Attributes:
        engine: Docker Engine's version, "" when none answered.
        platform: such as "linux/amd64".
        compose: the Compose plugin's version, "" without one.
        memory: a directory in memory, "" without one.
        key: the random key of the secrets' fingerprints, "" before the first deployment.
        files: SHA-256 of the managed files, by path below the stack's directory.
        images: id by `repository@sha256:...`, of every image on the host that has a digest.
        image_ids: of every image on the host.
        tags: image id by `repository:tag`, of every tag on the host.
        keep_tags: the local tags that protect images from being pruned.
        containers: the project's containers.
        services: the desired stack as the host's Compose renders it.
        history: the newest events, oldest first.
        objects: SHA-256 of the files of kept releases that the host has.
        deployed: the Compose file that lies in the stack's directory, "" without one.
        delivered: the secret files in its memory.
        strangers: why others than this user and root could change what is deployed, and what mends it.
        machine: its clock, space, memory, ports and mounts.
        asked: when the question was asked and answered, by this machine's clock: seconds since 1970.
        problems: by section, what a part of the script had to complain of.
    """

    engine: str = ""
    platform: str = ""
    compose: str = ""
    memory: str = ""
    tools: frozenset[str] = frozenset()
    writable: bool = False
    key: str = field(default="", repr=False)
    files: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    image_ids: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    keep_tags: frozenset[str] = frozenset()
    containers: tuple[Container, ...] = ()
    services: Mapping[str, Service] = field(default_factory=dict)
    history: tuple[Event, ...] = ()
    objects: frozenset[str] = frozenset()
    deployed: bytes = field(default=b"", repr=False)
    delivered: frozenset[str] = frozenset()
    strangers: tuple[tuple[str, str], ...] = ()
    machine: Machine = field(default_factory=Machine)
    asked: tuple[float, float] = (0, 0)
    problems: Mapping[str, str] = field(default_factory=dict)

    def of(self, service: str) -> list[Container]:
        """The containers of one service."""
        return [c for c in self.containers if c.service == service]


def gather(
    session: Session, node: Node, project: str, files: Mapping[str, bytes], env: Mapping[str, str]
) -> Facts:
    """Asks the host, read-only.

    Args:
        files: the stack's files, which the host's Compose renders in memory; none: nothing is rendered.
        env: non-secret variables that they need.

    Raises:
        RemoteError: the script could not be run to its end.
    """
    script = build(node, project, render=bool(files))
    session.open()
    began = time.time()
    result = session.run(script, env=env, stdin=pack(files), timeout=TIMEOUT, step="gathering facts")
    return replace(parse(result.stdout, node.name), asked=(began, time.time()))


TOOLS = ("docker", "flock", "setsid", "timeout", "tar", "sha256sum")
"""Programs that the scripts call."""


def build(node: Node, project: str, *, render: bool) -> str:
    """The script; its parts are told apart by lines that begin with `=== `.

    Args:
        render: the stack's files come on standard input, and are rendered.
    """
    directory = node.directory
    compose_file = directory / PurePosixPath(node.stack.compose).name
    proven_lines = max(PROVEN_LINES, 2 * node.stack.keep_releases)
    return f"""\
{FIND_MEMORY}
if [ -n "$m" ]; then
  {SCRATCH}
  e=$t/err
  {'mkdir "$t/files" && tar -xf - -C "$t/files"' if render else ":"}
else
  e=/dev/null
fi
mine() {{ ours && "$1"; }}
part() {{
  name=$1; shift
  printf '=== %s\\n' "$name"
  "$@" 2>"$e"; r=$?
  printf '\\n=== %s exit %s\\n' "$name" "$r"
  [ "$r" = 0 ] || [ "$e" = /dev/null ] || sed 's/^/! /' "$e"
}}
tools() {{ for x in {words(*TOOLS)}; do command -v "$x" >/dev/null && echo "$x"; done; true; }}
directory() {{
  x={quote(directory)}
  while [ ! -e "$x" ]; do x=$(dirname "$x"); done
  [ -d "$x" ] && [ -w "$x" ] && echo writable; true
}}
files() {{
  cd {quote(directory)} 2>/dev/null || return 0
  for x in {words(*managed(node))}; do
    [ ! -e "./$x" ] || find "./$x" -type f -exec sha256sum {{}} +
  done
}}
{strangers(directory)}
{_others(node, project)}
{ours(directory)}
key() {{ [ ! -e {quote(directory / layout.KEY)} ] || cat {quote(directory / layout.KEY)}; }}
history() {{ {read_command(directory, proven_lines, NEWEST_LINES)}}}
objects() {{ [ ! -d {quote(directory / layout.OBJECTS)} ] || ls {quote(directory / layout.OBJECTS)}; }}
delivered() {{
  for d in {words(*(layout.secrets_in(d, project) for d in layout.MEMORY))}; do
    [ ! -d "$d" ] || [ -n "$(own "${{d%/*}}"; own "$d")" ] || find "$d" -type f
  done
}}
deployed() {{ [ ! -f {quote(compose_file)} ] || base64 -w 0 {quote(compose_file)}; }}
{containers_command(project)}
{machine.functions(directory, node.stack.shared_storage)}
config() {{ {f'[ -z "$m" ] || {render_command(node.stack, project)}' if render else ":"}; }}
part memory echo "$m"
part tools tools
part engine docker version --format '{{{{.Server.Version}}}} {{{{.Server.Os}}}}/{{{{.Server.Arch}}}}'
part compose docker compose version --short
part directory directory
part strangers others
for x in files key history objects deployed; do part "$x" mine "$x"; done
part delivered delivered
part images docker images --digests --no-trunc --format '{{{{.Repository}}}} {{{{.Tag}}}} {{{{.Digest}}}} {{{{.ID}}}}'
part containers containers
part config config
for x in {words(*machine.PARTS)}; do case $x in locked) part "$x" mine "$x";; *) part "$x" "$x";; esac; done
echo '=== end'
"""


def managed(node: Node) -> list[str]:
    """The files and directories, below the stack's own, that this program keeps as recorded."""
    stack = node.stack
    paths = (stack.compose, stack.env_file, *stack.directories)
    return sorted({PurePosixPath(path).name for path in paths} | {layout.OVERRIDE, layout.VARIABLES})


def _others(node: Node, project: str) -> str:
    """Shell function `others`: `strangers`, and the same for the files below and for where secrets lie in memory."""
    directory = node.directory
    below = words(*managed(node))
    places = words(*(layout.secrets_in(d, project) for d in layout.MEMORY))
    wanted = f"""\
  for d in {places}; do
    case $d in "$m"/*) for x in "${{d%/*}}" "$d"; do
      if [ -e "$x" ] || [ -L "$x" ]; then own "$x"; fi
    done;; esac
  done
"""
    return f"""\
others() {{
  strangers
  for x in {below}; do
    x={quote(directory)}/$x
    [ -e "$x" ] || continue
    [ -z "$(find "$x" ! -user "$me" ! -user 0 | head -c 1)" ] ||
      printf '%s is, in part, of another user\\tas root: chown -R %s %s\\n' "$x" "$(id -un)" "$x"
    [ -z "$(find "$x" ! -type l -perm /022 | head -c 1)" ] ||
      printf '%s can be changed by others, in part\\tchmod -R go-w %s\\n' "$x" "$x"
  done
  # Where no memory was found, this may be why.
  [ -n "$m" ] || for d in {words(*layout.MEMORY)}; do [ ! -w "$d" ] || way "$d"; done
{wanted if node.stack.delivery == "memory" else ""}}}
"""


def _stranger(line: str) -> tuple[str, str]:
    what, _, mend = line.partition("\t")
    return what, mend


_END = re.compile(r"=== (\w+) exit (\d+)\Z")


def parse(text: str, node: str) -> Facts:
    """The facts in the script's output.

    Raises:
        RemoteError: it was cut short.
    """
    parts, problems = _split(text)
    if "end" not in parts:
        raise RemoteError("the host's answer was cut short", node=node, step="gathering facts")
    engine, _, platform = parts["engine"].strip().partition(" ")
    images = [words for line in parts["images"].splitlines() if len(words := line.split()) == 4]
    return Facts(
        engine="" if "engine" in problems else engine,
        platform=platform.strip(),
        compose="" if "compose" in problems else parts["compose"].strip().removeprefix("v"),
        memory=parts["memory"].strip(),
        tools=frozenset(parts["tools"].split()),
        writable="writable" in parts["directory"],
        key=parts["key"].strip(),
        files=dict(_file_line(line) for line in parts["files"].splitlines() if line.strip()),
        images={f"{repository}@{digest}": i for repository, _, digest, i in images if digest != "<none>"},
        image_ids=frozenset(i for *_, i in images),
        tags={f"{repository}:{tag}": i for repository, tag, _, i in images if tag != "<none>"},
        keep_tags=frozenset(f"{repository}:{tag}" for repository, tag, *_ in images if repository == KEEP),
        containers=tuple(
            c for line in parts["containers"].splitlines() if line and (c := parse_container(line))
        ),
        services=parse_config(parts["config"]) if parts["config"].strip() else {},
        history=tuple(parse_events(parts["history"])),
        objects=frozenset(parts["objects"].split()),
        deployed=base64.b64decode(parts["deployed"]),
        delivered=frozenset(parts["delivered"].split()),
        strangers=tuple(_stranger(line) for line in parts["strangers"].splitlines() if line.strip()),
        machine=machine.parse(parts),
        problems=problems,
    )


def _file_line(line: str) -> tuple[str, str]:
    digest, _, path = line.removeprefix("\\").partition("  ")
    return path.removeprefix("./"), digest


def _split(text: str) -> tuple[dict[str, str], dict[str, str]]:
    parts: dict[str, list[str]] = {}
    problems: dict[str, list[str]] = {}
    current, ended = "", ""
    for line in text.split("\n"):
        if end := _END.match(line):
            current, ended = "", end[1]
            if end[2] != "0":
                problems[ended] = []
        elif line.startswith("=== ") and not current:
            current = line.removeprefix("=== ")
            parts[current] = []
        elif current:
            parts[current].append(line)
        elif ended in problems and line.startswith("! "):
            problems[ended].append(line.removeprefix("! "))
    return (
        {name: "\n".join(lines) for name, lines in parts.items()},
        {name: "\n".join(lines) or "no reason given" for name, lines in problems.items()},
    )
