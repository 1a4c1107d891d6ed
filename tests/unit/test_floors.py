"""The order of the floors that docs/architecture.md prints: no module imports anything above its own floor."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

DOCUMENT = ROOT / "docs" / "architecture.md"
BLOCK = re.compile(r"<!-- floors -->\n+```\n(.*?)```", re.DOTALL)


def floors() -> dict[str, int]:
    """By top-level name below deploy_lib, its floor; 0 is the top."""
    (block,) = BLOCK.findall(DOCUMENT.read_text())
    lines = [line.split("  ")[0].split() for line in block.splitlines() if line.strip()]
    return {
        name.rstrip("/,").removesuffix(".py"): floor for floor, names in enumerate(lines) for name in names
    }


def imported(path: Path) -> Iterator[str]:
    """The parts of this package that a module imports, wherever it does so, for types only, too."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("deploy_lib."))


MODULES = sorted((ROOT / "deploy_lib").rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT / "deploy_lib")))
def test_a_module_uses_what_is_below_it_and_nothing_above(path: Path) -> None:
    order = floors()
    own = path.relative_to(ROOT / "deploy_lib").parts[0].removesuffix(".py")
    above = {name for name in imported(path) if name in order and order[name] < order[own]}
    assert not above, f"{path.name} is on the floor of {own}, and imports from {sorted(above)}"


def test_scripts_end_with_statuses_that_have_a_name() -> None:
    """A number in a script would be one that another script may use for something else."""
    for path in MODULES:
        found = re.findall(r"exit (?:7\d|8\d|9\d|1[01]\d|125)\b", path.read_text())
        assert not found, f"{path.name}: {found} stands for one of shell.ScriptExit"


def test_every_part_has_its_floor() -> None:
    parts = {
        p.stem if p.suffix == ".py" else p.name
        for p in (ROOT / "deploy_lib").iterdir()
        if p.suffix != ".typed" and p.name[0] not in "._"
    }
    assert parts - {"__pycache__"} <= set(floors())


def test_the_library_imports_nothing_of_this_repository() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            assert module is None or module.split(".")[0] not in ("lab", "tests", "tasks", "fabfile"), path
