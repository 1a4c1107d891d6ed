"""A health check that comes with an image, and asks for what the service does not serve."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.layout import Lab

from .projects import Project, project

COMPOSE = """\
services:
  web:
    image: python:3.13-slim-trixie
    command: [python, -m, http.server, "8000"]
    stop_grace_period: 1s
  side:
    image: ill-by-itself:1
    pull_policy: never
    command: [sleep, infinity]
    stop_grace_period: 1s
"""

STACK = """\
[stacks.inherits]
compose = "compose.yml"
project = "inherits"
healthy_timeout = 30
"""

OVERRIDDEN = '    healthcheck: { test: ["CMD", "true"], interval: 1s, start_period: 10s }\n'

ASKS = "echo nobody serves 9; exit 7"

IMAGE = f"""\
from=$(docker image ls --no-trunc --format '{{{{.ID}}}}' python | head -n 1)
printf '%s\\n' "FROM $from" 'HEALTHCHECK --interval=1s --retries=2 --timeout=5s CMD {ASKS}' |
  DOCKER_BUILDKIT=0 docker build -q -t ill-by-itself:1 - >/dev/null 2>&1
"""


@pytest.fixture
def made(lab: Lab, tmp_path: Path) -> Iterator[Project]:
    with project(lab, tmp_path, "inherits") as made:
        made.write({"compose.yml": COMPOSE.partition("  side:")[0], "inherits.env": ""})
        made.configure(STACK)
        made.value("registry")
        first = made.deploy()
        assert first.code == 0, first.err
        made.sh(IMAGE)
        try:
            yield made
        finally:
            made.sh("docker rmi -f ill-by-itself:1 >/dev/null")


def test_it_is_named_as_the_image_s_with_the_ways_out_and_is_no_failure_of_going_back(made: Project) -> None:
    web = made.containers()
    made.write({"compose.yml": COMPOSE})
    failed = made.deploy()
    assert failed.code == 10, failed.err
    assert "its check, the image's own; healthcheck: in the Compose file overrides it" in failed.err
    assert f'unproven = ["side"] leaves it out: {ASKS}\n' in failed.err
    assert "status 7:\n    | nobody serves 9" in failed.err
    assert made.containers() == web

    # The first way out that it names.
    made.configure(STACK + 'unproven = ["side"]\n')
    accepted = made.deploy()
    assert accepted.code == 0, accepted.err
    # From then on its check says nothing, to no command.
    assert made.run("status").code == 0
    assert made.deploy().document["nodes"]["here"]["outcome"] == "unchanged"
    before = made.containers()
    # It is as ill as it was, and what was ill before does not keep the host from going back.
    made.configure(STACK)
    made.write({"compose.yml": COMPOSE.replace('[python, -m, http.server, "8000"]', "[python, -c, exit()]")})
    back = made.deploy()
    assert back.code == 10, back.err
    assert made.containers()["side"] == before["side"]
    assert (
        made.sh("docker inspect --format '{{.State.Running}}' " + made.containers()["web"]).strip() == "true"
    )

    # The other one.
    made.write({"compose.yml": COMPOSE + OVERRIDDEN})
    overridden = made.deploy()
    assert overridden.code == 0, overridden.err
    status = made.run("status")
    assert status.code == 0, status.out
