"""A Compose project as somebody has it: secrets in the environment, files mounted one by one, a migration that runs once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.layout import Lab

from .projects import Project, project

STACK = """\
[secrets.USER]
field = "user"

[secrets.PASSWORD]
field = "password"

[secrets.APP_KEY]
field = "key"

[environments.lab.nodes.here.variables]
UID = "65534"
SITE = "one.example"
name = "front"

[stacks.shop]
compose = "compose.yml"
env_file = "shop.env"
project = "shop"
directories = ["conf"]
healthy_timeout = 60
"""

ACCEPTED = 'exposed = ["APP_KEY", "PASSWORD", "USER"]\n'

FAILS = """
[[stacks.shop.probes]]
name = "never"
service = "web"
log = "this line never comes"
timeout = 1
"""

COMPOSE = """\
x-python: &python
  image: python:3.13-slim-trixie
  stop_grace_period: 1s
services:
  web:
    <<: *python
    command: [python, -m, http.server, "8000"]
    depends_on: { migrate: { condition: service_completed_successfully } }
    environment:
      SECRET_KEY: "${APP_KEY:?it signs sessions}"
      DSN: "pg://${USER}:${PASSWORD}@db/x$$y"
    secrets: [password]
    volumes: ["./conf/a.conf:/a.conf:ro"]
    configs: [banner]
  clone:
    extends: { service: web }
    command: [python, -m, http.server, "8001"]
  other:
    <<: *python
    command: [python, -m, http.server, "8000"]
    environment: { WHO: "${USER}" }
    depends_on: { migrate: { condition: service_completed_successfully } }
  store:
    <<: *python
    command: [python, -m, http.server, "8000"]
    environment: { SIZE: small, ADDRESS: "${ADDRESS}", CALLED: "${name}" }
    user: "${UID}"
    env_file: [store.env]
  migrate:
    <<: *python
    depends_on: [store]
    command: [sh, -c, "echo ran >> /data/runs; exit ${MIGRATION:-0}"]
    volumes: ["data:/data"]
  job:
    <<: *python
    restart: "no"
    env_file: [job.env]
    command: [sh, -c, "sleep 3; echo ran >> /data/jobs"]
    volumes: ["data:/data"]
  idle:
    <<: *python
    profiles: [never]
    environment: { WHO: "${NEEDED_BY_NO_SERVICE_IN_USE}" }
    ports: ["${NEEDED_BY_NONE_EITHER}:80"]
configs:
  banner: { content: "one" }
secrets:
  password: { environment: PASSWORD }
volumes: { data: {} }
"""


ENV = "ADDRESS=http://${SITE}/\n"


@pytest.fixture(scope="module")
def shop(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project, deployed."""
    with project(lab, tmp_path_factory.mktemp("shop"), "shop") as made:
        for name in ("user", "password", "key"):
            made.value(name)
        made.write(
            {
                "compose.yml": COMPOSE,
                "shop.env": ENV,
                "job.env": "SPEED=slow\n",
                "conf/a.conf": "one\n",
            }
        )
        made.write({"envs/store.env": "PLACE=linked\n"})
        (made.root / "store.env").symlink_to("envs/store.env")
        made.configure(STACK)
        yield made


def runs(shop: Project) -> tuple[int, int]:
    """How often the migration and the job have run."""
    place = shop.sh("docker volume inspect --format '{{.Mountpoint}}' shop_data").strip()
    found = [shop.sh(f"cat {place}/{name} 2>/dev/null | wc -l") for name in ("runs", "jobs")]
    return int(found[0]), int(found[1])


def exposed(shop: Project, service: str = "web") -> tuple[str, str]:
    shown = shop.environment(service)
    return shown["SECRET_KEY"], shown["DSN"]


def wanted(shop: Project) -> tuple[str, str]:
    value = shop.value
    return value("key"), f"pg://{value('user')}:{value('password')}@db/x$y"


def test_secrets_in_the_environment_are_refused_until_they_are_accepted(shop: Project) -> None:
    done = shop.run("deploy-shop")
    assert done.code == 3
    assert "APP_KEY stands in the environment of web (SECRET_KEY)" in done.err
    assert ACCEPTED.strip() in done.err
    assert shop.containers() == {}


def test_once_they_are_accepted_the_values_arrive_where_the_file_puts_them(shop: Project) -> None:
    shop.configure(STACK + ACCEPTED)
    done = shop.deploy()
    assert done.code == 0, done.err
    assert exposed(shop) == exposed(shop, "clone") == wanted(shop)
    assert shop.environment("other")["WHO"] == shop.value("user")
    assert shop.inside("web", "cat /run/secrets/password") == shop.value("password")
    for service in ("other", "migrate", "job"):
        shown = str(shop.inspected(service))
        assert shop.value("key") not in shown
        assert shop.value("password") not in shown
    files = shop.sh("cat /opt/shop/* /opt/shop/.deploy/* 2>/dev/null; true")
    assert not any(shop.value(name) in files for name in ("key", "password", "registry"))


