"""What somebody else has started, in three ways: it is adopted as it is, and comes back as it was, whatever fails over it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from lab.layout import Lab

from .changes import until
from .conftest import Outcome
from .projects import TASKS, Project, project

NAME = "hand"

DB = """\
  db:
    container_name: hand-db
    image: timescale/timescaledb:2.19.3-pg17
    environment: { POSTGRES_USER: hand, POSTGRES_PASSWORD: "${DB_PASSWORD}" }
    volumes: ["rows:/var/lib/postgresql/data"]
    stop_grace_period: 2s
"""

OLD_APP = """\
  app:
    container_name: hand-app
    image: python:${PYTHON_VERSION}
    command: [python, -m, http.server, "${INNER}"]
    stop_grace_period: 1s
    environment:
      LOG_LEVEL: "${LOG_LEVEL}"
      LEGACY_TOKEN: "${LEGACY_TOKEN:?it signs in}"
      DATABASE_URL: "pg://hand:${DB_PASSWORD}@db/hand"
    ports: ["127.0.0.1:${PORT}:${INNER}"]
  many:
    image: python:3.13-slim-trixie
    command: [sleep, infinity]
    stop_grace_period: 1s
    profiles: [crowd]
    deploy: { replicas: "${MANY:-1}" }
"""

OLD = f"services:\n{DB}{OLD_APP}volumes: {{ rows: {{}} }}\n"

NEW = f"""\
services:
{DB}  app:
    container_name: hand-app
    image: python:3.13-slim-trixie
    command: [python, -m, http.server, "8000"]
    stop_grace_period: 1s
    environment: {{ LOG_LEVEL: INFO, DATABASE_URL: "pg://hand:${{DB_PASSWORD}}@db/hand" }}
volumes: {{ rows: {{}} }}
"""

STACK = """\
[secrets.DB_PASSWORD]
field = "password"

