"""The sweep: where a secret value was left, of all places where one could be.

`Marks` knows in which forms a value would show. `Watch` looks while commands run, at what is there for a moment; the
functions that begin with `in_` look afterwards, at what stays. Each finding names the place and the value, and never
shows it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO

from lab import docker as build
from lab import hosts
from lab.layout import Lab

from .conftest import NODES

SHORTEST = 16
"""A run of letters and digits of a value that is at least this long is a mark, by which the value is known."""

LARGEST = 64 << 20
"""Bytes; a file of this machine that is larger is none that the program has written."""

SKIPPED = (".venv", ".mypy_cache", ".ruff_cache", "node_modules")


def forms(mark: str) -> set[str]:
    """How a mark is written: as it is, which is also how URLs, shells, JSON and Python write letters and digits; in base64,
    wherever in the encoded text it stands; and in hexadecimal digits."""
    data = mark.encode()
    found = {mark, data.hex(), data.hex().upper()}
    for before in range(3):
        end = (before + len(data)) // 3 * 4
        for encode in (b64encode, urlsafe_b64encode):
            found.add(encode(bytes(before) + data).decode()[(0, 2, 3)[before] : end])
    return found


@dataclass(frozen=True)
class Marks:
    """What is looked for: values by the name that findings give them.

    Raises:
        ValueError: a value has no run of letters and digits by which it could be known.
    """

    values: Mapping[str, str] = field(repr=False)

    @cached_property
    def forms(self) -> dict[str, str]:
        """The name of the value by each form that would show it."""
        found = {}
        for name, value in self.values.items():
            marks = re.findall(rf"[A-Za-z0-9_-]{{{SHORTEST},}}", value)
            if not marks:
                raise ValueError(f"{name} has nothing that it could be known by")
            found |= {form: name for mark in marks for form in forms(mark)}
        return found

    @property
    def lines(self) -> bytes:
        """For `grep -F`."""
        return "".join(f"{form}\n" for form in self.forms).encode()

    def found(self, text: str) -> set[str]:
        """The names of the values that can be read in a text, also across its line breaks."""
        joined = re.sub(r"\s*\n\s*", "", text)
        return {name for form, name in self.forms.items() if form in text or form in joined}


@dataclass(frozen=True, order=True)
class Finding:
    """A value where it should not be."""

    place: str
    where: str
    value: str


EVENTS = 'docker events --since "$1" & cat; kill $!'
"""Shell text: until standard input ends, and from a moment on, so that nothing is missed until it is listened to."""


class Watch:
    """What could be seen while it is open: processes of this machine and of the hosts, and the events of their Engines.

    Args:
        root: root's environments count, too. While commands run they hold values: of the script that Compose gets them from.

    Attributes:
        findings: after the end.
    """

    def __init__(self, lab: Lab, marks: Marks, *, root: bool = False) -> None:
        self.findings: list[Finding] = []
        self._root = root
        self._lab = lab
        self._marks = marks

    def __enter__(self) -> Watch:
        self._sampler = _begin([sys.executable, str(Path(__file__).with_name("sampler.py"))])
        looked_for = {form.encode().hex(): name for form, name in self._marks.forms.items()}
        _stdin(self._sampler).write(json.dumps(looked_for).encode() + b"\n")
        _stdin(self._sampler).flush()
        self._hits: list[tuple[str, str, str, str]] = []
        watching = threading.Event()
        self._reader = threading.Thread(target=self._read, args=[watching])
        self._reader.start()
        assert watching.wait(60), "the sampler does not look"
        since = str(int(time.time()))
        self._events = {
            node: _begin(
                [build.docker(), "exec", "-i", self._lab.container(node), "sh", "-c", EVENTS, "-", since]
            )
            for node in NODES
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _stdin(self._sampler).close()
        self._reader.join()
        self._sampler.wait()
        for place, where, program, name in self._hits:
            # A container's own processes are whom the values are meant for.
            meant = where == "container" and place.startswith("environment")
            if not meant and (self._root or place != "environment of root"):
                self.findings.append(Finding(place, f"{where}: {program}", name))
        for node, events in self._events.items():
            text = events.communicate()[0].decode(errors="replace")
            self.findings += [Finding("Engine's events", node, name) for name in self._marks.found(text)]

    def _read(self, watching: threading.Event) -> None:
        for line in self._sampler.stdout or ():
            found = json.loads(line)
            if found == "watching":
                watching.set()
            else:
                self._hits.append(tuple(found))

    def saw(self, value: str) -> bool:
        """Whether a process has shown this value yet."""
        return any(name == value for _, _, _, name in self._hits)


def _begin(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _stdin(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


SEARCH = """\
xargs -0r sh -c 'grep -oaHsZF -f - -- "$@" <<E
$P
E
:' -"""
"""Shell text: searches the files that standard input names for what `$P` has, one to a line."""

