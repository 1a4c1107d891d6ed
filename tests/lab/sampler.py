"""Watches the command lines and environments of all processes, until its standard input ends.

A program of its own, so that nothing that a test does keeps it from looking. The lab's hosts are containers of this
machine: its process list has theirs in it, and those of the containers inside them. What to look for comes as the first
line of standard input, and what was found goes to standard output; both are JSON, and neither shows a value.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import sys
import time
from collections.abc import Iterator, Mapping

PAUSE = 0.002
"""Seconds between two looks; each takes a few milliseconds."""

ALL_ENVIRONMENTS = 50
"""Environments are read when a command line is new, and all of them in every so many looks."""

DEPTHS = ("operator", "host", "container")
"""By how many process namespaces a process is in: this machine's, a host's, a container's on a host."""

Hit = tuple[str, str, str, str]
"""What it was found in ("command line" or "environment"), where, whose (the program), and the value's name."""


def read(pid: str, name: str) -> bytes:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 - in a hurry
        return file.read()
    return b""


def where(pid: str) -> str:
    """Whose process it is; "gone" when it has ended meanwhile."""
    found = re.search(rb"^NSpid:(.*)$", read(pid, "status"), re.MULTILINE)
    return DEPTHS[min(len(found[1].split()), len(DEPTHS)) - 1] if found else "gone"


def environment(pid: str) -> tuple[str, str, bytes]:
    """Who may read a process's environment ("root" or "user"), where it is unless that is root, and the environment.

    All this is asked before the environment is searched: many processes are gone by then.
    """
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb", buffering=0) as file:  # noqa: PTH123
        # The file's owner stays what it was when the file was opened.
        user = os.fstat(file.fileno()).st_uid != 0
        return "user" if user else "root", where(pid) if user else "", file.read()
    return "root", "gone", b""


def look(forms: Mapping[bytes, str], known: dict[str, bytes], *, everything: bool) -> Iterator[Hit]:
    """What processes show that were not known, or were another program, when it was last looked."""
    there = [name for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - in a hurry
    for pid in reversed(there):  # the newest are gone first
        line = read(pid, "cmdline")
        new = known.get(pid) != line
        if not (new or everything):
            continue
        known[pid] = line
        program = re.search(rb"[a-z-]{0,12}$", line.partition(b"\0")[0])[0].decode()
        if new:
            for name in {name for form, name in forms.items() if form in line}:
                yield "command line", where(pid), program, name
        owner, place, variables = environment(pid)
        for name in {name for form, name in forms.items() if form in variables}:
            yield f"environment of {owner}", place or where(pid), program, name
    for pid in known.keys() - set(there):
        del known[pid]


def tell(what: Hit | str) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    forms = {bytes.fromhex(form): name for form, name in json.loads(sys.stdin.readline()).items()}
    with contextlib.suppress(OSError):
        os.nice(-10)  # a process that lives for milliseconds does not wait until it is looked at
    known: dict[str, bytes] = {}
    told: set[Hit] = set()
    looks = 0
    while True:
        for hit in look(forms, known, everything=looks % ALL_ENVIRONMENTS == 0):
            if hit not in told:
                told.add(hit)
                tell(hit)
        if looks == 0:
            tell("watching")
        looks += 1
        if select.select([sys.stdin], [], [], 0)[0]:
            return
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
