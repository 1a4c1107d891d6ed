"""The order of the floors that docs/architecture.md prints: no module imports anything above its own floor."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy_lib import layout
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


def said(path: Path) -> Iterator[str]:
    """The texts of a module that are no documentation; of a format string, what stands between its values."""
    tree = ast.parse(path.read_text())
    documentation = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


COMPOSE = re.compile(r"com\.docker\.compose|docker compose ")
"""Compose's labels, and its command line."""


def test_only_one_room_knows_compose() -> None:
    """Nobody else builds a call of it, knows one of its labels, or reads one of its files or of its renderings."""
    for path in MODULES:
        if "compose" in path.relative_to(ROOT / "deploy_lib").parts[:1]:
            continue
        known = [text for text in said(path) if COMPOSE.search(text)]
        assert not known, f"{path} knows Compose: {known}"
        words = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        calls = [[a.value for a in n.args if isinstance(a, ast.Constant)] for n in words]
        assert not [c for c in calls if c[:2] == ["docker", "compose"]], f"{path} builds a call of Compose"
        modules = {
            alias.name
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.Import)
            for alias in n.names
        }
        assert "yaml" not in modules, f"{path} reads YAML"
        attributes = {n.attr for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)}
        assert "spec" not in attributes, f"{path} reads what Compose has rendered"


NAMES = re.compile(r"ktrdr|backtest|homelab|workers", re.IGNORECASE)


def test_the_names_on_hosts_come_from_one_constant() -> None:
    """Nothing else in the library knows whose it was first; hosts do, so the constant never changes."""
    found = {
        (path.relative_to(ROOT / "deploy_lib").as_posix(), line)
        for path in MODULES
        for line in path.read_text().splitlines()
        if NAMES.search(line)
    }
    assert found == {("layout.py", 'OURS = "ktrdr"')}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (layout.SECRETS_LABEL, "io.ktrdr.deploy.secrets"),
        (layout.DELIVERY_LABEL, "io.ktrdr.deploy.delivery"),
        (layout.KEEP, "ktrdr-deploy.local/keep"),
        (layout.TEMPORARY, "ktrdr-deploy"),
        (str(layout.secrets_in("/run", "p")), "/run/ktrdr-secrets/p"),
    ],
)
def test_names_on_hosts_are_those_that_hosts_have(name: str, value: str) -> None:
    assert name == value


def test_scripts_end_with_statuses_that_have_a_name() -> None:
    """A number in a script would be one that another script may use for something else."""
    for path in MODULES:
        found = re.findall(r"exit (?:7\d|8\d|9\d|1[01]\d|125)\b", path.read_text())
        assert not found, f"{path.name}: {found} stands for one of shell.ScriptExit"


def test_values_are_structs() -> None:
    """A `dataclass` compiles its methods at every start; see `deploy_lib/values.py`."""
    for path in MODULES:
        found = [
            n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Import | ast.ImportFrom)
        ]
        names = [
            f"{n.module}.{alias.name}" if isinstance(n, ast.ImportFrom) else alias.name
            for n in found
            for alias in n.names
        ]
        known = ["dataclasses.replace"] if path == ROOT / "deploy_lib/values.py" else []
        assert [name for name in names if name.partition(".")[0] == "dataclasses"] == known, path


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
