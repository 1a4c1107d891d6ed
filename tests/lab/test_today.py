"""A stack as it has grown in a home lab: no `name:`, passwords in the environment, single files mounted, started by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.layout import Lab

from .changes import until
from .projects import Project, project

DIRECTORY = "/opt/grown"

COMPOSE = """\
services:
  db:
    container_name: grown-db
    image: timescale/timescaledb:2.19.3-pg17
    environment:
      POSTGRES_DB: grown
      POSTGRES_USER: ${GROWN_DB_USER}
      POSTGRES_PASSWORD: ${GROWN_DB_PASSWORD}
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -q -h 127.0.0.1 -d grown"]
      interval: 2s
      retries: 30
  backend:
    container_name: grown-backend
    image: python:3.13-slim-trixie
    command: [python, -m, http.server, "8000"]
    stop_grace_period: 1s
    depends_on: { db: { condition: service_healthy } }
    environment:
      DATABASE_URL: "postgres://${GROWN_DB_USER}:${GROWN_DB_PASSWORD}@db/grown"
      AUTH_KEY: ${GROWN_AUTH_KEY}
      LOG_LEVEL: ${LOG_LEVEL}
    volumes:
      - ./monitoring/settings.yml:/etc/settings.yml:ro
      - /opt/elsewhere:/mnt/shared
    group_add: ["1500"]
    security_opt: ["no-new-privileges:true"]
  mcp:
    container_name: grown-mcp
    image: python:3.13-slim-trixie
    command: [sleep, infinity]
    stop_grace_period: 1s
    stdin_open: true
  second:
    container_name: grown-second
    profiles: [scale-2]
    image: python:3.13-slim-trixie
    command: [sleep, infinity]
    stop_grace_period: 1s
volumes: { data: {} }
"""

GPU = """\
  gpu:
    image: python:3.13-slim-trixie
    command: [sleep, infinity]
    deploy: { resources: { reservations: { devices: [{ driver: nvidia, count: all, capabilities: [gpu] }] } } }
"""

STACK = """\
[secrets.GROWN_DB_USER]
field = "user"
redact = false

[secrets.GROWN_DB_PASSWORD]
field = "password"

[secrets.DB_PASSWORD]
field = "password"

[secrets.GROWN_AUTH_KEY]
field = "key"

[stacks.grown]
compose = "deploy/docker-compose.yml"
env_file = "deploy/home.env"
files = { "monitoring/settings.yml" = "shared/settings.yml" }
exposed = ["GROWN_AUTH_KEY", "GROWN_DB_PASSWORD", "GROWN_DB_USER"]
healthy_timeout = 90

[[stacks.grown.apply]]
secret = "GROWN_DB_PASSWORD"
kind = "postgres-role"
role = "GROWN_DB_USER"
service = "db"

