import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import cast

import pytest

from deploy_lib.compose.container import Container
from deploy_lib.config import load
from deploy_lib.host.change import targets
from deploy_lib.shell import ScriptExit
from deploy_lib.ssh.session import Session
from tests import ROOT
from tests.unit.host.prove.test_roster import container

NODES = load(ROOT, "lab").nodes
NODE = NODES["C"]
CONTAINERS = [
    container("training-worker-1", "1" * 64, 5005),
    container("backtest-worker-2", "2" * 64, 5004),
    container("backtest-worker-1", "3" * 64, 5003),
    container("node-exporter", "5" * 64, 9100),
    container("of no kind", "4" * 64, 80),
]


def content(containers: Sequence[Container]) -> str:
    assert NODE.stack.scrape is not None
    return targets.content(NODE, NODE.stack.scrape, containers)


def test_what_runs_is_a_target_and_nothing_else() -> None:
    groups = json.loads(content(CONTAINERS))
    assert [target for group in groups for target in group["targets"]] == [
        "ktrdr-workers-c.internal:5003",
        "ktrdr-workers-c.internal:5004",
        "ktrdr-workers-c.internal:5005",
        "ktrdr-workers-c.internal:9100",
    ]
    assert groups[-1]["labels"] == {"node": "C", "kind": "node-exporter", "service": "node-exporter"}
    assert groups[0]["labels"] == {"node": "C", "kind": "backtest", "service": "backtest-worker-1"}
    assert json.loads(content([])) == []


def test_the_same_containers_in_another_order_are_the_same_file() -> None:
    assert content(CONTAINERS) == content(CONTAINERS[::-1])


def test_the_file_lies_where_prometheus_looks() -> None:
    assert NODE.stack.scrape is not None
    scraper = targets.Scraper(cast(Session, None), NODES["core"], NODE.stack.scrape)
    assert scraper.path(NODE) == PurePosixPath("/opt/ktrdr-core/targets/C.json")


def put(path: Path, text: str) -> subprocess.CompletedProcess[str]:
    script = targets.targets_script(PurePosixPath(path))
    return subprocess.run(["sh", "-c", script], input=text, capture_output=True, text=True)


def test_it_is_replaced_in_one_step_and_only_when_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "targets" / "C.json"
    assert put(path, "one\n").stdout == "changed\n"
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("one\n", 0o644)
    first = path.stat().st_ino
    assert put(path, "one\n").stdout == ""
    assert path.stat().st_ino == first
    assert put(path, "two\n").stdout == "changed\n"
    assert (path.read_text(), path.stat().st_ino != first) == ("two\n", True)
    assert [each.name for each in path.parent.iterdir()] == ["C.json"]


def test_what_does_not_come_to_the_disk_takes_no_file_s_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "targets" / "C.json"
    put(path, "one\n")
    (tmp_path / "sync").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "sync").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert put(path, "two\n").returncode == 1
    assert path.read_text() == "one\n"


def test_a_stack_that_was_never_deployed_is_not_begun_here(tmp_path: Path) -> None:
    done = put(tmp_path / "core" / "targets" / "C.json", "one\n")
    assert done.returncode == ScriptExit.NOTHING_THERE
    assert "not deployed there" in done.stderr
    assert list(tmp_path.iterdir()) == []
