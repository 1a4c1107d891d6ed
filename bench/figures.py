"""What runs say: medians and ratios, as JSON and as tables; pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Run:
    """One run of one contender.

    Attributes:
        case: the case's name, with the added latency: "nothing-to-do", "nothing-to-do+40ms".
        who: the contender.
        seconds: what counts in this case: wall, CPU or outage, in seconds.
        wall: seconds from start to end.
        cpu: seconds of user and system time, its children's too; None where it was not measured.
        peak: MiB of memory at most; None where it was not measured. A process begins with what the one that started it had, so
            less than some 60 MiB cannot be told.
        status: the exit status.
    """

    case: str
    who: str
    seconds: float
    wall: float
    cpu: float | None = None
    peak: float | None = None
    status: int = 0


@dataclass(frozen=True)
class Figure:
    """All runs of a contender in a case.

    Attributes:
        median, least, most: of their seconds.
        ratio: of the medians, to that of the case's base; None without one.
        failed: how many did not end with status 0; these count in nothing else.
    """

    case: str
    who: str
    runs: int
    median: float
    least: float
    most: float
    ratio: float | None
    cpu: float | None
    peak: float | None
    failed: int = 0


def figures(runs: Iterable[Run], bases: Mapping[str, str]) -> list[Figure]:
    """The figures of all runs, in the order in which cases and contenders came first.

    Args:
        bases: by case, the contender that the others are compared to.
    """
    grouped: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        grouped.setdefault((run.case, run.who), []).append(run)
    medians = {key: statistics.median(good) for key, each in grouped.items() if (good := _good(each))}
    found = []
    for (case, who), each in grouped.items():
        seconds = _good(each)
        if not seconds:
            continue
        base = medians.get((case, bases.get(case, "")))
        cpu = [run.cpu for run in each if run.cpu is not None and not run.status]
        peak = [run.peak for run in each if run.peak is not None and not run.status]
        found.append(
            Figure(
                case,
                who,
                len(seconds),
                medians[case, who],
                min(seconds),
                max(seconds),
                medians[case, who] / base if base else None,
                statistics.median(cpu) if cpu else None,
                statistics.median(peak) if peak else None,
                sum(1 for run in each if run.status),
            )
        )
    return found


def _good(runs: Sequence[Run]) -> list[float]:
    return [run.seconds for run in runs if not run.status]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """By how much the second number grows with the first: least squares.

    Args:
        points: at least two, of different first numbers.
    """
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def document(
    runs: Sequence[Run], cases: Mapping[str, Mapping[str, Any]], earlier: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """For JSON: what was measured where, every single run, and the figures.

    Args:
        cases: by name, what there is to say of it, its "base" among that.
        earlier: such a document; cases that were not measured again stay as they are there.

    Raises:
        KeyError, TypeError: it is none.
    """
    known = earlier or {"cases": {}, "runs": []}
    kept = {name: about for name, about in known["cases"].items() if name not in cases}
    whole = [*(Run(**each) for each in known["runs"] if each["case"] in kept), *runs]
    about = {**kept, **cases}
    found = figures(whole, {name: each["base"] for name, each in about.items()})
    return {
        "cases": about,
        "figures": [{k: _round(v) for k, v in asdict(each).items()} for each in found],
        "runs": [{k: _round(v) for k, v in asdict(run).items()} for run in whole],
    }


def read(document: Mapping[str, Any]) -> list[Figure]:
    """The figures of such a document.

    Raises:
        KeyError, TypeError: it is none.
    """
    return [Figure(**each) for each in document["figures"]]


def _round(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def table(found: Sequence[Figure], names: Mapping[str, str]) -> list[str]:
    """The figures of one case as a table in Markdown; the fastest is not made to stand out, since runs differ.

    Args:
        names: by contender, what it is called.
    """
    lines = [
        "| what | runs | median (from to) | ratio | CPU |",
        "| --- | --- | --- | --- | --- |",
    ]
    for f in found:
        name = names.get(f.who, f.who)
        who = f"**{name}**" if f.who == "ours" else name
        ratio = "–" if f.ratio is None else f"{f.ratio:.2f}"
        cpu = "–" if f.cpu is None else f"{f.cpu:.2f}"
        failed = f", {f.failed} failed" if f.failed else ""
        spread = f"{_seconds(f.median)} ({_seconds(f.least)} {_seconds(f.most)}){failed}"
        lines.append(f"| {who} | {f.runs} | {spread} | {ratio} | {cpu} |")
    return lines


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.0f} ms"
