"""Faults where there is no release to go back to: an empty host, and a project that nobody recorded."""

import json

import pytest

from .conftest import BACKEND, FIRST, SECOND, Run
from .faults import HOME, Bench, Command, again

full = pytest.mark.full

EXITS = "sha-000000a"


@pytest.fixture
def empty(bench: Bench) -> Bench:
    """A host on which nothing was deployed yet, but whose volumes are there."""
    bench.core.sh(
        "docker ps -aq --filter label=com.docker.compose.project=ktrdr-core | xargs docker rm -f; "
        f"docker network rm ktrdr-core_default; find {HOME} -mindepth 1 -maxdepth 1 ! -name targets -exec rm -rf {{}} +"
    )
    return bench


def is_empty(bench: Bench) -> bool:
    files = bench.core.sh(
        f"find {HOME} -type f ! -path '*/.deploy/*' ! -path '*/targets/*' ! -path '*/deploy-metrics/*'"
    )
    return not bench.running() and not files


@pytest.mark.usefixtures("broken")
def test_a_first_deployment_that_fails_leaves_no_half_stack(empty: Bench, deploy: Run) -> None:
    volumes = empty.core.sh("docker volume ls -q")
    outcome = deploy("--tag", EXITS)
    assert outcome.code == 10, outcome.err
    assert "empty again" in outcome.err
    assert empty.kinds(0) == ["started", "failed", "reverted"]
    assert is_empty(empty)
    assert empty.core.sh("docker volume ls -q") == volumes
    assert "ktrdr-core" not in empty.core.sh("docker network ls")
    empty.clean()
    assert again("deploy-core", "--tag", FIRST).core["outcome"] == "deployed"
    empty.invariants(FIRST)


@full
def test_a_first_deployment_that_is_killed_leaves_no_half_stack(empty: Bench) -> None:
    command = Command("deploy-core", "--tag", SECOND)
    command.until(" healthy ")
    command.process.kill()
    command.end()
    empty.settle()
    assert empty.kinds(0) == ["started", "reverted"]
    assert is_empty(empty)
    again("deploy-core", "--tag", FIRST)
    empty.invariants(FIRST)


@full
@pytest.mark.usefixtures("broken")
def test_a_first_deployment_that_a_reboot_interrupted_is_no_project_to_adopt(
    empty: Bench, deploy: Run
) -> None:
    command = Command("deploy-core", "--tag", SECOND)
    command.until(" healthy ")
    with command.frozen():
        empty.reboot()
    command.end()
    assert empty.kinds(0) == ["started"]
    outcome = deploy("--tag", EXITS)
    assert outcome.code == 10, outcome.err
    assert "adopted" not in empty.kinds(0)
    assert is_empty(empty)
    again("deploy-core", "--tag", FIRST)
    empty.invariants(FIRST)


@full
@pytest.mark.usefixtures("broken")
def test_an_unrecorded_project_is_given_back(bench: Bench, deploy: Run) -> None:
    before = bench.core.containers()
    bench.core.sh(f"rm {HOME}/.deploy/history.jsonl")
    outcome = deploy("--tag", EXITS)
    assert outcome.code == 10, outcome.err
    assert bench.kinds(0) == ["adopted", "started", "failed", "reverted"]
    assert bench.core.containers() == before
    bench.invariants(FIRST)
    again("deploy-core", "--tag", SECOND)
    bench.invariants(SECOND)
    # What was adopted can be gone back to.
    assert again("rollback", "--node", "core").core["to"] == FIRST


@full
@pytest.mark.usefixtures("broken")
def test_a_project_that_something_else_deployed_is_given_back(bench: Bench, deploy: Run) -> None:
    """Started by hand, from tags and its own files, without a word of this program on the host."""
    bench.core.sh(f"cd {HOME} && rm -rf .deploy release.yml release.env")
    fields = json.loads(bench.core.lab.secrets.read_text())
    exports = "".join(
        f"export {name}='{fields[field]}'\n"
        for name, field in {
            "DB_USER": "db_username",
            "DB_PASSWORD": "db_password",
            "JWT_SECRET": "jwt_secret",
            "GF_ADMIN_PASSWORD": "grafana_password",
        }.items()
    )
    image = "registry.ktrdr.internal:5443/ktrdr"
    bench.core.sh(
        f"{exports}cd {HOME} && id=$(docker inspect -f '{{{{.Image}}}}' {BACKEND}) && "
        f"nfs=$(docker inspect -f '{{{{.Image}}}}' ktrdr-core-nfs-server-1) && "
        f"gate=$(docker inspect -f '{{{{.Image}}}}' ktrdr-core-gateway-1) && docker tag $gate {image}/ktrdr-gateway:3.0-1 && "
        f"docker tag $id {image}/ktrdr-backend:{FIRST} && docker tag $nfs {image}/ktrdr-nfs-server:6.5-1 && "
        f"IMAGE_REGISTRY={image} IMAGE_TAG={FIRST} "
        "docker compose -f docker-compose.core.yml --env-file .env.core up -d --pull missing 2>&1"
    )
    outcome = deploy("--tag", EXITS)
    assert outcome.code == 10, outcome.err
    assert bench.kinds(0) == ["adopted", "started", "failed", "reverted"]
    assert bench.healthy()
    assert bench.version() == FIRST
    again("deploy-core", "--tag", FIRST)
    bench.invariants(FIRST)
