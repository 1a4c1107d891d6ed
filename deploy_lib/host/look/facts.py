"""Facts: all that a deployment wants to know of a host before it decides, gathered by one script."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.compose.compose import (
    Container,
    Service,
    containers_command,
    parse_config,
    parse_container,
    render_command,
)
from deploy_lib.config import Node
from deploy_lib.errors import NotUnderstoodError
from deploy_lib.host.answers import Parts
from deploy_lib.host.change.history import Event, parse_events, read_command
from deploy_lib.host.files import pack
from deploy_lib.host.look import machine
from deploy_lib.host.look.machine import Machine
from deploy_lib.release.image import KEEP, without_tag
from deploy_lib.release.release import Release
from deploy_lib.shell import FIND_MEMORY, SCRATCH, THERE, ours, quote, strangers, words
from deploy_lib.ssh.session import Session

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
        user: who deploys there.
        compose: the Compose plugin's version, "" without one.
        memory: a directory in memory, "" without one.
        writable: the stack's directory can be written, or made where it is `missing`.
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
        problems: by section, why it is not known: what that part of the script had to complain of. The fact itself is then
            as if nothing were there, and must not be taken for that.
    """

    engine: str = ""
    platform: str = ""
    compose: str = ""
    user: str = ""
    memory: str = ""
    tools: frozenset[str] = frozenset()
    writable: bool = False
    missing: bool = False
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

    def has(self, pinned: str) -> bool:
        """Whether the host has this very image."""
        return without_tag(pinned) in self.images or pinned in self.image_ids

    def lost(self, release: Release) -> list[str]:
        """The secret files of a release that are no longer in the host's memory."""
        return sorted(set(release.secret_files.values()) - self.delivered)


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


TOOLS = (
    *("docker", "flock", "setsid", "timeout", "tar", "sha256sum"),
    *("base64", "find", "grep", "mktemp", "sed", "stat", "sync", "tail", "truncate"),
)
"""Programs that the scripts call."""


def build(node: Node, project: str, *, render: bool) -> str:
    """The script; its parts are told apart by lines that begin with `=== `.

    Args:
        render: the stack's files come on standard input, and are rendered.
    """
    directory = node.directory
    home = quote(directory)
    compose_file = quote(directory / PurePosixPath(node.stack.compose).name)
    key, objects = quote(directory / layout.KEY), quote(directory / layout.OBJECTS)
    proven_lines = max(PROVEN_LINES, 2 * node.stack.keep_releases)
    return f"""\
export LC_ALL=C
{FIND_MEMORY}
{THERE}
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
  there {home}; r=$?
  [ $r != 2 ] || return
  [ $r = 0 ] || echo missing
  x={home}
  while [ ! -e "$x" ]; do x=$(dirname "$x"); done
  [ -d "$x" ] && [ -w "$x" ] && [ -x "$x" ] && echo writable; true
}}
files() {{
  there {home} || {{ [ $? = 1 ]; return; }}
  cd {home} || return
  r=0
  for x in {words(*managed(node))}; do
    there "./$x"
    case $? in 0) find "./$x" -type f -exec sha256sum {{}} + || r=1;; 1) ;; *) r=1;; esac
  done
  return $r
}}
{strangers(directory)}
{_others(node, project)}
{ours(directory)}
# shown PATH COMMAND...: what the command says of what is there; nothing where nothing is.
shown() {{ there "$1" || {{ [ $? = 1 ]; return; }}; shift; "$@"; }}
key() {{ shown {key} cat {key}; }}
history() {{ {read_command(directory, proven_lines, NEWEST_LINES)}}}
objects() {{ shown {objects} ls {objects}; }}
delivered() {{
  r=0
  for x in {words(*(layout.secrets_in(d, project) for d in layout.MEMORY))}; do
    # Where another user was first, this one has put nothing.
    if [ -d "${{x%/*}}" ] && [ -n "$(own "${{x%/*}}"; [ ! -e "$x" ] || own "$x")" ]; then continue; fi
    shown "$x" find "$x" -type f || r=1
  done
  return $r
}}
deployed() {{ shown {compose_file} base64 -w 0 {compose_file}; }}
{containers_command(project)}
{machine.functions(directory, node.stack.shared_storage)}
config() {{ {f'[ -z "$m" ] || {render_command(node.stack, project)}' if render else ":"}; }}
part memory echo "$m"
part user id -un
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


PARTS = (
    *(
        "memory",
        "user",
        "tools",
        "engine",
        "compose",
        "directory",
        "strangers",
        "files",
        "key",
        "history",
        "objects",
        "deployed",
    ),
    *("delivered", "images", "containers", "config", *machine.PARTS),
)
"""The script's parts, in their order."""

_BEGIN = re.compile(r"=== (\w+)\Z")
_END = re.compile(r"=== (\w+) exit (\d{1,3})\Z")


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


def _strangers(said: str) -> tuple[tuple[str, str], ...]:
    lines = [line.partition("\t") for line in said.splitlines() if line.strip()]
    return tuple((what, mend) for what, _, mend in lines)


