"""Tests mirror the house: by its name, each module's test is found, and what has none is tested through a module above it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

from tests import ROOT

THROUGH = {
    "checks/database": "unit/checks/test_data",
    "checks/mounts": "unit/checks/test_data",
    "checks/risk": "unit/checks/test_data",
    "cli/backup": "unit/cli/test_collection",
    "cli/backups": "unit/cli/test_collection",
    "cli/deploy": "unit/cli/test_collection",
    "cli/logs": "unit/cli/test_collection",
    "cli/preflight": "unit/cli/test_collection",
    "cli/prune": "unit/cli/test_collection",
    "cli/report": "unit/fleet/test_pruning",
    "cli/restore": "unit/cli/test_collection",
    "cli/rotate_secrets": "unit/cli/test_collection",
    "cli/startup": "unit/output/test_output",
    "cli/status": "unit/cli/test_collection",
    "compose/asks": "unit/checks/test_offers",
    "compose/existing": "unit/checks/test_constructs",
    "compose/joins": "unit/checks/test_constructs",
    "compose/labels": "unit/plan/test_status",
    "compose/limits": "unit/checks/test_constructs",
    "compose/port": "unit/checks/test_ports",
    "compose/project": "unit/compose/test_command",
    "compose/recovery": "unit/compose/test_spots",
    "compose/reference": "unit/compose/test_references",
    "compose/referred": "unit/compose/test_references",
    "compose/service": "unit/compose/test_model",
    "compose/uses": "unit/compose/test_model",
    "config/environments": "unit/config/test_config",
    "config/file": "unit/config/test_config",
    "config/parts": "unit/config/test_config",
    "config/probe": "unit/config/test_config",
    "config/reading": "unit/config/test_config",
    "config/specs": "unit/config/test_config",
    "config/stacks": "unit/config/test_config",
    "fleet/backup": "unit/fleet/test_restore",
    "fleet/carry_out": "unit/fleet/test_deploy",
    "fleet/done": "unit/fleet/test_pruning",
    "fleet/each": "unit/fleet/test_deploy",
    "fleet/findings": "unit/fleet/test_survey",
    "fleet/prepare": "unit/fleet/test_deploy",
    "fleet/vault": "unit/fleet/test_survey",
    "host/change/backup_place": "unit/host/change/test_backup",
    "host/change/beside": "unit/host/change/test_rolling",
    "host/change/following": "unit/host/change/test_watch",
    "host/change/gate": "unit/host/change/test_rolling",
    "host/change/launch": "unit/host/change/test_detached",
    "host/change/one_off": "unit/host/change/test_detached",
    "host/change/ship": "ssh/test_ship",
    "host/change/signs": "unit/host/change/test_printed",
    "host/change/start": "unit/host/change/test_detached",
    "host/change/step": "unit/plan/test_steps",
    "host/change/switch": "unit/host/change/test_detached",
    "host/change/switch_faults": "unit/host/change/test_watch",
    "host/gateways": "unit/config/test_rolling",
    "host/look/backups": "unit/host/change/test_backup",
    "host/look/offers": "unit/checks/test_offers",
    "host/look/others": "unit/host/look/test_gather",
    "host/look/reading": "unit/host/look/test_gather",
    "host/look/texts": "unit/host/look/test_by_hand",
    "host/programs": "unit/host/programs/test_outside",
    "host/programs/immutable": "unit/host/change/test_apply",
    "host/programs/mongo": "unit/host/programs/test_data",
    "host/programs/mysql": "unit/host/programs/test_data",
    "host/programs/redis": "unit/host/programs/test_data",
    "host/prove/endpoints": "ssh/test_probe",
    "layout": "unit/test_floors",
    "node/backup": "unit/node/test_restoring",
    "node/checking": "unit/node/test_deployment",
    "node/preflight": "unit/node/test_deployment",
    "node/pruning": "unit/node/test_deployment",
    "node/shipping": "ssh/test_ship",
    "node/visit": "unit/node/test_deployment",
    "operations/commands": "ssh/test_operations",
    "operations/compose": "ssh/test_operations",
    "operations/connections": "ssh/test_operations",
    "operations/files": "ssh/test_operations",
    "operations/logs": "ssh/test_operations",
    "operations/probes": "ssh/test_operations",
    "operations/registry": "ssh/test_operations",
    "output/outlet": "unit/output/test_output",
    "output/streams": "unit/output/test_output",
    "plan/decision": "unit/plan/test_decide",
    "release/backup": "unit/host/change/test_backup",
    "secrets/sources/environment": "unit/secrets/sources/test_sources",
    "secrets/views": "unit/secrets/test_redaction",
    "source/git_files": "unit/source/test_git",
    "source/git_program": "unit/source/test_git",
    "source/placing": "unit/source/test_files",
    "source/shipped": "unit/source/test_files",
    "source/tree": "unit/source/test_files",
    "ssh/agent": "ssh/test_keys",
    "ssh/channels": "ssh/test_session",
    "ssh/client": "ssh/test_session",
    "ssh/dialogue": "ssh/test_keys",
    "ssh/login": "ssh/test_keys",
    "ssh/master": "ssh/test_shared",
    "ssh/process": "ssh/test_session",
    "ssh/shared_channel": "ssh/test_shared",
    "ssh/target": "unit/checks/test_reach",
}
"""By module, the test that covers it from a module above."""

LIBRARY = ROOT / "deploy_lib"
IMPORT = re.compile(r"^\s*(?:from (deploy_lib[\w.]*) import (.+)|import (deploy_lib[\w.]*))", re.MULTILINE)


def defines(path: Path) -> bool:
    """Whether a module has anything of its own; a package often only names what others are to use."""
    body = ast.parse(path.read_text()).body
    return any(isinstance(n, ast.FunctionDef | ast.ClassDef) for n in body)


def name_of(path: Path) -> str:
    """Such as "host/look/facts", and "secrets/sources" for a package."""
    return path.relative_to(LIBRARY).with_suffix("").as_posix().removesuffix("/__init__")


MODULES = {
    name_of(path): path
    for path in sorted(LIBRARY.rglob("*.py"))
    if path.name != "__init__.py" or defines(path)
}
COMMANDS = {
    name: name.removeprefix("cli/").replace("_", "-")
    for name, path in MODULES.items()
    if name.startswith("cli/") and "\ndef run(invocation" in path.read_text()
}
"""By module, the command that is typed for it; of "deploy", how it begins."""


def imports(text: str) -> Iterator[str]:
    """Names of modules in the imports of a program, and in those of programs that it has as texts."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            for package, names, module in IMPORT.findall(node.value):
                yield module or package
                yield from (
                    f"{package}.{name.split()[0]}" for name in re.split(r"[,;]", names) if name.strip()
                )


