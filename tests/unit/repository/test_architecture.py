"""docs/architecture.md and CONTRIBUTING.md: the modules that they name are there, so that a reader who looks for one finds it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from tests import ROOT

NAMED = re.compile(r"`([a-z_/]+(?:\.py|/))`")
BEGINS = re.compile(r"\s*$|[#|]|\d+\. |- ")
"""How a line looks that belongs to nothing before it."""

MODULES = {
    path.relative_to(ROOT).as_posix()
    for folder in ("deploy_lib", "lab", "tests", "fabfile")
    for path in (ROOT / folder).rglob("*.py")
} | {path.name for path in ROOT.glob("*.py")}


def gone(text: str) -> Iterator[str]:
    """The modules that a text names and that are not there.

    A path begins at the repository or at the library. A mere name is beside a module, or in a folder, that the same paragraph, row or
    item of a list has named before.
    """
    folders: set[str] = set()
    for line in text.splitlines():
        if BEGINS.match(line):
            folders = {"", "deploy_lib/"}
        for name in NAMED.findall(line):
            if name.endswith("/"):
                folders |= {name, f"deploy_lib/{name}"}
                continue
            places = ("", "deploy_lib/") if "/" in name else folders
            found = {f"{place}{name}" for place in places} & MODULES
            folders |= {f"{PurePosixPath(path).parent}/" for path in found}
            if not found:
                yield name


@pytest.mark.parametrize("document", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_the_modules_that_a_page_names_are_there(document: str) -> None:
    text = (ROOT / document).read_text()
    assert NAMED.search(text)
    assert not [*gone(text)]


def test_a_module_that_has_moved_is_not_there_any_more() -> None:
    assert [*gone("`host/change/switch.py`; beside it `watch.py`, and `gather.py`")] == ["gather.py"]
    assert [*gone("`host/change/switch.py`\n\nand then `watch.py`")] == ["watch.py"]
    assert [*gone("in `host/look/`: `gather.py`; in `node/`: `switch.py`")] == ["switch.py"]


def test_this_repository_s_own_tasks_are_a_few_lines() -> None:
    own = [ROOT / "tasks.py", *(ROOT / "fabfile").glob("*.py")]
    assert sum(len(path.read_text().splitlines()) for path in own) < 120
