"""Makes the tables and the chart of docs/performance.md from a document of `invoke bench`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy_lib.errors import UsageError

from .chart import chart
from .contenders import NAMES
from .figures import Figure, read, table

PAGE, CHART = Path("docs/performance.md"), Path("docs/performance.svg")

BEGIN, END = "<!-- invoke bench -->", "<!-- the end of invoke bench -->"
"""What the tables stand between."""

DRAWN = ("nothing-to-do", "new-tag", "rollback")
"""The cases in the chart."""


def make_pages(root: Path, document: Path) -> None:
    """Writes them anew.

    Raises:
        UsageError: there is no such document, or the page has no place for the tables.
    """
    try:
        data = json.loads(document.read_text())
        found = read(data)
        text = tables(data, found)
    except FileNotFoundError:
        raise UsageError(f"there is no {document}", hint="measure first: invoke bench") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{document} is no document of invoke bench: {error!r}") from None
    page = root / PAGE
    written = page.read_text()
    place = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    if not place.search(written):
        raise UsageError(f"{PAGE} has no lines {BEGIN} and {END}, between which the tables stand")
    page.write_text(place.sub(lambda _: f"{BEGIN}\n\n{text}\n{END}", written))
    cases: Mapping[str, Mapping[str, Any]] = data["cases"]
    panels = {cases[case]["title"]: [f for f in found if f.case == case] for case in DRAWN if case in cases}
    (root / CHART).write_text(chart(panels, NAMES))


def tables(data: Mapping[str, Any], found: Sequence[Figure]) -> str:
    """All figures in Markdown, a section for each case."""
    lines = []
    for case, about in data["cases"].items():
        base = NAMES.get(about["base"], about["base"])
        far = f", {about['latency']} ms of latency added" if about["latency"] else ""
        when = f"{about['measured'][:10]}, commit {about['commit']}, {about['cores']} cores, load {about['load']}"
        lines += [f"### {about['title']}{far}", "", f"Ratio to: {base}. Measured {when}.", ""]
        lines += [*table([f for f in found if f.case == case], NAMES), ""]
    return "\n".join(lines)
