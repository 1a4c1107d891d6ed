"""Backups around a deployment: made before a migration, put back after one that destroyed a table, and never half of either."""

import re
import signal
from pathlib import Path

import pytest

from .changes import until
from .conftest import FIRST, SECOND, Run, command
from .faults import HOME, Bench, Command, edit
from .test_faults_images import CONNECT, migrate

LISTED = f"ls {HOME}/.deploy/backups; true"
NAME = re.compile(r"\d{8}T\d{6}Z-database-[0-9a-f]{4}\.(data|json)")


def tables(bench: Bench) -> str:
    return bench.core.sql("SELECT count(*) FROM pg_tables WHERE tablename = 'fault'").strip()


def whole(bench: Bench) -> None:
    """Backups are files of their own, whole, and nobody else's to read."""
    names = bench.core.sh(LISTED).split()
    assert names
    assert all(NAME.fullmatch(name) for name in names), names
    modes = bench.core.sh(f"stat -c '%a %U' {HOME}/.deploy/backups {HOME}/.deploy/backups/*").splitlines()
    assert modes == ["700 root"] + ["600 root"] * len(names)
    for backup in command("invoke", "backups", "--node", "core", "--json").core["backups"]:
        assert backup["whole"]
        found = bench.core.sh(f"sha256sum < {HOME}/.deploy/backups/{backup['id']}.data")
        assert found.split()[0] == backup["sha256"]


def test_a_migration_that_destroys_a_table_and_a_restore(bench: Bench, deploy: Run, checkout: Path) -> None:
    since = bench.count()
    migrate(checkout, CONNECT + "c.execute('DROP TABLE fault'); raise SystemExit('half way')")
    failed = deploy("--tag", SECOND, root=checkout)
    assert failed.code == 10, failed.err
    assert tables(bench) == "0"
    (made,) = failed.core["backups"]
    typed = f"invoke restore --node core --backup {made['id']}"
    assert typed in failed.core["error"]
    restored = command(*typed.split(), "--json")
    assert restored.code == 0, restored.err
    assert restored.core["outcome"] == "restored"
    assert bench.core.sql("SELECT word FROM fault").strip() == "before the fault"
    assert bench.kinds(since) == [
        "backup",
        "started",
        "failed",
        "reverted",
        "backup",
        "restoring",
        "restored",
    ]
    # What a rename of the database would have ended.
    jobs = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'TimescaleDB%Scheduler'"
    until(lambda: bench.core.sql(jobs).strip() == "1", "TimescaleDB's jobs do not run")
    whole(bench)
    assert command("invoke", "status", "--node", "core").code == 0
    refuses_what_was_changed(bench, made["id"])


def refuses_what_was_changed(bench: Bench, backup: str) -> None:
    since, ran = bench.count(), bench.core.containers()
    path = f"{HOME}/.deploy/backups/{backup}.data"
    bench.core.sh(f"printf x | dd of={path} bs=1 seek=100 conv=notrunc")
    refused = command("invoke", "restore", "--node", "core", "--backup", backup, "--json")
    assert refused.code == 3, refused.err
    assert "is not as it was when it was made" in refused.err
    assert (bench.kinds(since), bench.core.containers()) == ([], ran)
    bench.core.sh(f"rm {path}")
    listed = command("invoke", "backups", "--node", "core", COLUMNS="80")
    assert "DAMAGED" in listed.out
    assert max(len(line) for line in listed.out.splitlines()) <= 80
    bench.core.sh(f"rm {HOME}/.deploy/backups/{backup}.json")


def test_what_cannot_be_backed_up_is_not_switched(bench: Bench, deploy: Run, checkout: Path) -> None:
    before, since, files = bench.core.containers(), bench.count(), bench.core.sh(LISTED)
    migrate(checkout, "pass")
    edit(checkout / "deploy.toml", "'exec pg_dump", "'echo half; echo no such disk >&2; exit 3; exec pg_dump")
    outcome = deploy("--tag", SECOND, root=checkout)
    assert outcome.code == 10, outcome.err
    assert "no such disk" in outcome.err
    assert outcome.core["outcome"] == "untouched"
    assert bench.core.containers() == before
    assert bench.kinds(since) == ["aborted"]
    assert bench.core.sh(LISTED) == files


@pytest.mark.full
def test_a_restore_whose_session_is_lost_is_undone(bench: Bench) -> None:
    made = command("invoke", "backup", "--node", "core", "--json")
    assert made.code == 0, made.err
    (backup,) = made.core["backups"]
    bench.core.sql("DELETE FROM fault; INSERT INTO fault VALUES ('before the fault, and after the backup')")
    since = bench.count()
    with bench.stuck("sh -euc"):
        restore = Command("restore", "--node", "core", "--backup", backup["id"])
        bench.reached()
        restore.process.kill()
        assert restore.end() == -signal.SIGKILL
    bench.settle()
    assert bench.kinds(since) == ["backup", "restoring", "restore-reverted"]
    assert "after the backup" in bench.core.sql("SELECT word FROM fault")
    told = command("invoke", "history", "--node", "core", "--json").core["events"][-1]
    assert (told["kind"], told["backups"][0]) == ("restore-reverted", backup["id"])
    assert "undid it by itself" in told["detail"]
    whole(bench)
    until(lambda: bench.version() == FIRST, "the API does not answer", 90)
