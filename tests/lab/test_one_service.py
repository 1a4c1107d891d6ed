"""Some services by themselves: they get what the files say now, and the others stay as they run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.layout import Lab

from .projects import Project, project

STACK = """\
[secrets.PASSWORD]
field = "password"

[secrets.APP_KEY]
field = "key"

[secrets.OTHER_KEY]
field = "other"

[stacks.solo]
compose = "compose.yml"
env_file = "solo.env"
project = "solo"
healthy_timeout = 60
exposed = ["APP_KEY", "OTHER_KEY", "PASSWORD"]
"""

FAILS = """
[[stacks.solo.probes]]
name = "never"
service = "web"
log = "this line never comes"
timeout = 1
"""

COMPOSE = """\
x-python: &python
  image: python:3.13-slim-trixie
  stop_grace_period: 1s
  command: [sleep, infinity]
services:
  web:
    <<: *python
    env_file: [web.env]
    environment: { SIGNS: "${APP_KEY}", LEVEL: "${LEVEL}", PRICE: "5$$" }
    depends_on: [db]
    secrets: [password]
    configs: [banner]
    volumes: ["./conf/shared.conf:/shared.conf:ro", "./conf/web:/own:ro", "data:/data"]
  other:
    <<: *python
    environment: { SIGNS: "${OTHER_KEY}", LEVEL: "${LEVEL}" }
    env_file: [web.env]
    configs: [banner]
    volumes: ["./conf/shared.conf:/shared.conf:ro"]
  db:
    <<: *python
    secrets: [password]
    environment: { LEVEL: "${LEVEL}" }
configs:
  banner: { content: "one" }
secrets:
  password: { environment: PASSWORD }
