"""Data that a deployment would lose: each danger is refused before anything is changed, and what only looks like one is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.layout import Lab

from .changes import until
from .projects import Project, project

STACK = """\
[secrets.PASSWORD]
field = "password"

[stacks.kept]
compose = "compose.yml"
project = "kept"
data = ["rows", "other"]
healthy_timeout = 60
"""

IDLE = "image: python:3.13-slim-trixie, command: [sleep, infinity], stop_grace_period: 0s"

DATABASE = """\
  db:
    image: timescale/timescaledb:2.19.3-pg17
    stop_grace_period: 10s
    environment: { PGDATA: /home/postgres/pgdata/data, POSTGRES_PASSWORD_FILE: /run/secrets/password, LABEL: "one" }
    secrets: [password]
    volumes: ["postgres:/var/lib/postgresql/data"]
"""

BEFORE = f"""\
services:
{DATABASE}\
  layer: {{ {IDLE} }}
  nameless: {{ {IDLE}, volumes: ["/data"] }}
  moved: {{ {IDLE}, volumes: ["moved:/data"] }}
  renamed: {{ {IDLE}, volumes: ["renamed:/data"] }}
  dropped: {{ {IDLE}, volumes: ["dropped:/data"] }}
  bound: {{ {IDLE}, volumes: ["./rows:/data"] }}
  mounts: {{ {IDLE} }}
  leaves: {{ {IDLE}, volumes: ["/data"] }}
  cache: {{ {IDLE} }}
  empty: {{ {IDLE}, volumes: ["empty:/data"] }}
  gives: {{ {IDLE}, volumes: ["given:/data"] }}
  reads: {{ {IDLE}, volumes: ["./settings.yml:/first.yml:ro", "given:/given:ro"] }}
  memory: {{ {IDLE}, tmpfs: ["/data"] }}
  same: {{ {IDLE}, volumes: ["/data"] }}
  stays: {{ {IDLE} }}
  once: {{ image: "python:3.13-slim-trixie", restart: "no", command: [sh, -c, "head -c 20000000 /dev/urandom > /done"] }}