[stacks.hand]
compose = "compose.yml"
env_file = "hand.env"
project = "hand"
exposed = ["DB_PASSWORD"]
healthy_timeout = 60
"""

PROBE = """
[[stacks.hand.probes]]
name = "never"
service = "app"
log = "this line never comes"
timeout = 1
"""


@dataclass
class Stack:
    """The stack on its host, as it was started.

    Attributes:
        home: its directory.
    """

    project: Project
    home: str
    given: dict[str, str] = field(default_factory=dict, repr=False)

    def state(self) -> dict[str, Any]:
        """By container: all that it was created with, and whether it runs."""
        found = self.project.sh(
            f"docker ps -aq --filter label=com.docker.compose.project={NAME} | xargs docker inspect"
        )
        return {
            c["Name"]: (
                c["Image"],
                sorted(c["Config"]["Env"]),
                c["Config"]["Cmd"],
                c["HostConfig"]["PortBindings"],
                c["HostConfig"]["Binds"],
                c["State"]["Status"],
            )
            for c in json.loads(found)
        }

    def row(self) -> str:
        return self.project.sh("docker exec hand-db psql -U hand -Atc 'SELECT word FROM kept'").strip()

    def configure(self, more: str = "", compose: str = NEW) -> None:
        self.project.write({"compose.yml": compose, "hand.env": ""})
        self.project.configure(STACK + more)
        path = self.project.root / "deploy.toml"
        path.write_text(path.read_text().replace(f'directory = "/opt/{NAME}"', f'directory = "{self.home}"'))

    def deploy(self) -> Outcome:
        return self.project.deploy()


VARIABLES = {"PYTHON_VERSION": "3.13-slim-trixie", "INNER": "8000", "PORT": "8123", "LOG_LEVEL": "DEBUG"}


def own_names(made: Project, given: dict[str, str]) -> str:
    """Its own file names, and an `.env`."""
    home = f"/opt/{NAME}"
    made.given(
        f"{OLD}=END=\n" + "".join(f"{n}={v}\n" for n, v in given.items()),
        f"mkdir -p {home} && cd {home} && sed -n '/^=END=/q;p' > by-hand.yml",
    )
    made.given(
        "".join(f"{n}={v}\n" for n, v in given.items()),
        f"cd {home} && cat > .env && docker compose -f by-hand.yml up -d --quiet-pull 2>&1",
    )
    return home


def exported(made: Project, given: dict[str, str]) -> str:
    """Exported variables and no env file; a profile, and several containers of a service."""
    home = f"/opt/{NAME}"
    made.given(OLD, f"mkdir -p {home} && cat > {home}/docker-compose.yml")
    lines = "".join(f"export {n}='{v}'\n" for n, v in {**given, "MANY": "2"}.items())
    made.given(lines, f'cd {home} && eval "$(cat)" && docker compose --profile crowd up -d --quiet-pull 2>&1')
    return home


def two_files(made: Project, given: dict[str, str]) -> str:
    """Two files and an env file, started from a directory that is none of theirs."""
    home, beside = f"/srv/{NAME}", f"/srv/{NAME}-more"
    base = f"services:\n{DB}volumes: {{ rows: {{}} }}\n"
    made.given(base, f"mkdir -p {home} {beside} && cat > {home}/base.yml")
    made.given(f"services:\n{OLD_APP}", f"cat > {beside}/app.yml")
    kept = {n: v for n, v in given.items() if n != "LEGACY_TOKEN"}
    made.given("".join(f"{n}={v}\n" for n, v in kept.items()), f"cat > {beside}/vars.env")
    made.given(
        given["LEGACY_TOKEN"],
        f"cd / && LEGACY_TOKEN=$(cat) docker compose -p {NAME} -f {home}/base.yml -f {beside}/app.yml "
        f"--env-file {beside}/vars.env up -d --quiet-pull 2>&1",
    )
    return home


Way = Callable[[Project, dict[str, str]], str]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(own_names, marks=pytest.mark.full),
        exported,
        pytest.param(two_files, marks=pytest.mark.full),
    ],
)
def stack(
    request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """It runs, and has a row."""
    with project(lab, tmp_path_factory.mktemp(NAME), NAME) as made:
        given = {
            **VARIABLES,
            "DB_PASSWORD": made.value("password"),
            "LEGACY_TOKEN": secrets.token_urlsafe(24),
        }
        way: Way = request.param
        found = Stack(made, way(made, given), given)
        sql = "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('a row')"
        insert = f'docker exec hand-db pg_isready -qh 127.0.0.1 && docker exec hand-db psql -U hand -qc "{sql}" && echo made'
        until(lambda: "made" in made.sh(insert, check=False), "the database did not start", 90)
        yield found
        keepers = "docker ps -aq --filter label=io.ktrdr.deploy.variables=hand | xargs -r docker rm"
        made.sh(f"{keepers}; rm -rf /srv/{NAME} /srv/{NAME}-more")


@contextmanager
def no_pull(made: Project) -> Iterator[None]:
    """Every pull of the host fails."""
    path = "/usr/local/bin/docker"
    made.sh(
        f"printf '%s\\n' '#!/bin/sh' '[ \"$1\" != pull ] || {{ echo no pull today >&2; exit 1; }}' 'exec /usr/bin/docker \"$@\"' > {path}; chmod +x {path}"
    )
    try:
        yield
    finally:
        made.sh(f"rm -f {path}")


def test_a_dry_run_says_what_happens_to_each_service(stack: Stack) -> None:
    stack.configure()
    if stack.home != f"/opt/{NAME}":
        path = stack.project.root / "deploy.toml"
        text = path.read_text()
        path.write_text(text.replace(f'directory = "{stack.home}"', f'directory = "/opt/{NAME}"'))
        refused = stack.deploy()
        assert refused.code == 3
        assert f'directory = "{stack.home}"' in refused.err
        path.write_text(text)
    done = stack.project.run(f"deploy-{NAME}", "--dry-run", "--json")
    assert done.code == 0, done.err
    assert "warning: " not in "".join(line for line in done.err.splitlines() if "adopt" in line), done.err
    plan = done.document["nodes"]["here"]["plan"]
    actions = {name: (each["action"], each["why"]) for name, each in plan["services"].items()}
    assert actions["db"] == ("keep", "it runs as it is to be")
    assert actions["app"][0] == "recreate"
    assert (plan["adopts"], plan["down"]) == (True, [])
    more = NEW.replace("stop_grace_period: 2s", "stop_grace_period: 3s")
    stack.configure(compose=more)
    shown = stack.project.run(f"deploy-{NAME}", "--dry-run")
    assert "go down while they are replaced, and keep data in a volume: db" in shown.out


HEALTH = '    healthcheck: { test: ["CMD", "false"], interval: 1s, retries: 1 }\n'
OTHER_IMAGE = "jaegertracing/all-in-one"
OTHER = f"  other: {{ image: {OTHER_IMAGE}:1.69.0, stop_grace_period: 1s }}\n"


@pytest.mark.takes(15)
@pytest.mark.parametrize(
    "fails",
    [
        "switch",
        "probe",
        pytest.param("pull", marks=pytest.mark.full),
        pytest.param("health", marks=pytest.mark.full),
    ],
)
def test_what_fails_over_it_gives_back_what_ran(stack: Stack, fails: str) -> None:
    before, containers = stack.state(), stack.project.containers()
    app = '    command: [python, -m, http.server, "8000"]\n'
    compose = {
        "pull": NEW.replace("volumes: { rows: {} }\n", f"{OTHER}volumes: {{ rows: {{}} }}\n"),
        # The database is replaced as well, and comes back.
        "switch": NEW.replace(app, f"{app}    user: nobody-has-this-name\n").replace("2s", "1s"),
        "health": NEW.replace(app, f"{app}{HEALTH}"),
        "probe": NEW,
    }[fails]
    stack.configure(PROBE if fails == "probe" else "", compose)
    if fails == "pull":
        # Whether the host has the image hangs on other tests.
        stack.project.sh(f"docker image ls -q {OTHER_IMAGE} | sort -u | xargs -r docker image rm -f")
        with no_pull(stack.project):
            done = stack.deploy()
        assert "no pull today" in done.err
    else:
        done = stack.deploy()
    assert done.code == 10, done.err
    assert stack.state() == before
    assert stack.row() == "a row"
    after = stack.project.containers()
    if fails == "pull":
        assert after == containers
    elif fails != "switch":
        assert after["db"] == containers["db"]


def test_it_is_deployed_and_rolled_back_to_what_ran(stack: Stack) -> None:
    before, containers = stack.state(), stack.project.containers()
    stack.configure()
    done = stack.deploy()
    assert done.code == 0, done.err
    assert stack.project.containers()["db"] == containers["db"]
    assert stack.project.environment("app")["LOG_LEVEL"] == "INFO"
    assert stack.project.run("status").code == 0
    again = stack.deploy()
    assert again.document["nodes"]["here"]["outcome"] == "unchanged", again.err
    back = stack.project.run("rollback", "--json")
    assert back.code == 0, back.err
    assert stack.state() == before
    assert stack.row() == "a row"
    assert stack.project.containers()["db"] == containers["db"]
    files = stack.project.sh(f"cat {stack.home}/release.* $(find {stack.home}/.deploy -type f)")
    assert not any(stack.given[name] in files for name in ("LEGACY_TOKEN", "DB_PASSWORD"))
    assert stack.given["LEGACY_TOKEN"] not in back.err + back.out + done.err + done.out


# --- when going back fails as well ---------------------------------------------------------------------------

CUT_OLD = """\
services:
  app:
    image: python:3.13-slim-trixie
    command: [sleep, infinity]
    stop_grace_period: 1s
    environment: { LOG_LEVEL: "${LOG_LEVEL}", LEGACY_TOKEN: "${LEGACY_TOKEN:?it signs in}" }
