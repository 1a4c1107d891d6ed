"""docs/architecture.md and CONTRIBUTING.md: the modules that they name are there, so that a reader who looks for one finds it."""

from __future__ import annotations

import re

import pytest

from tests import ROOT

NAMED = re.compile(r"`([a-z_/]+\.py)`")
MODULES = {
    path.relative_to(ROOT).as_posix()
    for folder in ("deploy_lib", "lab", "tests", "fabfile")
    for path in (ROOT / folder).rglob("*.py")
} | {path.name for path in ROOT.glob("*.py")}


@pytest.mark.parametrize("document", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_the_modules_that_a_page_names_are_there(document: str) -> None:
    named = set(NAMED.findall((ROOT / document).read_text()))
    # A path begins at the repository or at the library; a mere name is beside a module that the text has named.
    gone = {
        name for name in named if not ({name, f"deploy_lib/{name}"} & MODULES if "/" in name else _has(name))
    }
    assert named
    assert not gone


def _has(name: str) -> bool:
    return any(path == name or path.endswith(f"/{name}") for path in MODULES)
