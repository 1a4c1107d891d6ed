"""Secrets that change: in the containers, in PostgreSQL and in Grafana, and on no disk where the stack asks for that."""

import base64
import contextlib
import os
import secrets
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import docker as build
from lab import hosts
from lab.layout import Lab

from .changes import await_seen
from .conftest import BACKEND, FIRST, ROOT, Host, Run, Vault, command, environment, rotate

Get = Callable[[int, str], Any]
NASTY = 'it\'s "$HOME" `id` \\ é\n%'


def until(true: Callable[[], Any], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


@pytest.fixture
def database(lab: Lab) -> Callable[[str], bool]:
    """Whether PostgreSQL takes a password, over TCP."""

    def takes(password: str) -> bool:
        login = 'PGPASSWORD=$(cat) exec psql -wh "$(hostname -i)" -U ktrdr -d ktrdr -c "SELECT 1"'
        inside = ("docker", "exec", "-i", "ktrdr-core-db-1", "sh", "-c", login)
        said = hosts.execute(lab, "core", *inside, stdin=password.encode(), check=False)
        return "1 row" in said

    return takes


@pytest.fixture
def dashboard(lab: Lab) -> Callable[[str], bool]:
    """Whether Grafana takes its admin's password."""

    def takes(password: str) -> bool:
        login = base64.b64encode(f"admin:{password}".encode()).decode()
        request = urllib.request.Request(
            lab.url("core", 3000) + "/api/org", headers={"Authorization": f"Basic {login}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10):
                return True
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
            return False

    return takes


Takes = Callable[[str], bool]


def replaced(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert set(before) == set(after)
    return {name for name, container in before.items() if after[name] != container}


def test_what_was_changed_in_the_vault_is_changed_where_it_is_kept(
    vault: Vault, core: Host, get: Get, database: Takes, dashboard: Takes
) -> None:
    before = core.containers()
    old = vault.change("db_password", prefix=NASTY) | vault.change("grafana_password", prefix="it's \" é ")
    planned = rotate("--dry-run")
    assert planned.code == 0, planned.err
    assert set(planned.core["plan"]["applies"]) == {"DB_PASSWORD", "GF_ADMIN_PASSWORD"}
    assert core.containers() == before
    outcome = rotate()
    assert outcome.code == 0, outcome.err
    assert outcome.core["outcome"] == "deployed"
    assert replaced(before, core.containers()) == {"db", "backend", "grafana"}
    assert database(vault.fields["db_password"])
    assert not database(old["db_password"])
    assert dashboard(vault.fields["grafana_password"])
    assert not dashboard(old["grafana_password"])
    health = get(8000, "/api/v1/health")
    assert (health["database"], health["version"]) == ("ok", FIRST)
    written = core.sh("docker logs ktrdr-core-db-1 2>&1; cat /opt/ktrdr-core/.deploy/switch.log")
    assert "SCRAM-SHA-256" not in written
    assert "ALTER ROLE" not in written

    settled, events = core.containers(), len(core.kinds())
    again = rotate()
    assert again.code == 0
    assert again.core["outcome"] == "unchanged"
    assert "nothing to rotate" in again.err
    assert (core.containers(), len(core.kinds())) == (settled, events)


@pytest.mark.full
def test_programs_that_were_stopped_are_started_to_take_the_change(
    vault: Vault, core: Host, get: Get, database: Takes, dashboard: Takes
) -> None:
    """As a host leaves them that went down while Compose replaced them."""
    old = vault.change("db_password") | vault.change("grafana_password")
    core.sh("docker stop ktrdr-core-grafana-1 ktrdr-core-db-1")
    outcome = rotate()
    assert outcome.code == 0, outcome.err
    assert database(vault.fields["db_password"])
    assert not database(old["db_password"])
    assert dashboard(vault.fields["grafana_password"])
    assert get(8000, "/api/v1/health")["database"] == "ok"


def test_a_plain_deployment_stops_before_it_changes_anything(
    vault: Vault, deploy: Run, core: Host, database: Takes
) -> None:
    old = vault.change("db_password")
    before = core.state()
    for arguments in ([], ["--service", "prometheus"], ["--skip-validation"], ["--dry-run"]):
        outcome = deploy("--tag", FIRST, *arguments)
        assert outcome.code == 3, outcome.err
        assert "DB_PASSWORD" in outcome.err
        assert "invoke rotate-secrets" in outcome.err
    assert core.state() == before
    assert database(old["db_password"])


def test_a_role_s_name_cannot_be_changed(vault: Vault, core: Host) -> None:
    before = core.state()
    vault.change("db_username")
    outcome = rotate()
    assert outcome.code == 3
    assert "DB_USER was changed" in outcome.err
    assert "cannot be changed" in outcome.err
    assert core.state() == before


def test_what_others_use_is_not_changed_without_them(vault: Vault, core: Host) -> None:
    before = core.state()
    vault.change("db_password")
    outcome = rotate("--node", "core")
    assert outcome.code == 3
    assert "is also used on B, C" in outcome.err
    assert core.state() == before


@pytest.mark.full
def test_a_secret_that_is_read_at_each_start_needs_no_rotation(vault: Vault, deploy: Run, core: Host) -> None:
    before = core.containers()
    vault.change("jwt_secret", prefix=NASTY)
    outcome = deploy("--tag", FIRST)
    assert outcome.code == 0, outcome.err
    assert replaced(before, core.containers()) == {"backend"}
    inside = core.sh(f"docker exec {BACKEND} cat /run/secrets/jwt_secret")
    assert inside == vault.fields["jwt_secret"]


@pytest.mark.full
@pytest.mark.takes(40)
def test_a_server_that_still_takes_the_old_password_is_noticed_and_all_goes_back(
    vault: Vault, core: Host, get: Get, database: Takes, dashboard: Takes
) -> None:
    hba = "/var/lib/postgresql/data/pg_hba.conf"
    inside = "docker exec ktrdr-core-db-1 sh -c"
    core.sh(f"{inside} 'cp {hba} {hba}.kept && echo \"host all all all trust\" > {hba}.new'")
    core.sh(f"{inside} 'cat {hba}.kept >> {hba}.new && cat {hba}.new > {hba}'")
    core.sql("SELECT pg_reload_conf()")
    try:
        until(lambda: database("no password"), 10, "PostgreSQL does not read its rules")
        old = vault.change("db_password", "grafana_password")
        outcome = rotate()
        assert outcome.code == 10, outcome.err
        assert "db still takes the old DB_PASSWORD" in outcome.err
        assert outcome.core["outcome"] == "reverted"
    finally:
        core.sh(f"{inside} 'cat {hba}.kept > {hba} && rm {hba}.kept {hba}.new'")
        core.sql("SELECT pg_reload_conf()")
    until(lambda: not database(vault.fields["db_password"]), 10, "PostgreSQL does not read its rules again")
    assert database(old["db_password"])
    assert dashboard(old["grafana_password"])
    assert not dashboard(vault.fields["grafana_password"])
    assert core.kinds()[-3:] == ["started", "failed", "reverted"]
    assert get(8000, "/api/v1/health")["database"] == "ok"


def test_a_rotation_whose_owner_is_killed_is_taken_back_by_the_host_itself(
    vault: Vault, core: Host, get: Get, database: Takes
) -> None:
    old = vault.change("db_password")
    process = subprocess.Popen(
        ["invoke", "rotate-secrets"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert any(" switch " in line for line in process.stderr)
    until(lambda: database(vault.fields["db_password"]), 60, "it was not applied")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until(lambda: core.kinds()[-1] in ("reverted", "failed"), 120, "the host does not go back")
    assert core.kinds()[-1] == "reverted"
    assert database(old["db_password"])
    assert not database(vault.fields["db_password"])

    def answers() -> bool:
        # The backend has just been started again, too.
        with contextlib.suppress(OSError):
            return bool(get(8000, "/api/v1/health")["database"] == "ok")
        return False

    until(answers, 60, "the backend has no database")


@pytest.fixture
def in_memory(checkout: Path, vault: Vault, deploy: Run) -> Path:
    """A checkout whose core stack has its secrets in memory, deployed."""
    file = checkout / "deploy.toml"
    file.write_text(file.read_text().replace("[stacks.core]\n", '[stacks.core]\ndelivery = "memory"\n'))
    outcome = deploy("--tag", FIRST, root=checkout)
    assert outcome.code == 0, outcome.err
    return checkout


FILES = "/run/ktrdr-secrets/ktrdr-core"


def on_disk(core: Host, values: list[str]) -> list[str]:
    """The files of the host that have one of these in them, wherever they are, Docker's own among them."""
    lines = [line for value in values for line in value.splitlines() if len(line) > 8]
    forms = [*lines, *(base64.b64encode(value.encode()).decode() for value in values)]
    where = "grep -rlaFsf - / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev --exclude-dir=run; true"
    return hosts.execute(core.lab, "core", "sh", "-c", where, stdin="\n".join(forms).encode()).split()


@pytest.mark.full
@pytest.mark.takes(35)
def test_in_memory_no_disk_ever_has_a_secret_and_going_back_works(
    vault: Vault, core: Host, deploy: Run, get: Get, database: Takes, in_memory: Path
) -> None:
    def values() -> list[str]:
        return [value for name, value in vault.fields.items() if name not in ("db_username", "ghcr_token")]

    planted = secrets.token_urlsafe(24)
    core.sh(f"echo {planted} > /var/lib/docker/planted")
    assert on_disk(core, [planted]) == ["/var/lib/docker/planted"]
    core.sh("rm /var/lib/docker/planted")
    assert on_disk(core, values()) == []
    assert core.sh(f"stat -c %a {FILES} {FILES}/..").split() == ["700", "700"]
    assert deploy("--tag", FIRST, root=in_memory).core["outcome"] == "unchanged"

    old = vault.change("db_password", "jwt_secret", prefix=NASTY)
    everything = [*values(), *old.values()]
    outcome = rotate(root=in_memory)
    assert outcome.code == 0, outcome.err
    assert database(vault.fields["db_password"])
    assert not database(old["db_password"])
    assert on_disk(core, everything) == []

    # A release that fails goes back to the values of before, in the files and in the containers.
    kept = vault.change("jwt_secret")
    everything.append(vault.fields["jwt_secret"])
    file = in_memory / "compose/docker-compose.core.yml"
    file.write_text(file.read_text().replace("  backend:\n", '  backend:\n    command: ["false"]\n'))
    outcome = deploy("--tag", FIRST, root=in_memory)
    assert outcome.code == 10, outcome.err
    inside = core.sh(f"docker exec {BACKEND} cat /run/secrets/jwt_secret")
    assert inside == core.sh(f"cat {FILES}/JWT_SECRET") == kept["jwt_secret"]
    assert on_disk(core, everything) == []


@pytest.mark.full
def test_in_memory_a_reboot_takes_the_secrets_and_a_deployment_brings_them_back(
    core: Host, lab: Lab, deploy: Run, get: Get, in_memory: Path
) -> None:
    build.run("restart", lab.container("core"))
    hosts.await_ready(lab)
    # Its Engine answers before it has given up on each of them.
    exited = '[ -z "$(docker ps -q --filter name=ktrdr-core-backend)" ]'
    await_seen(core.sh, exited, "it runs without its secrets")
    status = command("invoke", "status", "--node", "core", "--json", root=in_memory)
    assert status.code == 12, status.err
    assert "no longer in memory" in " ".join(status.core["drift"])
    assert status.core["services"]["backend"]["state"] == "exited"
    rollback = command("invoke", "rollback", "--node", "core", "--json", root=in_memory)
    assert rollback.code in (3, 10), rollback.err
    outcome = deploy("--tag", FIRST, root=in_memory)
    assert outcome.code == 0, outcome.err
    assert get(8000, "/api/v1/health")["database"] == "ok"

    # And by the other way of delivery nothing of this one is left.
    outcome = deploy("--tag", FIRST)
    assert outcome.code == 0, outcome.err
    assert core.sh("ls -d /run/ktrdr-secrets /dev/shm/ktrdr-secrets 2>/dev/null; true") == ""
    mounts = core.sh("docker inspect -f '{{json .HostConfig.Mounts}}' $(docker ps -q)")
    assert "ktrdr-secrets" not in mounts
    assert get(8000, "/api/v1/health")["database"] == "ok"
