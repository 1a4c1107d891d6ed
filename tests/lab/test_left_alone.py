"""What a deployment has no business with stays as it is, and what hangs on what it changes is made anew with it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from lab.layout import Lab

from .projects import HEAD, Project, project

TAG = "3.13-slim-trixie"
COMPOSE = """\
name: alone
services:
  web:
    image: python:${TOKEN_IMAGE_TAG}
    command: [python, -m, http.server, "8000"]
    stop_grace_period: 0s
    init: true
    env_file: app.env
    ports: ["${AUTH_ADDRESS}:${AUTH_PORT}:8000"]
  inner:
    image: python:${TOKEN_IMAGE_TAG}
    command: [sleep, infinity]
    stop_grace_period: 0s
    init: true
    network_mode: service:web
  other:
    image: python:${TOKEN_IMAGE_TAG}
    command: [sleep, infinity]
    stop_grace_period: 0s
    init: true
  second:
    image: python:${TOKEN_IMAGE_TAG}
    command: [sleep, infinity]
    stop_grace_period: 0s
    profiles: [more]
"""
STACK = '[stacks.alone]\ncompose = "compose.yml"\nhealthy_timeout = 60\n'
SHELL = {"TOKEN_IMAGE_TAG": TAG, "AUTH_ADDRESS": "127.0.0.1", "AUTH_PORT": "18085"}


def configure(made: Project, **other: str) -> None:
    variables = ", ".join(f'{name} = "{value}"' for name, value in {**SHELL, **other}.items())
    made.configure(STACK, f"{HEAD}variables = {{{{ {variables} }}}}\n")


@pytest.fixture(scope="module")
def alone(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """It was started by hand, one profile included, with variables that only a shell had."""
    with project(lab, tmp_path_factory.mktemp("alone"), "alone") as made:
        made.write({"compose.yml": COMPOSE, "app.env": "LEVEL=one\n"})
        configure(made)
        files = " && ".join(
            f"printf %s {shlex.quote((made.root / name).read_text())} > /opt/alone/{name}"
            for name in ("compose.yml", "app.env")
        )
        exported = " ".join(f"{name}={value}" for name, value in SHELL.items())
        made.sh(
            f"mkdir -p /opt/alone && {files} && cd /opt/alone && "
            f"{exported} docker compose --profile more up -d --quiet-pull 2>&1"
        )
        yield made


def port(made: Project) -> str:
    (binding,) = made.inspected("web")["HostConfig"]["PortBindings"]["8000/tcp"]
    return f"{binding['HostIp']}:{binding['HostPort']}"


def test_an_adopted_project_with_a_profile_that_is_not_active_settles(alone: Project) -> None:
    before = alone.containers()
    done = alone.deploy()
    assert done.code == 0, done.err
    assert "second runs here, of a profile that is not active" in done.err
    # Also what reads an env file is as the new files have it. Compose's hash of what is part of a container has that one's id.
    after = alone.containers()
    assert {name for name in after if after[name] == before[name]} >= {"web", "other", "second"}
    again = alone.deploy()
    assert (again.code, again.document["nodes"]["here"]["outcome"]) == (0, "unchanged")
    status = alone.run("status")
    assert status.code == 0, status.out
    assert "alone-second-1" in status.out + status.err


def test_one_service_starts_nothing_that_was_stopped_and_takes_along_what_is_part_of_it(
    alone: Project,
) -> None:
    before = alone.containers()
    alone.sh("docker stop alone-other-1")
    alone.write({"app.env": "LEVEL=two\n"})
    done = alone.deploy("--service", "web")
    assert done.code == 0, done.err
    after = alone.containers()
    assert {name for name in after if after[name] != before[name]} == {"web", "inner"}
    assert alone.environment("web")["LEVEL"] == "two"
    assert alone.inspected("other")["State"]["Status"] == "exited"
    assert alone.run("status").code == 12
    whole = alone.deploy()
    assert whole.code == 0, whole.err
    assert alone.inspected("other")["State"]["Status"] == "running"


def reaches_web(made: Project) -> bool:
    """Whether the part is in the network that web has now."""
    pid = "$(docker inspect --format '{{.State.Pid}}' %s)"
    one, other = (made.sh(f"readlink /proc/{pid % name}/ns/net") for name in ("alone-web-1", "alone-inner-1"))
    return one == other


ANEW = """\
cd /opt/alone
docker compose -f compose.yml -f release.yml --env-file release.env up -d --no-deps --force-recreate web 2>&1
"""


@pytest.mark.parametrize(
    ("by_hand", "why"),
    [
        ("docker restart alone-web-1", "it is part of alone-web-1, which was started after it"),
        (ANEW, "it is part of a container that is gone"),
    ],
    ids=["started again", "made anew"],
)
def test_what_has_lost_its_network_is_drift_and_gets_it_again(alone: Project, by_hand: str, why: str) -> None:
    assert alone.deploy().code == 0
    assert reaches_web(alone)
    before = alone.containers()
    alone.sh("".join(f"export {name}={value}\n" for name, value in SHELL.items()) + by_hand)
    assert not reaches_web(alone)
    status = alone.run("status")
    assert (status.code, f"alone-inner-1 is cut off: {why}" in status.out) == (12, True), status.out
    done = alone.deploy()
    assert done.code == 0, done.err
    assert reaches_web(alone)
    assert alone.run("status").code == 0
    assert alone.containers()["other"] == before["other"]


def test_what_is_paused_goes_on(alone: Project) -> None:
    assert alone.deploy().code == 0
    alone.sh("docker pause alone-web-1 alone-other-1")
    assert alone.run("status").code == 12
    one = alone.deploy("--service", "other")
    assert one.code == 0, one.err
    assert [alone.inspected(name)["State"]["Status"] for name in ("web", "other")] == ["paused", "running"]
    before = alone.containers()
    alone.write({"app.env": "LEVEL=three\n"})
    whole = alone.deploy()
    assert whole.code == 0, whole.err
    assert reaches_web(alone)
    after = alone.containers()
    assert {name for name in after if after[name] != before[name]} == {"web", "inner"}
    assert alone.run("status").code == 0


@pytest.mark.full
def test_a_rollback_says_what_is_made_anew_along_and_brings_back_what_a_shell_had(alone: Project) -> None:
    configure(alone, AUTH_PORT="18086")
    assert alone.deploy().code == 0
    assert port(alone) == "127.0.0.1:18086"
    said = alone.run("rollback", "--dry-run")
    assert said.code == 0, said.err
    assert "it is part of web" in said.out + said.err
    for _ in range(3):
        if port(alone) == "127.0.0.1:18085":
            break
        back = alone.run("rollback")
        assert back.code == 0, back.err
    assert port(alone) == "127.0.0.1:18085"
