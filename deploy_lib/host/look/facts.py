"""Facts: all that a deployment wants to know of a host before it decides, gathered by one script."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deploy_lib import layout
from deploy_lib.compose import command
from deploy_lib.compose.container import Container, containers_function, read_container
from deploy_lib.compose.model import Service, read_model
from deploy_lib.errors import RemoteError
from deploy_lib.host.change.history import read_command
from deploy_lib.host.files import pack
from deploy_lib.host.look import machine
from deploy_lib.host.look.machine import Machine
from deploy_lib.host.stack import HostStack
from deploy_lib.layout import KEEP
from deploy_lib.release import history
from deploy_lib.release.history import Event, parse_events
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.secrets.fingerprint import fingerprint, read_marks
from deploy_lib.secrets.value import Secret
from deploy_lib.shell import FIND_MEMORY, SCRATCH, quote, words
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
    machine: Machine = field(default_factory=Machine)
    asked: tuple[float, float] = (0, 0)
    problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def proven(self) -> Event | None:
        """The release that was proven last: the one that runs, unless a later one failed or was interrupted."""
        return history.proven(self.history)

    @property
    def newest_switch(self) -> Event | None:
        """The last that is known of the newest switch."""
        return history.newest_switch(self.history)

    @property
    def interrupted(self) -> Event | None:
        """The newest switch, when it began and nobody knows how it ended."""
        return history.interrupted(self.history)

    @property
    def unsettled(self) -> Event | None:
        """The newest switch, when it did not end on a whole release: it was interrupted, or failed and was left."""
        return history.unsettled(self.history)

    @property
    def unrecorded(self) -> bool:
        """Whether the project runs here without a record; what a first deployment left half way was never one of its own."""
        return bool(self.containers) and self.proven is None and self.unsettled is None

    @property
    def replicas(self) -> Mapping[str, int]:
        """By service, how many containers the proven release has; without one, the services that run."""
        return self.proven.release.replicas if self.proven else {c.service: 1 for c in self.containers}

    def find(self, release_id: str | None) -> Event | None:
        """The release of this id, as it was proven here."""
        return history.find(self.history, release_id)

    def kept(self, count: int) -> list[Event]:
        """The releases that a rollback could need: the last `count` that were proven, and as many by lineage."""
        return history.kept(self.history, count)

    def changed(self, secrets: Mapping[str, Secret]) -> list[str]:
        """Those of the stack's secrets that run here, or are recorded, with other values than these."""
        if not self.key:
            return []
        recorded = self.proven.release.secrets.values() if self.proven else ()
        running = [read_marks(marks) for marks in (*(c.secrets for c in self.containers), *recorded)]
        known = {name: fingerprint(name, value, self.key) for name, value in secrets.items()}
        return [
            name for name, mark in known.items() if any(found.get(name, mark) != mark for found in running)
        ]

    def of(self, service: str) -> list[Container]:
        """The containers of one service."""
        return [c for c in self.containers if c.service == service]

    def has(self, image: Image) -> bool:
        """Whether the host has this very image."""
        return self.id_of(image) is not None

    def id_of(self, image: Image) -> str | None:
        """The id of a pinned image, as containers name it; None where the host does not have it."""
        known = self.images.get(image.listed)
        return known or (image.listed if image.listed in self.image_ids else None)

    def recorded_digest(self, reference: Image) -> str:
        """The digest that the proven release has for a reference, "" for none; a pinned reference has its own."""
        images = self.proven.release.images.values() if self.proven else ()
        return reference.digest or next((i.digest for i in images if i.unpinned == reference), "")

    def pinned(self, container: Container) -> Image:
        """The image of a container that somebody else started: by its digest, or by its id when no registry knows it."""
        image = container.image
        if image.digest:
            return image
        digests = (
            Image.parse(name).digest for name, known in self.images.items() if known == container.image_id
        )
        found = (image.with_digest(digest) for digest in digests)
        return next((i for i in found if self.has(i)), Image.parse(container.image_id))

    def lost(self, release: Release) -> list[str]:
        """The secret files of a release that are no longer in the host's memory."""
        return sorted(set(release.secret_files.values()) - self.delivered)


def gather(session: Session, stack: HostStack, files: Mapping[str, bytes], env: Mapping[str, str]) -> Facts:
    """Asks the host, read-only.

    Args:
        files: the stack's files, which the host's Compose renders in memory; none: nothing is rendered.
        env: non-secret variables that they need.

    Raises:
        RemoteError: the script could not be run to its end.
    """
    script = facts_script(stack, render=bool(files))
    session.open()
    began = time.time()
    result = session.run(script, env=env, stdin=pack(files), timeout=TIMEOUT, step="gathering facts")
    return replace(read_facts(result.stdout, stack.node.name), asked=(began, time.time()))


TOOLS = ("docker", "flock", "setsid", "timeout", "tar", "sha256sum")
"""Programs that the scripts call."""


def facts_script(stack: HostStack, *, render: bool) -> str:
    """The script; its parts are told apart by lines that begin with `=== `.

    Args:
        render: the stack's files come on standard input, and are rendered.
    """
    directory = stack.directory
    compose_file = directory / stack.compose_file
    proven_lines = max(PROVEN_LINES, 2 * stack.settings.keep_releases)
    return f"""\
{FIND_MEMORY}
if [ -n "$m" ]; then
  {SCRATCH}
  e=$t/err
  {'mkdir "$t/files" && tar -xf - -C "$t/files"' if render else ":"}
else
  e=/dev/null
fi
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
  for x in {words(*stack.managed)}; do
    [ ! -e "./$x" ] || find "./$x" -type f -exec sha256sum {{}} +
  done
}}
key() {{ [ ! -e {quote(directory / layout.KEY)} ] || cat {quote(directory / layout.KEY)}; }}
history() {{ {read_command(directory, proven_lines, NEWEST_LINES)}}}
objects() {{ [ ! -d {quote(directory / layout.OBJECTS)} ] || ls {quote(directory / layout.OBJECTS)}; }}
delivered() {{ find {words(*stack.secret_places)} -type f; true; }}
deployed() {{ [ ! -f {quote(compose_file)} ] || base64 -w 0 {quote(compose_file)}; }}
{containers_function(stack.project)}
{machine.functions(directory, stack.settings.shared_storage)}
config() {{ {f'[ -z "$m" ] || {command.render_command(stack.unpinned)}' if render else ":"}; }}
part memory echo "$m"
part tools tools
part engine docker version --format '{{{{.Server.Version}}}} {{{{.Server.Os}}}}/{{{{.Server.Arch}}}}'
part compose {command.VERSION}
part directory directory
part files files
part key key
part history history
part objects objects
part deployed deployed
part delivered delivered
part images docker images --digests --no-trunc --format '{{{{.Repository}}}} {{{{.Tag}}}} {{{{.Digest}}}} {{{{.ID}}}}'
part containers containers
part config config
for x in {words(*machine.PARTS)}; do part "$x" "$x"; done
echo '=== end'
"""


_END = re.compile(r"=== (\w+) exit (\d+)\Z")


def read_facts(text: str, node: str) -> Facts:
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
            c for line in parts["containers"].splitlines() if line and (c := read_container(line))
        ),
        services=read_model(parts["config"]) if parts["config"].strip() else {},
        history=tuple(parse_events(parts["history"])),
        objects=frozenset(parts["objects"].split()),
        deployed=base64.b64decode(parts["deployed"]),
        delivered=frozenset(parts["delivered"].split()),
        machine=machine.read_machine(parts),
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
