"""What a message advises is done word for word, in the very state in which it is printed, and works."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from lab.layout import Lab

from .conftest import Outcome
from .projects import HOST, TASKS, Project, project
from .test_adoption import HASTE, engine_off

IDLE = "image: python:3.13-slim-trixie, command: [sleep, infinity], stop_grace_period: 0s"
OLD = f'services:\n  app: {{ {IDLE}, volumes: ["rows:/rows"] }}\nvolumes: {{ rows: {{}} }}\n'
NEW = OLD.replace("app: {", "app: { environment: { A: b },")

STACK = """\
[stacks.told]
compose = "compose.yml"
project = "told"
healthy_timeout = 60
"""

NEVER = """
[[stacks.told.probes]]
name = "never"
service = "app"
log = "this line never comes"
timeout = 1
"""


@pytest.fixture
def told(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project(lab, tmp_path_factory.mktemp("told"), "told") as made:
        made.write({"compose.yml": NEW})
        made.configure(STACK)
        yield made


def by_hand(made: Project, options: str = "", text: str = OLD) -> dict[str, str]:
    """Starts it as people do, with a row, and gives the ids of its containers."""
    made.given(text, "mkdir -p /opt/told && cat > /opt/told/docker-compose.yml")
    made.sh(f"cd /opt/told && docker compose {options} up -d --quiet-pull 2>&1")
    made.sh(
        "docker exec $(docker ps -q --filter label=com.docker.compose.service=app) sh -c 'echo a row > /rows/row'"
    )
    return made.containers()


def advised(done: Outcome, pattern: str) -> str:
    """The part of an error's advice that a pattern's group finds."""
    found = re.search(pattern, "".join(line for line in done.err.splitlines(keepends=True) if "->" in line))
    assert found, done.err
    return found[1]


def asked_by(made: Project, words: str) -> Outcome:
    """Runs a command of the project as it is printed."""
    program, *rest = words.split()
    assert program == "invoke", words
    return made.run(*rest)


def test_each_way_on_where_the_files_are_gone_that_it_was_started_from(told: Project) -> None:
    by_hand(told)
    told.sh("mv /opt/told/docker-compose.yml /opt/told/gone")
    refused = told.deploy()
    assert refused.code == 3
    told.sh("mv /opt/told/gone /opt/told/docker-compose.yml")
    assert "bring these files back as they were" in refused.err
    assert told.deploy("--dry-run").code == 0
    told.sh("rm /opt/told/docker-compose.yml")
    option = advised(refused, r"without a way back: (--no-rollback);")
    done = told.deploy(option)
    assert done.code == 0, done.err
    assert told.inside("app", "cat /rows/row") == "a row\n"


def test_what_is_taken_down_as_advised_keeps_its_volumes_and_is_deployed(told: Project) -> None:
    by_hand(told)
    told.sh("rm /opt/told/docker-compose.yml")
    refused = told.deploy()
    assert refused.code == 3
    told.sh(advised(refused, r"keeps its volumes: (docker compose .*)"))
    assert not told.containers()
    done = told.deploy()
    assert done.code == 0, done.err
    assert told.inside("app", "cat /rows/row") == "a row\n"


def test_a_release_that_was_left_in_place_goes_back_to_what_somebody_had_started(told: Project) -> None:
    by_hand(told)
    told.configure(STACK + NEVER)
    done = told.deploy("--no-rollback")
    assert done.code == 11
    assert told.environment("app").get("A") == "b"
    back = asked_by(told, advised(done, r"-> (invoke rollback .*) goes back, or deploy another tag"))
    assert back.code == 0, back.err
    assert "A" not in told.environment("app")
    assert told.inside("app", "cat /rows/row") == "a row\n"


def test_what_is_paused_or_was_stopped_by_hand_is_as_the_message_says(told: Project) -> None:
    two = OLD.replace("services:\n", f"services:\n  side: {{ {IDLE} }}\n")
    before = by_hand(told, text=two)
    told.write(
        {
            "compose.yml": two.replace("app: {", "app: { environment: { A: b },").replace(
                "side: {", "side: { environment: { A: b },"
            )
        }
    )
    told.configure(STACK + NEVER)
    told.sh("docker pause told-side-1")
    refused = told.deploy()
    assert refused.code == 3
    assert told.containers() == before
    told.sh(advised(refused, r"on the host: (docker unpause [\w-]+);"))
    told.sh("docker stop told-side-1")
    assert told.deploy().code == 10
    assert told.inspected("side")["State"]["Status"] == "created"
    assert "A" not in told.environment("side")
    assert told.inspected("app")["State"]["Status"] == "running"


def test_a_project_of_another_name_in_the_directory_is_adopted_with_the_line_that_is_given(
    told: Project,
) -> None:
    before = by_hand(told, "-p another")
    assert not before
    refused = told.deploy()
    assert refused.code == 3
    line = advised(refused, r'put (project = "another") into the node here of deploy.toml')
    path = told.root / "deploy.toml"
    path.write_text(path.read_text().replace('directory = "/opt/told"', f'directory = "/opt/told"\n{line}'))
    done = told.deploy()
    told.name = "another"
    try:
        assert done.code == 0, done.err
        assert told.inside("app", "cat /rows/row") == "a row\n"
    finally:
        told.remove()
        told.name = "told"


def test_what_holds_a_name_and_is_of_no_project_makes_room_as_advised(told: Project) -> None:
    told.sh("docker run -d --name told-own python:3.13-slim-trixie sleep 600")
    told.write({"compose.yml": NEW.replace("app: {", "app: { container_name: told-own,")})
    try:
        refused = told.deploy()
        assert refused.code == 3
        assert "has the container told-own" in refused.err
        told.sh(advised(refused, r"(docker rm -f) NAME") + " told-own")
        assert told.deploy().code == 0
    finally:
        told.sh("docker rm -f told-own", check=False)


def test_each_way_on_that_the_guard_gives(told: Project) -> None:
    mounts = 'volumes: ["rows:/rows", "./here:/here"]'
    told.write({"compose.yml": NEW.replace('volumes: ["rows:/rows"]', mounts)})
    told.configure(STACK + 'data = ["here"]\n')
    told.sh("mkdir -p /opt/told/here")
    assert told.deploy().code == 0
    told.inside("app", "echo a row > /rows/row; echo a row > /here/row")
    before = told.containers()
    moved = NEW.replace('volumes: ["rows:/rows"]', 'volumes: ["others:/rows", "/opt/told-not-there:/more"]')
    moved = moved.replace("rows: {}", "others: {}")
    told.write({"compose.yml": moved})
    refused = told.deploy("--dry-run")
    assert refused.code == 3
    name = advised(refused, r"\(with (name: told_rows) below volumes:")
    make = advised(refused, r"or make it: (mkdir -p /opt/told-not-there)")
    again = advised(refused, r"mount it at (/here) again")
    try:
        told.sh(make)
        mended = moved.replace("others: {}", f"others: {{ {name} }}").replace(
            ":/more", f':/more", "./here:{again}'
        )
        told.write({"compose.yml": mended})
        assert (done := told.deploy()).code == 0, done.err
        assert told.containers() != before
        assert told.inside("app", "cat /rows/row /here/row") == "a row\na row\n"
        told.write({"compose.yml": mended.replace(f', "./here:{again}"', "")})
        refused = told.deploy()
        assert refused.code == 3
        accept = advised(refused, r"or accept it: (accept_loss = .*) in \[stacks.told\]")
        told.configure(f'{STACK}data = ["here"]\n{accept}\n')
        assert (done := told.deploy()).code == 0, done.err
        assert told.sh("cat /opt/told/here/row") == "a row\n"
    finally:
        told.sh("rm -rf /opt/told-not-there")


@pytest.mark.full
def test_a_first_deployment_that_cannot_be_taken_down_is_deployed_again_as_advised(told: Project) -> None:
    told.configure(STACK + NEVER.replace("timeout = 1", "timeout = 5"))
    told.write({"tasks.py": TASKS + HASTE, "compose.yml": NEW.replace("0s", "8s")})
    process = told.start("deploy-told")
    assert process.stderr is not None
    assert any(line.split()[:2] == ["here", "back"] for line in process.stderr)
    with engine_off(told):
        _, err = process.communicate(timeout=120)
    assert process.returncode == 11, err
    done = Outcome(11, "", err)
    assert f"make Docker answer on {HOST} first" in err
    told.configure(STACK)
    again = asked_by(told, advised(done, r"then mend the cause, and deploy again: (invoke .*)"))
    assert again.code == 0, again.err
