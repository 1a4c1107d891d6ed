"""Replicas of a kind are replaced one after the other, and the next one not before the new one has said that it does its work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.layout import Lab

from .projects import Project, project

COMPOSE = """\
x-job: &job
  image: python:3.13-slim-trixie
  stop_grace_period: 1s
  command: [sh, -c, "sleep 3; echo LINE as $$(hostname); exec sleep infinity"]
  labels: { of: one }
services:
  job-1: { <<: *job, deploy: { replicas: "${JOB_1:-0}" } }
  job-2: { <<: *job, deploy: { replicas: "${JOB_2:-0}" } }
"""

STACK = """\
[stacks.turns]
compose = "compose.yml"
env_file = "turns.env"
project = "turns"
healthy_timeout = 25

[stacks.turns.replicas]
job = ["job-1", "job-2"]

[[stacks.turns.rolling]]
kind = "job"
log = "registered as"
"""


@pytest.fixture
def made(lab: Lab, tmp_path: Path) -> Iterator[Project]:
    with project(lab, tmp_path, "turns") as made:
        made.configure(STACK)
        made.value("registry")
        made.write({"turns.env": "", "compose.yml": COMPOSE.replace("LINE", "registered")})
        first = made.deploy("--replicas-job", "2")
        assert first.code == 0, first.err
        yield made


def began(made: Project, service: str) -> float:
    """When a service's container was started."""
    asked = f"docker inspect --format '{{{{.State.StartedAt}}}}' {made.containers()[service]}"
    return float(made.sh(f'date +%s.%N -d "$({asked})"'))


@pytest.mark.takes(40)
def test_the_next_one_waits_for_the_one_before_and_is_spared_where_that_fails(made: Project) -> None:
    before = made.containers()
    second = COMPOSE.replace("of: one", "of: two")
    made.write({"compose.yml": second.replace("LINE", "registered")})
    done = made.deploy()
    assert done.code == 0, done.err
    after = made.containers()
    assert set(after) == set(before)
    assert not {*before.values()} & {*after.values()}
    # It says so after three seconds.
    assert began(made, "job-2") - began(made, "job-1") >= 3

    made.write({"compose.yml": second.replace("LINE", "lost")})
    failed = made.deploy()
    assert failed.code == 10, failed.err
    assert "a new container of job-1 has not said in its log: registered as" in failed.err
    back = made.containers()
    assert back["job-2"] == after["job-2"]
    assert back["job-1"] != after["job-1"]
    assert "registered" in str(made.inspected("job-1")["Config"]["Cmd"])
    assert made.run("status").code == 0

    shown = made.run("deploy-turns", "--dry-run")
    assert shown.out.index("--no-deps --no-recreate job-1") < shown.out.index("--no-start job-2")