@cache
def reached(path: Path) -> frozenset[str]:
    """The library's modules that a program imports, and the commands that it types, as one of the two programs' words."""
    text = path.read_text()
    names = {name.removeprefix("deploy_lib.").replace(".", "/") for name in imports(text)}
    words = {
        word
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for word in node.value.split()
    }
    typed = {
        name
        for name, word in COMMANDS.items()
        if word in words or any(each.startswith(f"{word}-") for each in words)
    }
    return frozenset(names | (typed if words & {"invoke", "fab"} else set()))


def above(name: str) -> set[str]:
    """The modules that use a module: those that import it, and those of its room that import one of these."""
    paths = {name_of(path): path for path in LIBRARY.rglob("*.py")}
    found: set[str] = set()
    left = {name}
    while left:
        # A package may only hand it on.
        direct = {other for other, path in paths.items() if left & reached(path) and other != "."} - found
        found |= direct
        left = {other for other in direct if PurePosixPath(other).parent == PurePosixPath(name).parent}
    return found


def own(name: str) -> list[Path]:
    """The tests that have a module's name: without a host, and those of the session with a real sshd."""
    room, _, module = name.rpartition("/")
    # A package's test may lie in its own folder.
    places = [f"unit/{room}/test_{module}.py", f"unit/{name}/test_{module}.py"]
    if room == "ssh":
        places.append(f"ssh/test_{module}.py")
    return [path for place in places if (path := ROOT / "tests" / place).is_file()]


@pytest.mark.parametrize("name", MODULES)
def test_each_module_is_tested_under_its_name_or_through_a_module_above_it(name: str) -> None:
    if own(name):
        assert name not in THROUGH, f"{name} has a test of its name: take it out of THROUGH"
        return
    assert name in THROUGH, (
        f"{name} has no tests/unit/.../test_{Path(name).name}.py: write it, or say where it is tested"
    )
    path = ROOT / "tests" / f"{THROUGH[name]}.py"
    # What its folder's fixtures use, it uses.
    fixtures = path.with_name("conftest.py")
    used = reached(path) | (reached(fixtures) if fixtures.is_file() else frozenset())
    assert name in used or above(name) & used, f"{path.name} uses neither {name} nor what imports it"


def test_only_modules_that_there_are_are_listed() -> None:
    assert set(THROUGH) <= set(MODULES)
    assert [*THROUGH] == sorted(THROUGH)
