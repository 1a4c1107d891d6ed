"""The registry, an image, a migration or a file is bad: what ran before still runs, or runs again."""

import json
from pathlib import Path

import pytest

from .conftest import BACKEND, FIRST, SECOND, Run, command
from .faults import NO_DATABASE, Bench, Command, again, edit, until

full = pytest.mark.full

EXITS, NEVER_HEALTHY, DIES_LATER = "sha-000000a", "sha-000000b", "sha-000000d"
REVERTED = ["started", "failed", "reverted"]


@pytest.fixture
def impatient(checkout: Path) -> Path:
    """A checkout that waits for nothing longer than it must."""
    # The other probes may take their time on a busy machine.
    answers = 'json = { "status" = "ok", "database" = "ok" }'
    edit(checkout / "deploy.toml", f"{answers}\ntimeout = 60", f"{answers}\ntimeout = 10")
    edit(checkout / "deploy.toml", "healthy_timeout = 180", "healthy_timeout = 60")
    compose = checkout / "compose/docker-compose.core.yml"
    head, backend = compose.read_text().split("  backend:\n")
    backend = backend.replace("retries: 3\n      start_period: 30s", "retries: 2\n      start_period: 1s", 1)
    compose.write_text(f"{head}  backend:\n{backend}")
    return checkout


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    ("tag", "said"),
    [
        (EXITS, "backend is not healthy: it keeps crashing"),
        pytest.param(NEVER_HEALTHY, "backend is not healthy: its health check fails", marks=full),
        # The gateway sends nothing to one whose health has no answer in time.
        pytest.param(NO_DATABASE, "/api/v1/health answered HTTP 503, expected 200", marks=full),
    ],
)
def test_an_image_that_does_not_work(bench: Bench, deploy: Run, impatient: Path, tag: str, said: str) -> None:
    since, before = bench.count(), bench.core.containers()
    outcome = deploy("--tag", tag, root=impatient)
    assert outcome.code == 10, outcome.err
    assert said in outcome.err
    assert f"the host is back on {FIRST}" in outcome.err
    assert outcome.core["outcome"] == "reverted"
    assert bench.kinds(since) == REVERTED
    # What is not even healthy has nobody's place.
    assert tag == NO_DATABASE or bench.core.containers() == before
    bench.invariants(FIRST)
    assert again("deploy-core", "--tag", FIRST).core["outcome"] == "unchanged"


@full
@pytest.mark.usefixtures("broken")
def test_an_image_that_dies_while_the_rest_is_probed(bench: Bench, deploy: Run, checkout: Path) -> None:
    """It was healthy, and its own probe succeeded; the release is not proven all the same."""
    with (checkout / "deploy.toml").open("a") as file:
        file.write(
            '\n[[stacks.core.probes]]\nname = "slow"\nservice = "backend"\nlog = "Uvicorn running"\ntimeout = 60\n'
        )
    since = bench.count()
    outcome = deploy("--tag", DIES_LATER, root=checkout)
    assert outcome.code == 10, outcome.err
    assert "backend did not stay healthy" in outcome.err
    assert bench.kinds(since) == REVERTED
    bench.invariants(FIRST)


@pytest.mark.full
def test_a_release_that_fails_can_be_left_in_place(bench: Bench, deploy: Run, broken: None) -> None:
    since = bench.count()
    outcome = deploy("--tag", EXITS, "--no-rollback")
    assert outcome.code == 11, outcome.err
    assert "the failed release is left in place" in outcome.err
    assert "backend: what answered goes on" in outcome.err
    assert bench.kinds(since) == ["started", "failed"]
    # It is there to be looked at, and the one whose place it was to take has all requests.
    looked = command("invoke", "status", "--node", "core", "--json")
    assert (looked.code, looked.core["drift"][0]) == (12, "backend has 2 containers, and the release has 1")
    assert [looked.core["services"][name]["tag"] for name in ("backend", "backend-2")] == [FIRST, EXITS]
    assert bench.version() == FIRST
    before = bench.core.sh(f"docker inspect -f '{{{{.Id}}}} {{{{.Config.Image}}}}' {BACKEND} | grep {FIRST}")
    # Going back goes to what ran before it, not to what ran before that.
    assert again("rollback", "--node", "core").core["to"] == FIRST
    assert bench.core.containers()["backend"] == before.split()[0]
    bench.invariants(FIRST)


