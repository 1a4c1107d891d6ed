"""Stacks in the shape of well-known self-hosted software, as their projects publish them: deployed, changed, failed, rolled back."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.layout import Lab

from .projects import Project, project

STACKS = Path(__file__).parent / "projects"
PINNED = "python:3.13-slim-trixie"

QUICK = ("identity",)
"""It has most of the constructs; the others take their time in the full tier."""


def names() -> list[Any]:
    found = sorted(folder.name for folder in STACKS.iterdir() if folder.is_dir())
    return [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.full]) for name in found]


@pytest.fixture
def made(
    lab: Lab, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Project, dict[str, Any]]]:
    """A stack's files in a project of its own, and its `case.toml`."""
    name = request.param
    case = tomllib.loads((STACKS / name / "case.toml").read_text())
    with project(lab, tmp_path, name) as stack:
        shutil.copytree(
            STACKS / name, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("case.toml")
        )
        for path in tmp_path.glob("*compose.y*ml"):
            # A digest that the lab's registry has: there it stands in the file itself.
            path.write_text(path.read_text().replace("@sha256:${CACHE_DIGEST}", f"@{digest(stack)}"))
        for spec in tomllib.loads(case["stack"])["secrets"].values():
            stack.value(spec["field"])
        stack.configure(case["stack"])
        if network := case.get("network"):
            stack.sh(f"docker network create {network}")
        try:
            yield stack, case
        finally:
            stack.remove()
            if network:
                stack.sh(f"docker network rm {network}")


def digest(stack: Project) -> str:
    """What the registry has under a tag now."""
    stack.sh(f"docker pull -q {PINNED}")
    return (
        stack.sh(f"docker image inspect --format '{{{{index .RepoDigests 0}}}}' {PINNED}")
        .strip()
        .partition("@")[2]
    )


def edit(stack: Project, what: dict[str, str]) -> None:
    path = stack.root / what["file"]
    text = path.read_text()
    assert what["old"] in text
    path.write_text(text.replace(what["old"], what["new"]))


@pytest.mark.takes(35)
@pytest.mark.parametrize("made", names(), indirect=True)
def test_a_stack_is_deployed_changed_failed_and_rolled_back(made: tuple[Project, dict[str, Any]]) -> None:
    stack, case = made
    keeper, write, read = case["keep"]

    def seen() -> str:
        service, script = case["seen"]
        return stack.inside(service, script).strip()

    first = stack.deploy()
    assert first.code == 0, first.err
    assert seen() == case["first"]
    stack.inside(keeper, write)
    before = stack.containers()
    edit(stack, case["change"])
    second = stack.deploy()
    assert second.code == 0, second.err
    after = stack.containers()
    assert {name for name in after if after[name] != before[name]} == set(case["recreated"])
    assert seen() == case["second"]
    edit(stack, case["failure"])
    failed = stack.deploy()
    assert failed.code == 10, failed.err
    assert case["said"] in failed.err
    assert seen() == case["second"]
    back = stack.run("rollback", "--json")
    assert back.code == 0, back.err
    assert seen() == case["first"]
    assert stack.inside(keeper, read).strip() == "mine"
    status = stack.run("status")
    assert status.code == 0, status.out