def parse(text: str, node: str) -> Facts:
    """The facts in the script's output. What a part could not tell, or cannot be understood, is among the `problems`.

    Raises:
        RemoteError: it was cut short, or a part is missing or there twice.
    """
    parts = _split(text, node)
    engine, platform = parts.read("engine", _engine, ("", ""))
    images = parts.read("images", _images, list[tuple[str, str, str, str]]())
    directory = parts.read("directory", _words, frozenset[str]())
    return Facts(
        engine=engine,
        platform=platform,
        compose=parts.read("compose", _compose, ""),
        user=parts.read("user", str.strip, ""),
        memory=parts.read("memory", _memory, ""),
        tools=parts.read("tools", _words, frozenset()),
        writable="writable" in directory,
        missing="missing" in directory,
        key=parts.read("key", _key, ""),
        files=parts.read("files", _files, {}),
        images={f"{repository}@{digest}": i for repository, _, digest, i in images if digest != "<none>"},
        image_ids=frozenset(i for *_, i in images),
        tags={f"{repository}:{tag}": i for repository, tag, _, i in images if tag != "<none>"},
        keep_tags=frozenset(f"{repository}:{tag}" for repository, tag, *_ in images if repository == KEEP),
        containers=parts.read("containers", _containers, ()),
        services=parts.read("config", lambda said: parse_config(said) if said.strip() else {}, {}),
        history=parts.read("history", lambda said: tuple(parse_events(said)), ()),
        objects=parts.read("objects", _objects, frozenset()),
        deployed=parts.read("deployed", lambda said: base64.b64decode(said.strip(), validate=True), b""),
        delivered=parts.read("delivered", _words, frozenset()),
        strangers=parts.read("strangers", _strangers, ()),
        machine=machine.parse(parts),
        problems=parts.problems,
    )


def _fits(pattern: str, said: str) -> str:
    """What a part said, where it is as it should be.

    Raises:
        ValueError: it is not.
    """
    if not re.fullmatch(pattern, said.strip()):
        raise ValueError
    return said.strip()


def _engine(said: str) -> tuple[str, str]:
    engine, _, platform = _fits(r"\S+ \w+/\w+", said).partition(" ")
    return engine, platform


def _compose(said: str) -> str:
    return _fits(r"v?\d+\.\S+", said).removeprefix("v")


def _memory(said: str) -> str:
    return _fits("|".join(("", *layout.MEMORY)), said)


def _key(said: str) -> str:
    return _fits(r"\S*", said)


def _words(said: str) -> frozenset[str]:
    return frozenset(said.split())


def _objects(said: str) -> frozenset[str]:
    return frozenset(_fits(r"\S+", line) for line in said.splitlines() if line.strip())


def _images(said: str) -> list[tuple[str, str, str, str]]:
    found = []
    for line in said.splitlines():
        if line.strip():
            repository, tag, digest, image_id = line.split()
            found.append((repository, tag, digest, image_id))
    return found


def _containers(said: str) -> tuple[Container, ...]:
    return tuple(c for line in said.splitlines() if line.strip() and (c := parse_container(line)))


def _files(said: str) -> dict[str, str]:
    return dict(_file_line(line) for line in said.splitlines() if line.strip())


def _file_line(line: str) -> tuple[str, str]:
    digest, gap, path = line.removeprefix("\\").partition("  ./")
    if not (gap and path and re.fullmatch(r"[0-9a-f]+", digest)):
        raise ValueError
    return path, digest


def _split(text: str, node: str) -> Parts:
    """What each part said, and why it failed; a line outside any part is nobody's."""
    parts: dict[str, list[str]] = {}
    problems: dict[str, list[str]] = {}
    current, ended, whole = "", "", False
    for line in text.split("\n"):
        begin, end = _BEGIN.match(line), _END.match(line)
        if end and end[1] == current:
            current, ended = "", end[1]
            if end[2] != "0":
                problems[ended] = []
        elif current and not begin:
            parts[current].append(line)
        elif current:
            raise _odd(f"the host's answer to {current!r} was cut short", node)
        elif begin and begin[1] == "end":
            whole = True
            break
        elif begin and begin[1] in PARTS:
            if begin[1] in parts:
                raise _odd(f"the host has answered twice to {begin[1]!r}", node)
            current = begin[1]
            parts[current] = []
        elif ended in problems and line.startswith("! "):
            problems[ended].append(line.removeprefix("! "))
    lacking = [part for part in PARTS if part not in parts]
    if not whole:
        raise _odd("the host's answer was cut short", node)
    if lacking:
        raise _odd(f"the host's answer lacks {', '.join(lacking)}", node)
    return Parts(
        {name: "\n".join(lines) for name, lines in parts.items()},
        {name: "\n".join(lines) or "no reason given" for name, lines in problems.items()},
    )


def _odd(what: str, node: str) -> NotUnderstoodError:
    return NotUnderstoodError(what, node=node, step="gathering facts", mend="run the same command again")
