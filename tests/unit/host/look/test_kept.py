"""A release whose files the host has kept is rendered from their content, and from nothing that lies in its place."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.compose.command import mirror
from deploy_lib.errors import CommandError
from deploy_lib.host.look.kept import ask_kept, kept_script
from deploy_lib.release.release import Release
from deploy_lib.ssh.session import Session
from tests.unit import build

MARKS = {"compose.yml": "a" * 64, "shop.env": "b" * 64, "release.env": "c" * 64, "release.yml": "d" * 64}
RELEASE = Release("r1", "t", None, {}, MARKS, compose_files=("compose.yml",), env_files=("shop.env",))


def asked(answer: str | Exception) -> Any:
    def run(script: str, **_: object) -> SimpleNamespace:
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(stdout=answer)

    return ask_kept(cast(Session, SimpleNamespace(run=run)), build.stack(), RELEASE, ["KEY"])


def test_its_files_come_from_where_contents_are_kept() -> None:
    script = kept_script(build.stack(), RELEASE)
    assert f"put {'a' * 64} compose.yml" in script
    assert f"put {'c' * 64} release.env" in script
    assert "/opt/shop/.deploy/objects" in script
    assert "release.yml" not in script
    assert f"-f {mirror(build.stack().project)}/compose.yml" in script


def test_its_mounts_are_relative_to_the_stack_s_directory() -> None:
    mount = {"type": "bind", "source": "/opt/shop/rows", "target": "/rows"}
    model = {"services": {"db": {"image": "x", "volumes": [mount]}}}
    found = asked(f"/opt/shop\n{json.dumps(model)}")
    assert [(m.source, m.target) for m in found["db"].mounts] == [("rows", "/rows")]


def test_files_that_compose_does_not_read_tell_nothing() -> None:
    assert asked(CommandError("exit status 15")) is None
    with pytest.raises(Exception, match="cannot be understood"):
        asked("/opt/shop\nnot a model")
