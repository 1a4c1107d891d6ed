"""How much of deploy_lib the tests run, lines and branches: enforced for a whole run."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coverage import Coverage
from coverage.exceptions import NoDataError

from deploy_lib.output.table import lay_out, terminal_width

from . import ROOT

ENOUGH_LINES = ENOUGH_BRANCHES = 90.0
"""Per cent of the lines, and per cent of the branches, that a whole run is to be above."""

SHOWN = 10
"""So many modules are named, those first that have most which no test ran."""

CONFIGURATION = ROOT / "pyproject.toml"
COMBINED = ROOT / ".coverage"
"""Where coverage's own commands look: after a run, `coverage report -m` and `coverage html` say which lines."""


class NotEnoughError(Exception):
    """The tests run too little of the library, or nothing was measured; its text is one line."""


STARTS = "COVERAGE_PROCESS_START"
"""The environment variable by which coverage.py starts with a process."""

SAMPLE = "MEASURED_SAMPLE"
"""The environment variable that is set where only a part of the lab's tests measures the commands that it gives."""

EACH = 4
"""That part is one test of so many."""

LAB = "tests/lab/"


def environment(folder: Path, *, sample: bool = False) -> dict[str, str]:
    """What makes every Python process of this environment measure itself, if coverage.py is installed there.

    Args:
        folder: gets a file from each process that ends by itself; what is killed leaves none.
        sample: the commands of a part of the lab's tests, not of all. To start coverage.py takes a command as much of the
            processor as all the rest of its start, and a run has more than a thousand of them.
    """
    # Whatever its working directory: those of the lab's tests run in copies of the checkout.
    found = {STARTS: str(CONFIGURATION), "COVERAGE_FILE": str(folder / "part")}
    return found | {SAMPLE: "yes"} if sample else found


def begin(test: str) -> None:
    """What a test starts is measured or not, by the test's name: the same ones in each run.

    Args:
        test: its node id.
    """
    if SAMPLE not in os.environ:
        return
    if test.startswith(LAB) and zlib.crc32(test.encode()) % EACH:
        os.environ.pop(STARTS, None)
    else:
        os.environ[STARTS] = str(CONFIGURATION)


@dataclass(frozen=True)
class Share:
    """What was run of something.

    Attributes:
        name: of a module, as a path; "deploy_lib" for all of them.
    """

    name: str
    lines: int
    lines_run: int
    branches: int
    branches_run: int

    @property
    def missed(self) -> int:
        """Lines and branches that no test ran."""
        return self.lines + self.branches - self.lines_run - self.branches_run

    @property
    def percent(self) -> tuple[float, float]:
        """Of its lines and of its branches; 100 where there are none."""
        return _percent(self.lines_run, self.lines), _percent(self.branches_run, self.branches)

    @property
    def row(self) -> tuple[str, str, str, str]:
        """As people read it."""
        lines, branches = self.percent
        return self.name, f"{lines:.1f} %", f"{branches:.1f} %", str(self.missed)


def combine(folder: Path, combined: Path = COMBINED) -> list[Share]:
    """Puts the files of all processes together; the library comes first, then its modules, the least tested first.

    Raises:
        NotEnoughError: there are no files.
    """
    coverage = Coverage(data_file=str(combined), config_file=str(CONFIGURATION))
    coverage.erase()
    report = folder / "report.json"
    # Not by folder: there coverage would look for files that are named like the combined one.
    parts = [str(part) for part in folder.glob("part.*") if not part.name.endswith("-journal")]
    try:
        coverage.combine(parts or [str(folder)], strict=True)
        # Only of this checkout: a test runs an older version, too.
        coverage.json_report(outfile=str(report), include=[f"{ROOT}/deploy_lib/*"])
    except NoDataError:
        raise NotEnoughError(f"no process has measured what it ran in {ROOT / 'deploy_lib'}") from None
    return [*_shares(json.loads(report.read_text()))]


def told(shares: list[Share]) -> list[str]:
    """A short report: a line for the library, and one for each of the modules with most that no test ran."""
    rows = [share.row for share in shares[: SHOWN + 1] if share.missed or share is shares[0]]
    return lay_out(["COVERAGE", "LINES", "BRANCHES", "NOT RUN"], rows, terminal_width())


def demand(shares: list[Share]) -> None:
    """Does nothing where enough was run.

    Raises:
        NotEnoughError: too little was.
    """
    lines, branches = shares[0].percent
    if lines <= ENOUGH_LINES or branches <= ENOUGH_BRANCHES:
        raise NotEnoughError(
            f"the tests run {lines:.2f} % of the lines and {branches:.2f} % of the branches of deploy_lib, "
            f"and that is to be above {ENOUGH_LINES:.0f} and {ENOUGH_BRANCHES:.0f} %"
        )


def _shares(report: Mapping[str, Any]) -> Iterator[Share]:
    yield _share("deploy_lib", report["totals"])
    modules = [_share(name, found["summary"]) for name, found in report["files"].items()]
    yield from sorted(modules, key=lambda share: (-share.missed, share.name))


def _share(name: str, found: Mapping[str, Any]) -> Share:
    return Share(
        name=Path(name).relative_to(ROOT).as_posix() if Path(name).is_absolute() else name,
        lines=found["num_statements"],
        lines_run=found["covered_lines"],
        branches=found["num_branches"],
        branches_run=found["covered_branches"],
    )


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 100.0