[[stacks.grown.probes]]
name = "the API runs"
service = "backend"
state = "running"
timeout = 5
"""


@pytest.fixture(scope="module")
def grown(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """It runs, started by hand with other file names and exported variables, and has a row in its database."""
    with project(lab, tmp_path_factory.mktemp("grown"), "grown") as made:
        made.fields["user"] = "grown"
        for name in ("password", "key"):
            made.value(name)
        made.write(
            {
                "deploy/docker-compose.yml": COMPOSE,
                "deploy/home.env": "LOG_LEVEL=INFO\n",
                "shared/settings.yml": "level: one\n",
            }
        )
        made.configure(STACK)
        exported = "\n".join(
            f"{name}='{made.value(field)}'"
            for name, field in (
                ("GROWN_DB_USER", "user"),
                ("GROWN_DB_PASSWORD", "password"),
                ("GROWN_AUTH_KEY", "key"),
            )
        )
        made.sh(
            f"mkdir -p {DIRECTORY}/monitoring /opt/elsewhere; echo 'level: one' > {DIRECTORY}/monitoring/settings.yml"
        )
        made.sh(
            f"cat > {DIRECTORY}/by-hand.yml <<'=END='\n{COMPOSE}=END=\necho LOG_LEVEL=DEBUG > {DIRECTORY}/.env"
        )
        made.given(
            exported,
            f'cd {DIRECTORY} && set -a && eval "$(cat)" && docker compose -f by-hand.yml up -d --quiet-pull 2>&1',
        )
        until(lambda: rows(made, "SELECT 1", check=False) == "1", "the database did not start", 90)
        rows(made, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('a row')")
        yield made
        made.sh("rm -rf /opt/elsewhere")


def rows(grown: Project, statement: str, *, check: bool = True) -> str:
    said = grown.sh(f'docker exec grown-db psql -U grown -d grown -Atc "{statement}"', check=check)
    return said.strip()


def logs_in(grown: Project, password: str) -> bool:
    """Whether the database takes a password, over the network."""
    said = grown.given(
        password,
        "PGPASSWORD=$(cat); export PGPASSWORD; "
        "docker exec -e PGPASSWORD grown-db psql -h grown-db -U grown -d grown -Atc 'SELECT 7' 2>&1 || true",
    )
    return said.strip() == "7"


def shown(grown: Project) -> tuple[str, str]:
    found = grown.environment("backend")
    return found["DATABASE_URL"], found["AUTH_KEY"]


def wanted(grown: Project) -> tuple[str, str]:
    return f"postgres://grown:{grown.value('password')}@db/grown", grown.value("key")


def test_without_a_name_the_line_is_offered_that_keeps_the_volume(grown: Project) -> None:
    done = grown.run("deploy-grown")
    assert done.code == 3
    assert "under which 3 containers are here" in done.err
    assert 'project = "grown"' in done.err
    assert rows(grown, "SELECT word FROM kept") == "a row"


def test_what_fails_over_it_gives_back_what_was_started_by_hand(grown: Project) -> None:
    grown.configure(STACK.replace("exposed =", 'project = "grown"\nexposed =') + NEVER)
    before = shown(grown), grown.environment("backend")["LOG_LEVEL"]
    grown.renew("key")
    done = grown.deploy()
    assert done.code == 10, done.err
    assert (shown(grown), grown.environment("backend")["LOG_LEVEL"]) == before
    assert rows(grown, "SELECT word FROM kept") == "a row"


NEVER = """
[[stacks.grown.probes]]
name = "never"
service = "mcp"
log = "this line never comes"
timeout = 1
"""


def test_it_is_deployed_as_it_is_and_keeps_its_data(grown: Project) -> None:
    grown.configure(STACK.replace("exposed =", 'project = "grown"\nexposed ='))
    done = grown.deploy()
    assert done.code == 0, done.err
    assert shown(grown) == wanted(grown)
    assert grown.environment("backend")["LOG_LEVEL"] == "INFO"
    assert rows(grown, "SELECT word FROM kept") == "a row"
    assert set(grown.containers()) == {"db", "backend", "mcp"}
    assert grown.run("status").code == 0


def test_a_changed_file_that_is_mounted_by_itself_arrives(grown: Project) -> None:
    grown.write({"shared/settings.yml": "level: two\n"})
    before = grown.containers()
    assert grown.deploy().code == 0
    assert grown.inside("backend", "cat /etc/settings.yml") == "level: two\n"
    after = grown.containers()
    assert {name for name in after if after[name] != before[name]} == {"backend"}


def test_a_changed_password_is_not_simply_deployed_and_rotates(grown: Project) -> None:
    old = grown.renew("password")
    refused = grown.deploy()
    assert refused.code == 3
    assert "rotate-secrets" in refused.err
    done = grown.run("rotate-secrets", "--json")
    assert done.code == 0, done.err
    assert shown(grown) == wanted(grown)
    assert (logs_in(grown, grown.value("password")), logs_in(grown, old)) == (True, False)
    assert rows(grown, "SELECT word FROM kept") == "a row"


def test_a_reservation_that_the_host_cannot_keep_is_refused_by_name(grown: Project) -> None:
    before = grown.containers()
    grown.write(
        {"deploy/docker-compose.yml": COMPOSE.replace("volumes: { data: {} }", GPU + "volumes: { data: {} }")}
    )
    done = grown.deploy()
    grown.write({"deploy/docker-compose.yml": COMPOSE})
    assert done.code == 3
    assert "nvidia" in done.err
    assert grown.containers() == before