def test_a_node_s_variables_arrive_whatever_they_are_called_and_in_values_of_env_files(shop: Project) -> None:
    # The scripts have a variable `name` of their own, and some shells have a UID that cannot be set.
    shown = shop.environment("store")
    assert (shown["ADDRESS"], shown["CALLED"], shown["PLACE"]) == ("http://one.example/", "front", "linked")
    assert shop.inspected("store")["Config"]["User"] == "65534"


def test_what_is_done_is_done_and_runs_once_for_each_change(shop: Project) -> None:
    assert runs(shop) == (1, 1)
    before = shop.containers()
    again = shop.deploy()
    assert again.document["nodes"]["here"]["outcome"] == "unchanged", again.err
    assert shop.run("status").code == 0
    assert (shop.containers(), runs(shop)) == (before, (1, 1))


def test_a_changed_file_recreates_exactly_who_mounts_it(shop: Project) -> None:
    before = shop.containers()
    shop.write({"conf/a.conf": "two\n"})
    assert shop.deploy().code == 0
    after = shop.containers()
    assert {name for name in after if after[name] != before[name]} == {"web", "clone"}
    assert shop.inside("web", "cat /a.conf") == "two\n"
    assert runs(shop) == (1, 1)


def test_a_changed_config_does_too_and_nothing_runs_again_for_what_it_depends_on(shop: Project) -> None:
    before = shop.containers()
    changed = COMPOSE.replace('content: "one"', 'content: "two"').replace("SIZE: small", "SIZE: large")
    shop.write({"compose.yml": changed})
    done = shop.deploy()
    assert done.code == 0, done.err
    after = shop.containers()
    assert {name for name in after if after[name] != before[name]} == {"web", "clone", "store"}
    assert shop.inside("clone", "cat /banner") == "two"
    assert runs(shop) == (1, 1)


def test_a_failed_release_gives_the_old_values_back(shop: Project) -> None:
    old = wanted(shop)
    for name in ("key", "user", "password"):
        shop.renew(name)
    shop.configure(STACK + ACCEPTED + FAILS)
    done = shop.deploy()
    assert done.code == 10, done.err
    assert exposed(shop) == exposed(shop, "clone") == old
    assert shop.inside("web", "cat /run/secrets/password") == old[1].rpartition("@")[0].rpartition(":")[2]
    assert runs(shop) == (1, 1)
    shop.configure(STACK + ACCEPTED)


def test_a_rotation_reaches_everybody_who_has_the_value(shop: Project) -> None:
    before = shop.containers()
    done = shop.run("rotate-secrets", "--json")
    assert done.code == 0, done.err
    assert exposed(shop) == exposed(shop, "clone") == wanted(shop)
    after = shop.containers()
    assert {name for name in after if after[name] != before[name]} == {"web", "clone", "other"}


def test_a_migration_that_fails_fails_the_deployment_and_the_old_release_goes_on(shop: Project) -> None:
    before = exposed(shop)
    shop.write({"shop.env": ENV + "MIGRATION=7\n"})
    done = shop.deploy()
    assert done.code == 10, done.err
    assert "exit 7" in done.err
    assert exposed(shop) == before
    status = shop.run("status")
    assert status.code == 0, status.out
    shop.write({"shop.env": ENV})


def test_a_rollback_needs_no_vault_and_keeps_the_values_that_run(shop: Project) -> None:
    value = wanted(shop)
    assert shop.deploy().code == 0
    (shop.root / "secrets.json").rename(shop.root / "hidden")
    done = shop.run("rollback", "--json")
    (shop.root / "hidden").rename(shop.root / "secrets.json")
    assert done.code == 0, done.err
    assert exposed(shop) == value
    assert shop.inside("web", "cat /banner") == "one"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ('command: [python, -m, http.server, "8001"]', 'command: [serve, "--key=${APP_KEY}"]'),
            "services.clone.command",
        ),
        (('WHO: "${USER}"', 'WHO: "${NOBODY_HAS_SET_THIS}"'), "NOBODY_HAS_SET_THIS has no value"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_changed(
    shop: Project, change: tuple[str, str], said: str
) -> None:
    before = shop.containers()
    shop.write({"compose.yml": COMPOSE.replace(*change)})
    done = shop.run("deploy-shop")
    shop.write({"compose.yml": COMPOSE})
    assert done.code == 3
    assert said in done.err
    assert shop.containers() == before


def test_a_project_without_a_fixed_name_is_given_the_line(shop: Project, tmp_path: Path) -> None:
    shop.configure((STACK + ACCEPTED).replace('project = "shop"\n', ""))
    done = shop.run("deploy-shop")
    shop.configure(STACK + ACCEPTED)
    assert done.code == 3
    assert 'project = "shop"' in done.err
