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


def test_every_part_has_its_floor() -> None:
    parts = {
        p.stem if p.suffix == ".py" else p.name
        for p in (ROOT / "deploy_lib").iterdir()
        if p.suffix != ".typed" and p.name[0] not in "._"
    }
    assert parts - {"__pycache__"} <= set(floors())


def test_the_library_imports_nothing_that_is_beside_it() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            beside = {name.split(".")[0] for name in names} & {
                "lab",
                "deploy_lab",
                "tests",
                "tasks",
                "fabfile",
            }
            assert not beside, path