volumes: {{ postgres: {{}}, moved: {{}}, renamed: {{}}, dropped: {{}}, empty: {{}}, given: {{}} }}
secrets: {{ password: {{ environment: PASSWORD }} }}
"""

DANGERS = (
    ('LABEL: "one"', 'LABEL: "two"'),
    (f"layer: {{ {IDLE}", f"layer: {{ {IDLE}, environment: {{ A: b }}"),
    (f'nameless: {{ {IDLE}, volumes: ["/data"]', f'nameless: {{ {IDLE}, volumes: ["other:/data"]'),
    ("moved:/data", "moved:/srv"),
    ("renamed: {}", "renamed: { name: elsewhere }"),
    (f'dropped: {{ {IDLE}, volumes: ["dropped:/data"]', f"dropped: {{ {IDLE}"),
    ("./rows:/data", "./other:/data"),
    (f"mounts: {{ {IDLE}", f'mounts: {{ {IDLE}, volumes: ["/opt/not-there:/data"]'),
    (f'  leaves: {{ {IDLE}, volumes: ["/data"] }}\n', ""),
    ("volumes: { postgres", "volumes: { other: {}, postgres"),
)
"""What changes in the Compose file."""

PEACE = (
    (f"cache: {{ {IDLE}", f"cache: {{ {IDLE}, environment: {{ A: b }}"),
    (f'empty: {{ {IDLE}, volumes: ["empty:/data"]', f"empty: {{ {IDLE}"),
    (f'gives: {{ {IDLE}, volumes: ["given:/data"]', f"gives: {{ {IDLE}"),
    (f"memory: {{ {IDLE}", f'memory: {{ {IDLE}, volumes: ["given:/data"], environment: {{ A: b }}'),
    ("/first.yml:ro", "/second.yml:ro"),
    ('tmpfs: ["/data"]', 'tmpfs: ["/other"]'),
    (f"same: {{ {IDLE}", f"same: {{ {IDLE}, environment: {{ A: b }}"),
    ("> /done", "> /done; echo"),
)

LOST = {
    "db": "MiB in its own layer (/home/postgres/pgdata/data), which recreating it would lose",
    "layer": "layer keeps 19 MiB in its own layer (/srv/app), which recreating it would lose",
    "nameless": "nameless keeps data in a volume without a name (/data), which recreating it would leave behind",
    "moved": "moved has the volume kept_moved at /data, and would have it at /srv",
    "renamed": "renamed has the volume kept_renamed at /data, and would have the volume elsewhere there",
    "dropped": "dropped has the volume kept_dropped at /data, which no service would mount any more",
    "bound": "bound has /opt/kept/rows at /data, and would have /opt/kept/other there, which is empty",
    "mounts": "mounts would get /opt/not-there at /data, which is not on the host: Docker would make it, empty",
    "leaves": "leaves keeps data in a volume without a name (/data), which removing it would leave behind",
}


def changed(*changes: tuple[str, str]) -> str:
    text = BEFORE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def kept(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """It runs, and most of its services have written something."""
    with project(lab, tmp_path_factory.mktemp("kept"), "kept") as made:
        made.value("password")
        made.write({"compose.yml": BEFORE, "settings.yml": "a: b\n"})
        made.configure(STACK)
        done = made.deploy()
        assert done.code == 0, done.err
        until(lambda: rows(made, "SELECT 1", check=False) == "1", "the database did not start", 90)
        rows(made, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('a row')")
        for service in ("nameless", "moved", "renamed", "dropped", "bound", "leaves", "gives", "same"):
            made.inside(service, "echo a row > /data/row")
        made.inside("layer", "mkdir /srv/app; head -c 20000000 /dev/urandom > /srv/app/data")
        made.inside("stays", "head -c 20000000 /dev/urandom > /srv/data")
        made.inside(
            "cache",
            "mkdir -p /root/.cache /app/__pycache__ && for x in /tmp /var/cache /root/.cache /app/__pycache__; do "
            "head -c 6000000 /dev/urandom > $x/x; done; head -c 5000000 /dev/urandom > /var/log/x",
        )
        yield made
        made.sh("docker volume rm elsewhere; rm -rf /opt/not-there", check=False)


def rows(kept: Project, statement: str, *, check: bool = True) -> str:
    container = kept.containers()["db"]
    return kept.sh(f'docker exec {container} psql -U postgres -Atc "{statement}"', check=check).strip()


def test_each_danger_is_refused_by_its_name_and_nothing_is_changed(kept: Project) -> None:
    before = kept.containers()
    kept.write({"compose.yml": changed(*DANGERS, *PEACE)})
    for words in ((), ("--skip-validation",), ("--dry-run",)):
        done = kept.deploy(*words)
        assert done.code == 3, done.err
        for service, said in LOST.items():
            assert said in done.err, f"{service}: {done.err}"
            assert f'accept_loss = ["{service}"]' in done.err
        for quiet in ("cache", "empty", "gives", "reads", "memory", "same", "stays", "once"):
            assert f"{quiet} keeps" not in done.err
            assert f"{quiet} has" not in done.err
    assert kept.containers() == before
    assert rows(kept, "SELECT word FROM kept") == "a row"
    assert kept.run("status").code in (0, 12)


def test_what_only_looks_like_a_danger_is_deployed(kept: Project) -> None:
    before = kept.containers()
    kept.write({"compose.yml": changed(*PEACE)})
    done = kept.deploy()
    assert done.code == 0, done.err
    after = kept.containers()
    assert {name for name in after if after[name] == before[name]} >= {"db", "layer", "stays", "leaves"}
    assert kept.inside("same", "cat /data/row") == "a row\n"
    assert kept.inside("memory", "cat /data/row") == "a row\n"
