"""Data that a deployment would lose: each danger is refused before anything is changed, and what only looks like one is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.layout import Lab
from tests import ROOT

from .changes import until
from .projects import Project, project

STACK = """\
[secrets.PASSWORD]
field = "password"

[stacks.kept]
compose = "compose.yml"
project = "kept"
data = ["rows", "other", "unbound", "linked", "real", "link"]
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
  unbound: {{ {IDLE}, volumes: ["./unbound:/data"] }}
  watched: {{ {IDLE}, volumes: ["watched:/data"] }}
  watches: {{ {IDLE}, volumes: ["watched:/data:ro"] }}
  hides: {{ {IDLE}, volumes: ["hides:/data"] }}
  linked: {{ {IDLE}, volumes: ["./linked:/data"] }}
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
volumes: {{ postgres: {{}}, moved: {{}}, renamed: {{}}, dropped: {{}}, empty: {{}}, given: {{}}, watched: {{}}, hides: {{}} }}
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
    (f'unbound: {{ {IDLE}, volumes: ["./unbound:/data"]', f"unbound: {{ {IDLE}"),
    (f'watched: {{ {IDLE}, volumes: ["watched:/data"]', f'watched: {{ {IDLE}, volumes: ["other:/data"]'),
    ('"hides:/data"', '"hides:/data", "other:/data/sub"'),
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
    ("./linked:/data", "./link:/data"),
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
    "unbound": "unbound has /opt/kept/unbound at /data, which no service would mount any more",
    "watched": "watched has the volume kept_watched at /data, and would have the volume kept_other there",
    "hides": "hides has data at /data/sub, in the volume kept_hides, and would have the volume kept_other there",
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
        await_database(made)
        rows(made, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('a row')")
        for service in (
            "nameless",
            "moved",
            "renamed",
            "dropped",
            "bound",
            "leaves",
            "gives",
            "same",
            "unbound",
            "watched",
            "linked",
        ):
            made.inside(service, "echo a row > /data/row")
        made.inside("hides", "mkdir /data/sub; echo a row > /data/sub/row")
        made.sh("mkdir -p /opt/kept/real && touch /opt/kept/real/row && ln -s real /opt/kept/link")
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


def await_database(kept: Project) -> None:
    """Over TCP: while the data directory is first made, the server answers on its socket alone."""
    container = kept.containers()["db"]
    ready = f"docker exec {container} pg_isready -q -h 127.0.0.1 && echo ready"
    until(lambda: kept.sh(ready, check=False).strip() == "ready", "the database did not start", 90)


def test_each_danger_is_refused_by_its_name_and_nothing_is_changed(kept: Project) -> None:
    before = kept.containers()
    kept.write({"compose.yml": changed(*DANGERS, *PEACE)})
    for words in (("--skip-validation",), ("--dry-run",)):
        done = kept.deploy(*words)
        assert done.code == 3, done.err
        for service, said in LOST.items():
            assert said in done.err, f"{service}: {done.err}"
            assert f'accept_loss = ["{service}"]' in done.err
        for quiet in (
            "cache",
            "empty",
            "gives",
            "reads",
            "memory",
            "same",
            "stays",
            "once",
            "watches",
            "linked",
        ):
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


FAILS = """
[[stacks.kept.probes]]
name = "never"
service = "layer"
log = "this line never comes"
timeout = 1
"""


def test_a_rollback_is_refused_that_would_lose_what_was_written_since(kept: Project) -> None:
    """The release before has no mount where the data are now."""
    kept.write(
        {
            "compose.yml": changed(
                *PEACE, (f"layer: {{ {IDLE}", f'layer: {{ {IDLE}, volumes: ["new:/new"]'), NEW
            )
        }
    )
    kept.configure(STACK + 'accept_loss = ["layer"]\n')
    done = kept.deploy()
    assert done.code == 0, done.err
    assert "data: layer keeps 19 MiB" in done.err
    before = kept.containers()
    kept.inside("layer", "echo a row > /new/row")
    kept.configure(STACK)
    done = kept.run("rollback", "--json")
    assert done.code == 3, done.err
    assert "layer has the volume kept_new at /new, which no service would mount any more" in done.err
    assert kept.containers() == before
    kept.inside("layer", "rm /new/row")
    assert kept.run("rollback", "--json").code == 0


NEW = ("volumes: { postgres", "volumes: { new: {}, postgres")


def test_a_rotation_is_refused_that_would_lose_what_a_database_keeps_in_its_layer(kept: Project) -> None:
    before = kept.containers()
    old = kept.renew("password")
    done = kept.run("rotate-secrets", "--json")
    kept.fields["password"] = old
    kept.value("password")
    assert done.code == 3, done.err
    assert LOST["db"] in done.err
    assert kept.containers() == before
    assert kept.run("prune", "--json").code == 0
    assert rows(kept, "SELECT word FROM kept") == "a row"


def test_another_name_of_the_project_is_refused_for_its_volumes(kept: Project) -> None:
    kept.write({"compose.yml": changed(*PEACE)})
    kept.configure(STACK.replace('project = "kept"', 'project = "other"'))
    done = kept.deploy()
    kept.configure(STACK)
    assert done.code == 3, done.err
    said = "moved would have the volume other_moved in place of kept_moved"
    assert said in done.err
    assert 'project = "kept"' in done.err


VERSIONS = """\
services:
  pg: { image: "postgres:15", pull_policy: never, command: [sleep, infinity], stop_grace_period: 0s, volumes: ["pg:/var/lib/postgresql/data"] }
  maria: { image: "mariadb:11.8", pull_policy: never, command: [sleep, infinity], stop_grace_period: 0s, volumes: ["maria:/var/lib/mysql"] }
  cache: { image: "redis:7.4", pull_policy: never, command: [sleep, infinity], stop_grace_period: 0s, volumes: ["cache:/data"] }
volumes: { pg: {}, maria: {}, cache: {} }
"""

CALLED = (
    "postgres:15",
    "postgres:17",
    "postgres:15.9",
    "mariadb:11.8",
    "mariadb:10.11",
    "redis:7.4",
    "redis:6.2",
)


def test_data_that_another_version_does_not_read_are_refused_with_the_way_to_go(kept: Project) -> None:
    """The images differ in their labels alone: what counts is what they are called."""
    kept.remove()
    kept.sh("docker pull -q python:3.13-slim-trixie")
    for name in CALLED:
        kept.given(f"FROM python:3.13-slim-trixie\nLABEL it={name}\n", f"docker build -q -t {name} -")
    kept.write({"compose.yml": VERSIONS})
    assert (done := kept.deploy()).code == 0, done.err
    kept.inside("pg", "echo 15 > /var/lib/postgresql/data/PG_VERSION")
    kept.inside("maria", "printf 11.8.3-MariaDB > /var/lib/mysql/mariadb_upgrade_info")
    kept.inside("cache", "printf REDIS0012xxx > /data/dump.rdb")
    before = kept.containers()
    newer = VERSIONS.replace("postgres:15", "postgres:17").replace("11.8", "10.11").replace("7.4", "6.2")
    kept.write({"compose.yml": newer})
    done = kept.deploy()
    assert done.code == 3, done.err
    assert "PostgreSQL 17 does not read what PostgreSQL 15 has written" in done.err
    assert "pg_dumpall" in done.err
    assert "MariaDB 10.11 does not read what MariaDB 11.8 has written" in done.err
    assert "its snapshot has format 12" in done.err
    assert kept.containers() == before
    kept.write({"compose.yml": VERSIONS.replace("postgres:15", "postgres:15.9")})
    assert (done := kept.deploy()).code == 0, done.err
    kept.sh(f"docker rmi {' '.join(CALLED)}", check=False)


FIRST = f"""\
services:
  layer: {{ {IDLE}, volumes: ["named:/data", "/nameless"] }}
volumes: {{ named: {{}} }}
"""


def test_a_first_deployment_that_is_taken_down_names_the_volumes_that_it_leaves(kept: Project) -> None:
    kept.remove()
    kept.write({"compose.yml": FIRST})
    kept.configure(STACK + FAILS)
    done = kept.deploy()
    assert done.code == 10, done.err
    assert "the host is empty again, but for volumes, which stay: " in done.err
    assert "kept_named" in done.err
    left = kept.sh("docker volume ls -q").split()
    assert all(
        name in left
        for name in done.document["nodes"]["here"]["error"]
        .partition("which stay: ")[2]
        .split("\n")[0]
        .split(", ")
    ), left


@pytest.mark.full
@pytest.mark.takes(35)
def test_what_was_started_by_hand_is_refused_too_and_the_way_to_go_keeps_its_rows(kept: Project) -> None:
    """As with TimescaleDB's image that is called -ha: the volume is mounted, and the data are elsewhere."""
    kept.remove()
    text = f"services:\n{DATABASE}  heavy: {{ {IDLE} }}\nvolumes: {{ postgres: {{}} }}\nsecrets: {{ password: {{ environment: PASSWORD }} }}\n"
    kept.sh(f"mkdir -p /opt/kept; cat > /opt/kept/compose.yml <<'=END='\n{text}=END=")
    kept.given(
        kept.value("password"),
        "cd /opt/kept && PASSWORD=$(cat) && export PASSWORD && docker compose -p kept up -d --quiet-pull 2>&1",
    )
    await_database(kept)
    rows(kept, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('a row')")
    kept.inside("heavy", "head -c 20000000 /dev/urandom > /srv/data")
    kept.write({"compose.yml": text})
    kept.configure(STACK)
    before = kept.containers()
    for words in (("deploy-kept",), ("preflight",)):
        done = kept.run(*words)
        assert done.code == 3, done.err
        assert LOST["db"] in done.out + done.err
        assert "heavy keeps" not in done.out + done.err  # it is left as it is
    assert kept.containers() == before
    assert rows(kept, "SELECT word FROM kept") == "a row"
    copy = (
        (ROOT / "docs/data.md").read_text().partition("    docker stop shop-db-1\n")[2].partition("\n\n")[0]
    )
    kept.sh(
        f"docker stop shop-db-1\n{copy}".replace("shop", "kept").replace(
            "IMAGE", "timescale/timescaledb:2.19.3-pg17"
        )
    )
    there = text.replace("postgres:/var/lib/postgresql/data", "pgdata:/home/postgres/pgdata")
    kept.write({"compose.yml": there.replace("postgres: {}", "pgdata: {}")})
    kept.configure(STACK + 'accept_loss = ["db"]\n')
    assert (done := kept.deploy()).code == 0, done.err
    await_database(kept)
    assert rows(kept, "SELECT word FROM kept") == "a row"
    assert kept.containers()["heavy"] == before["heavy"]
    kept.configure(STACK)
    kept.write({"compose.yml": there.replace("postgres: {}", "pgdata: {}").replace('"one"', '"two"')})
    assert (done := kept.deploy()).code == 0, done.err
    assert rows(kept, "SELECT word FROM kept") == "a row"
