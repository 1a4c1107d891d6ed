import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from deploy_lib.operations import values

DOCKER = """#!/bin/sh
case $1 in
  ps) echo stopped; echo running;;
  cp) case $2 in running:/run/secrets/*) cat "$FAKE/${2##*/}.tar";; *) exit 1;; esac;;
esac
"""
PLACES = {"TOKEN": (("web", "/run/secrets/token"),), "GONE": (("web", "/run/secrets/gone"),)}


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    return tmp_path


def run(fake: Path, script: str, value: str, **env: str) -> bytes:
    with tarfile.open(fake / "token.tar", "w") as archive:
        info = tarfile.TarInfo("token")
        info.size = len(value.encode())
        archive.addfile(info, io.BytesIO(value.encode()))
    environment = {**os.environ, "PATH": f"{fake}:{os.environ['PATH']}", "FAKE": str(fake), **env}
    return subprocess.run(["sh", "-c", script], env=environment, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "value", ["", "plain", 'it\'s "$X" `id`\\n', "ends in lines\n\n", "\n-n x", "🔑 % # x"]
)
def test_a_value_that_runs_is_restored_byte_for_byte(fake: Path, value: str) -> None:
    script = f'{values.capture("p", PLACES)}\n{values.restore(PLACES)}\nprintf %s "$TOKEN"'
    assert run(fake, script, value, TOKEN="given").decode() == value


def test_what_cannot_be_read_keeps_the_value_that_was_given(fake: Path) -> None:
    script = f'{values.capture("p", PLACES)}\n{values.restore(PLACES)}\nprintf %s "$GONE"'
    assert run(fake, script, "x", GONE="given") == b"given"


def test_a_secret_without_any_value_is_noticed(fake: Path) -> None:
    script = (
        f"{values.capture('p', PLACES)}\n{values.restore(PLACES)}\n{values.require(PLACES)} && echo all; true"
    )
    assert run(fake, script, "x") == b""
    assert run(fake, script, "x", GONE="") == b"all\n"
