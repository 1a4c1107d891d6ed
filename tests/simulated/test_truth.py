"""The simulated Docker answers as the real one has."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .host import Host
from .shells import SHELLS
from .truth import IMAGE, RECORDED, SCRIPT, parts

TRUTH: dict[str, Any] = json.loads(RECORDED.read_text())


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    host = Host(SHELLS[0])
    host.engine.push(IMAGE)
    folder: Path = tmp_path_factory.mktemp("truth")
    try:
        process = host.begin(f"cd {folder}; export IMAGE={IMAGE}; {SCRIPT.read_text()}")
        out, err = process.communicate(timeout=60)
        assert host.docker.odd == []
        yield {**parts(out.decode()), "said beside that": err.decode()}
    except subprocess.TimeoutExpired:
        host.kill()
        raise
    finally:
        host.close()


@pytest.mark.parametrize("what", TRUTH)
def test_the_simulated_engine_answers_as_a_real_one_has(said: dict[str, Any], what: str) -> None:
    assert said[what] == TRUTH[what], said["said beside that"]


def test_nothing_is_answered_that_no_real_one_was_asked(said: dict[str, Any]) -> None:
    assert {*said} - {"said beside that"} == {*TRUTH}