FILES = rf"""
P=$(cat); export P
{{ find / \( -path /proc -o -path /sys -o -path /var/lib/docker \) -prune -o -type f -print0
  find /var/lib/docker -path '*/merged' -prune -o -type f -newerct "@$1" -print0
}} | {SEARCH}
"""
"""Every file of a host; in Docker's own directory only those that changed since the time given, in seconds. What the
containers see as `merged` is what the layers hold in `diff`."""


def in_files_of_hosts(lab: Lab, marks: Marks, since: float) -> list[Finding]:
    """Files on the hosts' disks and in their memory: configuration, logs of sshd and Docker, shell histories, Docker's own."""
    found = []
    for node in NODES:
        hits = hosts.execute(lab, node, "sh", "-c", FILES, "-", str(int(since)), stdin=marks.lines)
        found += _files(f"{node}:", hits, marks)
    return found


OBJECTS = r"""
for c in $(docker ps -aq); do echo "=== inspect container $c"; docker inspect "$c"; echo "=== logs container $c"; docker logs "$c" 2>&1; done
for k in image volume network; do echo "=== inspect $k"; docker $k ls -q | sort -u | xargs -r docker $k inspect; done
"""


def in_docker(lab: Lab, marks: Marks) -> list[Finding]:
    """What the hosts' Engines say of containers (their environment is part of that), images, volumes and networks; all that
    the containers have logged; and what the lab's own containers have."""
    texts = {node: hosts.execute(lab, node, "sh", "-c", OBJECTS) for node in NODES}
    for name in (*NODES, "registry", "mirror"):
        log = subprocess.run(
            [build.docker(), "logs", lab.container(name)], capture_output=True, text=True, check=True
        )
        texts[f"lab {name}"] = f"=== logs lab\n{log.stdout}{log.stderr}"
    found = []
    for where, text in texts.items():
        for part in text.split("\n=== "):
            place, _, what = part.removeprefix("=== ").partition("\n")[0].partition(" ")
            found += [Finding(place, f"{where}: {what}", name) for name in marks.found(part)]
    return sorted(set(found))


def in_what_was_said(said: Iterable[tuple[str, str]], marks: Marks) -> list[Finding]:
    """Everything that commands printed, by the command."""
    return [Finding("output", command, name) for command, text in said for name in marks.found(text)]


def in_files_here(roots: Iterable[Path], marks: Marks, since: float, known: Iterable[Path]) -> list[Finding]:
    """Files of this machine that changed since `since`.

    Args:
        known: files that are there to hold the values.
    """
    paths = {os.fsencode(path.resolve()) for path in _changed(roots, since)}
    paths -= {os.fsencode(path.resolve()) for path in known}
    with tempfile.NamedTemporaryFile() as listed:
        listed.write(b"".join(path + b"\0" for path in sorted(paths)))
        listed.flush()
        command = ["sh", "-c", f'P=$(cat); export P; <"$1" {SEARCH}', "-", listed.name]
        done = subprocess.run(command, input=marks.lines, capture_output=True, check=True)
    return _files("", done.stdout.decode(errors="replace"), marks)


def _files(where: str, hits: str, marks: Marks) -> list[Finding]:
    pairs = [line.partition("\0")[::2] for line in hits.splitlines()]
    return sorted({Finding("files", where + path, marks.forms[form]) for path, form in pairs})


def _changed(roots: Iterable[Path], since: float) -> Iterator[Path]:
    for root in roots:
        for directory, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in SKIPPED]
            for name in files:
                path = Path(directory, name)
                with contextlib.suppress(OSError):
                    status = path.lstat()
                    new = max(status.st_ctime, status.st_mtime) >= since
                    if new and stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST:
                        yield path