@full
def test_after_a_failure_that_was_left_another_deployment_succeeds(
    bench: Bench, deploy: Run, broken: None
) -> None:
    assert deploy("--tag", EXITS, "--no-rollback").code == 11
    assert deploy("--tag", EXITS).code == 10
    bench.invariants(FIRST)
    again("deploy-core", "--tag", SECOND)
    bench.invariants(SECOND)


def test_a_registry_that_goes_away(bench: Bench, deploy: Run) -> None:
    """Before the pull: a preflight that fails, and what runs is confirmed without it; during the pull: nothing changes."""
    since = bench.count()
    bench.forget()
    with bench.stuck("pull --quiet"):
        command = Command("deploy-core", "--tag", SECOND)
        bench.reached()
        with bench.stopped("registry"):
            bench.release()
            assert command.end() == 10, command.said
            assert "what ran before still runs" in command.said
            outcome = deploy("--tag", SECOND)
            assert outcome.code == 3, outcome.err
            assert f"ktrdr-backend:{SECOND}" in outcome.err
            assert deploy("--tag", FIRST).core["outcome"] == "unchanged"
    assert bench.kinds(since) == ["aborted"]
    bench.invariants(FIRST)
    again("deploy-core", "--tag", SECOND)


@full
def test_a_registry_that_refuses_the_login(bench: Bench, deploy: Run, checkout: Path) -> None:
    bench.forget()
    fields = json.loads(bench.core.lab.secrets.read_text())
    wrong = "no token of this registry"
    (checkout / "secrets.json").write_text(json.dumps({**fields, "ghcr_token": wrong}))
    edit(checkout / "deploy.toml", 'path = ".lab/secrets.json"', 'path = "secrets.json"')
    (checkout / "secrets.json").chmod(0o600)
    outcome = deploy("--tag", SECOND, root=checkout)
    assert outcome.code == 3, outcome.err
    assert "read:packages" in outcome.err
    assert wrong not in outcome.err
    bench.invariants(FIRST)
    again("deploy-core", "--tag", SECOND)


@full
def test_a_token_that_is_revoked_after_the_preflight(bench: Bench) -> None:
    bench.forget()
    since = bench.count()
    users = bench.core.lab.directory / "registry/htpasswd"
    known = users.read_text()
    with bench.stuck("login --username"):
        command = Command("deploy-core", "--tag", SECOND)
        bench.reached()
        users.write_text(f"another-{known}")
        try:
            bench.release()
            assert command.end() == 10, command.said
        finally:
            users.write_text(known)
    assert "the login at registry.ktrdr.internal:5443 failed" in command.said
    assert "401 Unauthorized" in command.said
    assert "what ran before still runs" in command.said
    assert bench.kinds(since) == ["aborted"]
    bench.invariants(FIRST)
    again("deploy-core", "--tag", SECOND)


# --- migrations -------------------------------------------------------------------------------------------------

CONNECT = (
    "import os, psycopg; e = os.environ; c = psycopg.connect(host=e['DB_HOST'], dbname=e['DB_NAME'], "
    "user=e['DB_USER'], password=e['DB_PASSWORD'], autocommit=True); "
)


def migrate(checkout: Path, code: str, timeout: int = 60) -> None:
    """Gives the core stack a command that runs before each switch to another backend image."""
    argument = json.dumps(["python", "-c", code])
    edit(
        checkout / "deploy.toml",
        "keep_releases = 5",
        f'keep_releases = 5\nbefore_switch = [{{ service = "backend", command = {argument}, timeout = {timeout} }}]',
    )