"""
CUT_NEW = CUT_OLD.replace("1s", "8s").replace(
    '"${LOG_LEVEL}", LEGACY_TOKEN: "${LEGACY_TOKEN:?it signs in}"', "INFO"
)

CUT = """\
[stacks.cut]
compose = "compose.yml"
env_file = "cut.env"
project = "cut"
switch_timeout = 60

[[stacks.cut.probes]]
name = "never"
service = "app"
log = "this line never comes"
timeout = 1
"""

HASTE = "\nfrom deploy_lib.host.change import detached\ndetached.ENGINE_TIMEOUT = 4\n"
"""An operator waits longer for an engine than a test can."""


@contextmanager
def engine_off(made: Project) -> Iterator[None]:
    """The engine is stopped, and stays so until the block ends."""
    made.sh("mv /usr/sbin/dockerd /usr/sbin/dockerd.off && kill -TERM $(cat /var/run/docker.pid)")
    try:
        yield
    finally:
        made.sh("mv /usr/sbin/dockerd.off /usr/sbin/dockerd")
        until(
            lambda: "up" in made.sh("docker version >/dev/null 2>&1 && echo up", check=False), "no engine", 90
        )


@contextmanager
def engine_frozen(made: Project) -> Iterator[None]:
    """The engine takes calls, and answers none until the block ends."""
    made.sh("kill -STOP $(cat /var/run/docker.pid)")
    try:
        yield
        refused = made.deploy()
        assert refused.code == 3, refused.err
        assert "Docker does not answer" in refused.err
    finally:
        made.sh("kill -CONT $(cat /var/run/docker.pid)")


@pytest.mark.parametrize("trouble", [engine_off, pytest.param(engine_frozen, marks=pytest.mark.full)])
def test_when_going_back_fails_too_both_causes_are_told_and_the_advice_works(
    lab: Lab,
    tmp_path_factory: pytest.TempPathFactory,
    trouble: Callable[[Project], AbstractContextManager[None]],
) -> None:
    with project(lab, tmp_path_factory.mktemp("cut"), "cut") as made:
        token = secrets.token_urlsafe(24)
        made.given(CUT_OLD, "mkdir -p /opt/cut && cat > /opt/cut/docker-compose.yml")
        made.given(
            f"export LEGACY_TOKEN='{token}' LOG_LEVEL=DEBUG\n",
            'cd /opt/cut && eval "$(cat)" && docker compose up -d --quiet-pull 2>&1',
        )
        made.write({"compose.yml": CUT_NEW, "cut.env": ""})
        made.configure(CUT)
        made.write({"tasks.py": TASKS + HASTE})
        process = made.start("deploy-cut")
        assert process.stderr is not None
        seen = next((line for line in process.stderr if line.split()[:2] == ["here", "back"]), "")
        assert seen
        with trouble(made):
            out, err = process.communicate(timeout=300)
            assert process.returncode == 11, err
            assert "before that: 1 of 1 probes failed" in err
            assert "unknown: the host does not say what runs" in err + out
            assert "make Docker answer on ktrdr-workers-c.internal first" in err
        assert "then: invoke rollback --node here" in err
        back = made.run("rollback", "--node", "here")
        assert back.code == 0, back.err
        shown = made.environment("app")
        assert (shown["LOG_LEVEL"], shown["LEGACY_TOKEN"] == token) == ("DEBUG", True)
        keepers = "docker ps -aq --filter label=io.ktrdr.deploy.variables=cut | xargs -r docker rm"
        made.sh(keepers)
