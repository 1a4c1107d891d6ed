"""`invoke bench`, so that it stays alive; how long anything takes is asserted nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.layout import Lab

from .conftest import command


def test_a_wrong_case_is_answered_with_all_of_them() -> None:
    outcome = command("invoke", "bench", "--case", "nothing-to-doo")
    assert outcome.code == 2
    assert "nothing-to-do, nothing-to-do-3" in outcome.err


def test_hosts_without_docker_are_looked_at_and_removed(lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    chosen = ("--case", "start-up", "--case", "hosts-1", "--who", "ours", "--who", "bare-invoke")
    outcome = command("invoke", "bench", *chosen, "--runs", "1", "--out", str(out))
    assert outcome.code == 0, outcome.err
    assert "**this project**" in outcome.out
    document = json.loads(out.read_text())
    assert [(run["case"], run["who"], run["status"]) for run in document["runs"]] == [
        ("start-up", "bare-invoke", 0),
        ("start-up", "ours", 0),
        ("hosts-1", "ours", 0),
    ]
    assert not (lab.directory / "bench").exists()


@pytest.mark.full
def test_a_deployment_is_measured_beside_the_bare_commands(stack: None, lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    who = [word for name in ("floor", "ours", "ssh", "ssh-cm") for word in ("--who", name)]
    cases = ("--case", "nothing-to-do", "--latency", "0", "--latency", "40")
    outcome = command("invoke", "bench", *cases, *who, "--runs", "1", "--out", str(out))
    assert outcome.code == 0, outcome.err
    runs = json.loads(out.read_text())["runs"]
    assert {(run["case"], run["who"]) for run in runs} == {
        *(("nothing-to-do", name) for name in ("floor", "ours", "ssh", "ssh-cm")),
        *(("nothing-to-do+40ms", name) for name in ("ours", "ssh", "ssh-cm")),
    }
    assert {run["status"] for run in runs} == {0}
    assert command("invoke", "deploy-core", "--tag", "sha-0000001").code == 0