volumes: { data: {} }
"""

FILES = {
    "compose.yml": COMPOSE,
    "solo.env": "LEVEL=info\n",
    "web.env": "MODE=slow\n",
    "conf/shared.conf": "one\n",
    "conf/web/own.conf": "one\n",
}


@pytest.fixture(scope="module")
def base(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project(lab, tmp_path_factory.mktemp("solo"), "solo") as made:
        for name in ("password", "key", "other"):
            made.value(name)
        yield made


@pytest.fixture
def solo(base: Project) -> Project:
    """The project, deployed as it is written above."""
    base.configure(STACK)
    base.write(FILES)
    done = base.deploy()
    assert done.code == 0, done.err
    return base


def changed(solo: Project, before: dict[str, str]) -> set[str]:
    after = solo.containers()
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def shown(solo: Project, service: str) -> dict[str, str]:
    return {key: solo.environment(service)[key] for key in ("SIGNS", "LEVEL", "MODE")}


def lying(solo: Project) -> str:
    """The stack's files on the host, each with its mode and its content's hash."""
    return solo.sh(
        "cd /opt/solo && find . -path ./.deploy -prune -o -path ./deploy-metrics -prune -o -type f -exec stat -c '%a %n' {} + "
        "-exec sha256sum {} + | sort"
    )


def test_a_service_gets_its_part_of_the_file_and_the_others_stay(solo: Project) -> None:
    before, other = solo.containers(), shown(solo, "other")
    solo.write(
        {
            "compose.yml": COMPOSE.replace("5$$", "6$$")
            .replace('content: "one"', "content: two")
            .replace("environment: { LEVEL:", "environment: { MORE: x, LEVEL:"),
            "solo.env": "LEVEL=debug\n",
            "web.env": "MODE=fast\n",
            "conf/shared.conf": "two\n",
            "conf/web/own.conf": "two\n",
        }
    )
    done = solo.deploy("--service", "web")
    assert done.code == 0, done.err
    assert changed(solo, before) == {"web"}
    web = solo.environment("web")
    assert (web["LEVEL"], web["MODE"], web["PRICE"], web["SIGNS"]) == (
        "debug",
        "fast",
        "6$",
        solo.value("key"),
    )
    assert solo.inside("web", "cat /shared.conf /own/own.conf /banner") == "two\ntwo\ntwo"
    assert solo.inside("web", "cat /run/secrets/password") == solo.value("password")
    solo.sh(f"docker restart -t 1 {before['other']}")
    assert solo.inside("other", "cat /shared.conf /banner") == "one\none"
    assert shown(solo, "other") == other
    again = solo.deploy("--service", "web")
    assert again.document["nodes"]["here"]["outcome"] == "unchanged", again.err
    status = solo.run("status")
    assert status.code == 0, status.out
    assert "web was deployed by itself" in status.out
    whole = solo.deploy()
    assert whole.code == 0, whole.err
    assert {"db", "other"} <= changed(solo, before)
    assert solo.inside("other", "cat /shared.conf /banner") == "two\ntwo"
    assert "by itself" not in solo.run("status").out
    assert solo.sh("find /opt/solo/deploy-services -type f").strip() == ""


@pytest.mark.full
def test_going_back_leads_to_exactly_what_ran(solo: Project) -> None:
    before, files, web = solo.containers(), lying(solo), shown(solo, "web")
    solo.write(
        {
            "compose.yml": COMPOSE.replace("5$$", "7$$"),
            "conf/shared.conf": "three\n",
            "solo.env": "LEVEL=warn\n",
        }
    )
    solo.renew("key")
    solo.configure(STACK + FAILS)
    failed = solo.deploy("--service", "web")
    assert failed.code == 10, failed.err
    assert changed(solo, before) == {"web"}
    assert (lying(solo), shown(solo, "web")) == (files, web)
    assert solo.run("status").code == 0
    solo.configure(STACK)
    new = solo.deploy("--service", "web")
    assert new.code == 0, new.err
    assert shown(solo, "web") == {"SIGNS": solo.value("key"), "LEVEL": "warn", "MODE": "slow"}
    back = solo.run("rollback", "--json")
    assert back.code == 0, back.err
    assert changed(solo, before) == {"web"}
    # A rollback keeps the values that run.
    assert shown(solo, "web") == {**web, "SIGNS": solo.value("key")}
    assert solo.inside("web", "cat /shared.conf") == "one\n"
    assert [line for line in lying(solo).splitlines() if "release.yml" not in line] == [
        line for line in files.splitlines() if "release.yml" not in line
    ]


def test_two_services_one_of_them_new_and_a_dependency_that_stays(solo: Project) -> None:
    before = solo.containers()
    cache = '  cache:\n    <<: *python\n    volumes: ["./conf/cache:/etc/cache:ro", "kept:/kept"]\nconfigs:'
    new = COMPOSE.replace("depends_on: [db]", "depends_on: [db, cache]").replace("\nconfigs:", f"\n{cache}")
    new = new.replace("environment: { LEVEL:", "environment: { MORE: x, LEVEL:").replace(
        "data: {}", "data: {}, kept: {}"
    )
    solo.write({"compose.yml": new, "conf/cache/c.conf": "cache\n"})
    refused = solo.deploy("--service", "web")
    assert refused.code == 3
    assert "web needs cache, which is not deployed yet" in refused.err
    assert "--service cache --service web" in refused.err
    assert solo.containers() == before
    done = solo.deploy("--service", "web", "--service", "cache")
    assert done.code == 0, done.err
    # Whether another `depends_on` makes another container is Compose's affair: 2.26 says so, later ones do not.
    assert changed(solo, before) - {"web"} == {"cache"}
    assert solo.inside("cache", "cat /etc/cache/c.conf") == "cache\n"
    both = solo.containers()
    needed = solo.deploy("--service", "db")
    assert needed.code == 0, needed.err
    assert changed(solo, both) == {"db"}
    assert solo.environment("db")["MORE"] == "x"
    both = solo.containers()
    whole = solo.deploy()
    assert whole.code == 0, whole.err
    # What is as the files say already is not made anew.
    assert changed(solo, both) == set()


def test_secrets_of_the_others_stay_and_a_shared_one_is_refused(solo: Project) -> None:
    before, other = solo.containers(), shown(solo, "other")
    for name in ("key", "other"):
        solo.renew(name)
    done = solo.deploy("--service", "web")
    assert done.code == 0, done.err
    assert changed(solo, before) == {"web"}
    assert shown(solo, "web")["SIGNS"] == solo.value("key")
    assert shown(solo, "other") == other
    running, old = solo.containers(), solo.renew("password")
    refused = solo.deploy("--service", "web")
    assert refused.code == 3
    assert "PASSWORD of web was changed, and db has it, too" in refused.err
    assert "--service db --service web" in refused.err
    assert solo.containers() == running
    both = solo.deploy("--service", "web", "--service", "db")
    assert both.code == 0, both.err
    assert changed(solo, running) == {"web", "db"}
    assert solo.inside("db", "cat /run/secrets/password") == solo.value("password") != old
