"""`invoke bench`: chooses the cases, measures them run by run in turn, and says what came out."""

from __future__ import annotations

import json as jsonlib
import os
import platform
import subprocess
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy_lib.errors import UsageError
from deploy_lib.names import did_you_mean
from deploy_lib.output.console import Console
from lab.layout import load
from lab.tasks import speaking

from . import figures as numbers
from .cases import CASES, Case, measure, with_latency
from .contenders import INSTALLED, NAMES, clean_up, install, prepare
from .described import describe
from .figures import Run
from .latency import delayed
from .many import end
from .place import Place, place, put, use_ports
from .publish import make_pages

DOCUMENT = Path(".lab/bench.json")
"""Where the runs are written to, in the project's folder."""


def run(
    root: Path,
    *,
    case: Sequence[str],
    who: Sequence[str],
    latency: Sequence[str],
    runs: str,
    limit: str,
    out: str,
    publish: bool,
) -> None:
    """`invoke bench`, with its flags.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with speaking() as console:
        path = Path(out) if out else root / DOCUMENT
        if publish:
            make_pages(root, path)
        else:
            _bench(root, console, _Asked(case, who, latency, runs, limit), path)


class _Asked:
    """What was asked for.

    Raises:
        UsageError: it makes no sense.
    """

    def __init__(
        self, case: Sequence[str], who: Sequence[str], latency: Sequence[str], runs: str, limit: str
    ) -> None:
        self.cases = _known("case", case, CASES) or list(CASES)
        self.who = _known("contender", who, NAMES)
        self.latencies = [_number("--latency", text, 0, 10_000) for text in latency] or [0]
        self.runs = _number("--runs", runs, 1, 1000)
        self.limit = 60.0 * _number("--limit", limit, 1, 1440)


def _known(what: str, asked: Sequence[str], known: Collection[str]) -> list[str]:
    for name in asked:
        if name not in known:
            raise UsageError(
                f"there is no {what} {name!r}; there are {', '.join(known)}", hint=did_you_mean(name, known)
            )
    return [name for name in known if name in asked]


def _number(flag: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        raise UsageError(f"{flag} takes a whole number from {least} to {most}, not {text!r}")
    return int(text)


def _bench(root: Path, console: Console, asked: _Asked, path: Path) -> None:
    began = time.monotonic()
    lab = load(root)
    made_of = [(*with_latency(name, ms), ms) for ms in asked.latencies for name in asked.cases]
    # Not every case is measured with latency.
    plans = [(name, case, ms) for name, case, ms in made_of if case.who]
    wanted = {w for _, case, _ in plans for w in case.who if not asked.who or w in asked.who}
    if wanted & {*INSTALLED} and not install(root, console.say):
        wanted -= {*INSTALLED}
    runs: list[Run] = []
    bases: dict[str, str] = {}
    with place(root, lab, console) as made:
        try:
            prepare(made, sorted(wanted))
            if nodes := list(dict.fromkeys(n for name in asked.cases for n in CASES[name].nodes)):
                put(made, nodes, console)
                describe(made, made.at)
            for name, case, milliseconds in plans:
                bases[name] = case.base
                who = [w for w in case.who if w in wanted]
                with _line(made, milliseconds):
                    for run in _measure(made, console, name, case, who, asked, began):
                        runs.append(run)
                _show(console, case.title, milliseconds, [r for r in runs if r.case == name], bases)
            if made.at and made.at != made.tags[0]:
                made.settle(made.tags[0])
        finally:
            end(made)
            clean_up(made, sorted(wanted))
    measured = {run.case for run in runs}
    about = {
        name: {"title": case.title, "base": case.base, "latency": milliseconds, **_about(root)}
        for name, case, milliseconds in plans
        if name in measured
    }
    path.write_text(jsonlib.dumps(numbers.document(runs, about, _earlier(path)), indent=1) + "\n")
    console.result(f"all runs: {path}")


def _earlier(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = jsonlib.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if {"cases", "runs"} <= found.keys() else None


@contextmanager
def _line(made: Place, milliseconds: int) -> Iterator[None]:
    with ExitStack() as stack:
        if milliseconds:
            ports = {machine.node: made.lab.port(machine.node, 22) for machine in made.lab.machines}
            use_ports(made, stack.enter_context(delayed(ports, milliseconds / 1000)))
        yield
        if milliseconds:
            use_ports(made, {})


def _measure(
    made: Place, console: Console, name: str, case: Case, who: Sequence[str], asked: _Asked, began: float
) -> Iterator[Run]:
    for number in range(-case.warm, asked.runs):
        for each in who:
            if time.monotonic() - began > asked.limit:
                console.say(f"warning: {name} is not complete: the {asked.limit / 60:.0f} minutes are over")
                return
            run = measure(made, name, case, each)
            failed = f", exit status {run.status}" if run.status else ""
            console.say(f"{name} {each}: {run.seconds:.3f} s{failed}{' (warming up)' if number < 0 else ''}")
            if number >= 0:
                yield run


def _show(
    console: Console, title: str, milliseconds: int, runs: Sequence[Run], bases: dict[str, str]
) -> None:
    console.result(f"\n{title}{f', {milliseconds} ms of latency' if milliseconds else ''}\n")
    for line in numbers.table(numbers.figures(runs, bases), NAMES):
        console.result(line)


def _about(root: Path) -> dict[str, Any]:
    """Where and when it was measured."""
    commit = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True
    )
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[1], 1),
        "python": platform.python_version(),
    }
