"""Runs `python -m MODULE` anew whenever the mounted source changes.

The packages that the source imports are imported once, here, and each run is a fork of this process: what a change costs is
the source's own import, and not theirs, which takes ten times as long.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import os
import runpy
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

SOURCE = Path(os.environ["PYTHONPATH"])
INTERVAL = 0.2
"""Seconds between two looks: a mount from another system tells of no change by itself."""

GRACE = 3.0
"""Seconds that a run has to end in, before it is killed."""


def main(command: Sequence[str]) -> None:
    """Serves until SIGTERM or SIGINT."""
    if not command:
        raise SystemExit("usage: reload.py python -m MODULE [ARGUMENT]...")
    if tuple(command[:2]) != ("python", "-m") or len(command) < 3:
        os.execvp(command[0], command)  # noqa: S606 - a shell, say: nothing to be run anew
    for name in sorted(set(imported())):
        # What the source cannot import either is its own affair, and told when it runs.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    stopping: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        stopping.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    seen = look()
    while not stopping:
        child = os.fork()
        if child == 0:
            return run(command[2], command[3:])
        running = True
        while not stopping and (now := look()) == seen:
            time.sleep(INTERVAL)
            if running and os.waitpid(child, os.WNOHANG)[0]:
                running = False
                say(f"{command[2]} has ended; it runs again when the source changes")
        if running:
            end(child)
        if not stopping:
            seen = now
            say("the source has changed")
    return None


def run(module: str, arguments: Sequence[str]) -> None:
    """One run, in a process of its own: secrets from their files, as in every image, and then the module."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    from ktrdr_backend import entrypoint

    os.environ.update(entrypoint.resolve(os.environ))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def end(child: int) -> None:
    """Ends a run, if need be by force."""
    os.kill(child, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        time.sleep(0.01)


def look() -> dict[str, tuple[int, int]]:
    """Each file of the source with what changes when it is written."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        with contextlib.suppress(FileNotFoundError):  # an editor may just be replacing it
            about = path.stat()
            found[str(path)] = (about.st_mtime_ns, about.st_size)
    return found


def imported() -> Iterator[str]:
    """What the source imports from elsewhere, wherever it does so."""
    own = {path.name.removesuffix(".py") for path in SOURCE.iterdir()}
    for path in SOURCE.rglob("*.py"):
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names = [node.module]
            else:
                continue
            yield from (name for name in names if name.partition(".")[0] not in own)


def say(text: str) -> None:
    """A line among the application's own."""
    sys.stderr.write(f"reload: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