def test_a_migration_that_fails_stops_before_anything_is_switched(
    bench: Bench, deploy: Run, checkout: Path
) -> None:
    before, since = bench.core.containers(), bench.count()
    migrate(checkout, "import sys; print('no such column', file=sys.stderr); sys.exit(3)")
    outcome = deploy("--tag", SECOND, root=checkout)
    assert outcome.code == 10, outcome.err
    assert "no such column" in outcome.err
    assert bench.core.containers() == before
    assert bench.kinds(since) == ["backup", *REVERTED]
    bench.invariants(FIRST)
    again("deploy-core", "--tag", SECOND)


@full
def test_a_migration_comes_before_the_new_release_and_is_not_undone(
    bench: Bench, deploy: Run, checkout: Path, broken: None
) -> None:
    migrate(checkout, CONNECT + "c.execute('ALTER TABLE fault ADD COLUMN IF NOT EXISTS added int DEFAULT 7')")
    outcome = deploy("--tag", EXITS, root=checkout)
    assert outcome.code == 10, outcome.err
    assert "7" in bench.core.sql("SELECT added FROM fault")
    bench.invariants(FIRST)
    assert deploy("--tag", SECOND, root=checkout).code == 0


@full
def test_a_migration_that_hangs_is_ended(bench: Bench, deploy: Run, checkout: Path) -> None:
    migrate(
        checkout, "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)", 5
    )
    outcome = deploy("--tag", SECOND, root=checkout)
    assert outcome.code == 10, outcome.err
    bench.invariants(FIRST)


@full
def test_a_command_that_is_killed_during_a_migration(bench: Bench, checkout: Path) -> None:
    """The migration ends in peace; then the host goes back."""
    migrate(
        checkout,
        CONNECT
        + "import time; time.sleep(5); c.execute('ALTER TABLE fault ADD COLUMN migrated int DEFAULT 7')",
    )
    command = Command("deploy-core", "--tag", SECOND, root=checkout)
    one_off = "docker ps -q --filter name=ktrdr-core-before-switch"
    until(lambda: bench.core.sh(one_off), "the migration did not begin")
    command.process.kill()
    command.end()
    bench.invariants(FIRST)
    assert "7" in bench.core.sql("SELECT migrated FROM fault")
    again("deploy-core", "--tag", SECOND)


@full
def test_the_engine_is_restarted_during_a_migration(bench: Bench, checkout: Path) -> None:
    """Compose cannot remove the command's container then, and nor can the script that called it."""
    since = bench.count()
    migrate(checkout, "import time; time.sleep(600)", 120)
    command = Command("deploy-core", "--tag", SECOND, root=checkout)
    one_off = "docker ps -q --filter name=ktrdr-core-before-switch"
    until(lambda: bench.core.sh(one_off), "the migration did not begin")
    bench.restart_engine()
    assert command.end() == 10, command.said
    assert bench.kinds(since) == ["backup", *REVERTED]
    bench.invariants(FIRST)
    again("deploy-core", "--tag", SECOND)


# --- configuration ------------------------------------------------------------------------------------------------


@full
def test_a_compose_file_that_compose_refuses(bench: Bench, deploy: Run, checkout: Path) -> None:
    edit(checkout / "compose/docker-compose.core.yml", "  db:\n", "  db:\n    no_such_key: 1\n")
    before = bench.core.containers()
    outcome = deploy("--tag", SECOND, root=checkout)
    assert outcome.code == 3, outcome.err
    assert "no_such_key" in outcome.err
    assert bench.core.containers() == before
    bench.invariants(FIRST)


@full
def test_a_configuration_that_its_service_refuses(bench: Bench, deploy: Run, checkout: Path) -> None:
    """Prometheus would keep the old one on a signal and look healthy; it is asked first."""
    rules = checkout / "monitoring/prometheus/rules/ktrdr.yml"
    rules.write_text(rules.read_text() + "      - alert: [this is not a rule\n")
    before = bench.core.containers()
    since = bench.count()
    outcome = deploy("--tag", FIRST, root=checkout)
    assert outcome.code == 10, outcome.err
    assert bench.kinds(since) == REVERTED
    assert bench.core.containers() == before
    loaded = json.dumps(bench.get(9090, "/api/v1/rules"))
    assert "TargetDown" in loaded
    bench.invariants(FIRST)
