"""A restore as a switch of its own kind, run for real with a `docker` that runs the commands of containers here."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from deploy_lib.host.change import detached
from deploy_lib.host.change.history import event
from deploy_lib.host.change.launch import Word, verdict_script
from deploy_lib.host.change.place import Placement
from deploy_lib.host.change.restore import restore_work
from deploy_lib.host.change.switch import Switch
from deploy_lib.release.backup import BackupFile
from tests.unit.host.change.keeper import RELEASE, Keeper


class Host(Keeper):
    """With a backup of the data, which have changed since, and one of those as they are now."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.old = self.made()
        self.data.write_text("whole: two")
        self.now = self.made()
        self.process: subprocess.Popen[str] | None = None
        (self.folder / "calls").unlink()

    def begin(
        self,
        file: BackupFile,
        now: BackupFile | None,
        stop: Sequence[str] = ("web",),
        left: Sequence[str] = (),
        parts: Sequence[str] = (),
    ) -> None:
        orders = Switch(
            token=self.owner.token,
            forward=Placement(),
            back=Placement(),
            started=[event("restoring", RELEASE)],
            abandoned=event("restore-reverted", RELEASE, detail="alone"),
            stuck=event("restore-failed", RELEASE, detail="stuck"),
            parts=parts,
            work=restore_work(self.stack, self.entry, file, now, stop, left),
        )
        own = self.folder / "own"
        own.mkdir()
        path = own / "switch.sh"
        path.write_text(detached.switch_script(self.stack, orders))
        self.process = subprocess.Popen(["sh", str(path)], stdout=subprocess.PIPE, text=True, env=self.env)

    def until(self, sign: str) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if line.startswith(sign):
                return line.strip()
        raise AssertionError(f"it ended without {sign}: {said}")

    def decide(self, word: Word, *kinds: str) -> None:
        events = [event(kind, RELEASE) for kind in kinds]  # type: ignore[arg-type]
        script = verdict_script(self.stack.directory, self.owner.token, word, events)
        assert subprocess.run(["sh", "-c", script], env=self.env).returncode == 0

    def moved(self) -> list[str]:
        """What was stopped, written and started, in its order."""
        return [
            word for call in self.calls for word in [call.split()[0]] if word in ("stop", "start", "exec")
        ]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.holder.kill()
    if host.process is not None:
        host.process.kill()


def test_the_data_are_put_back_while_who_uses_them_stands_still(host: Host) -> None:
    host.begin(host.old, host.now)
    assert host.until("=== switched") == "=== switched 0"
    assert host.data.read_text() == "whole: one"
    assert host.moved() == ["stop", "exec", "start"]
    host.decide("proven", "restored")
    assert host.until("=== done") == "=== done proven"
    assert host.kinds() == ["backup", "backup", "restoring", "restored"]


def test_nothing_is_touched_where_it_is_unknown_what_has_to_stand_still(host: Host) -> None:
    docker = host.folder / "docker"
    docker.write_text(
        docker.read_text().replace("*service=web*)", "*service=other*) exit 1;;\n      *service=web*)")
    )
    host.begin(host.old, host.now, stop=("other", "web"))
    assert host.until("=== switched") == "=== switched 1"
    assert host.data.read_text() == "whole: two"
    assert "exec" not in host.moved()


def test_what_an_interrupted_restore_has_left_stopped_is_started(host: Host) -> None:
    (host.folder / "webdown").touch()
    host.begin(host.old, host.now, left=["web"])
    assert host.until("=== switched") == "=== switched 0"
    assert host.moved() == ["stop", "exec", "start"]


def test_what_does_not_run_any_more_is_not_started_on_either_way(host: Host) -> None:
    """It may have done its work, which it would do again."""
    (host.folder / "webdown").touch()
    host.begin(host.old, host.now)
    assert host.until("=== switched") == "=== switched 0"
    host.decide("revert", "restore-failed")
    assert host.until("=== back") == "=== back 0"
    assert host.moved() == ["exec", "exec"]


def test_a_restore_that_fails_half_way_is_undone(host: Host) -> None:
    # The one that fails has written, too.
    path = str(host.data)
    host.given(
        restore=("sh", "-c", f"cat > {path}; ! grep -q one {path} || {{ echo disk gone >&2; exit 4; }}")
    )
    host.begin(host.old, host.now)
    assert host.until("  disk gone")
    assert host.until("=== switched") == "=== switched 4"
    assert host.data.read_text() == "whole: one"
    host.decide("revert", "restore-failed")
    assert host.until("=== back") == "=== back 0"
    assert host.data.read_text() == "whole: two"
    host.decide("leave", "restore-reverted")
    assert host.until("=== done") == "=== done revert"
    assert host.moved()[-1] == "start"
    assert host.kinds()[2:] == ["restoring", "restore-failed", "restore-reverted"]


def test_undoing_it_waits_for_an_engine_that_is_being_restarted(host: Host) -> None:
    away, path = host.folder / "away", str(host.data)
    docker = host.folder / "docker"
    there = f"""[ ! -e {away} ] || {{ [ "$1" != version ] || rm {away}; exit 1; }}"""
    docker.write_text(docker.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\n{there}\n"))
    host.given(restore=("sh", "-c", f"cat > {path}; ! grep -q one {path} || {{ touch {away}; exit 4; }}"))
    host.begin(host.old, host.now)
    assert host.until("=== switched") == "=== switched 4"
    host.decide("revert", "restore-failed")
    assert host.until("=== back") == "=== back 0"
    assert host.data.read_text() == "whole: two"


def test_it_is_undone_in_its_own_container_whatever_was_started_again_meanwhile(host: Host) -> None:
    """After the data are put back, what lives in other containers is looked at."""
    docker = host.folder / "docker"
    docker.write_text(
        docker.read_text().replace("*service=web*)", "*service=side*) echo side1;;\n      *service=web*)")
    )
    host.begin(host.old, host.now, parts=("side",))
    assert host.until("=== switched") == "=== switched 0"
    host.decide("revert", "restore-failed")
    assert host.until("=== back") == "=== back 0"
    put = [call for call in host.calls if call.startswith("exec")]
    assert len(put) == 2
    assert all(" db1 " in call for call in put)


def test_a_restore_whose_owner_is_gone_is_undone_by_itself(host: Host) -> None:
    host.begin(host.old, host.now)
    host.until("=== .")
    host.holder.kill()
    host.holder.wait()
    host.until("=== done revert")
    assert host.data.read_text() == "whole: two"
    assert host.kinds()[2:] == ["restoring", "restore-reverted"]
    assert host.moved() == ["stop", "exec", "start", "stop", "exec", "start"]


def test_without_a_backup_of_before_nothing_works_on_data_that_nobody_knows(host: Host) -> None:
    host.given(restore=("false",))
    host.begin(host.old, None)
    assert host.until("=== switched") == "=== switched 1"
    host.decide("revert", "restore-failed")
    assert host.until("=== back") == "=== back 1"
    host.decide("leave", "restore-failed")
    host.until("=== done revert")
    assert "start" not in host.moved()


def test_a_service_that_does_not_run_is_touched_by_nothing(host: Host) -> None:
    (host.folder / "down").touch()
    host.begin(host.old, host.now)
    assert host.until("db does not run")
    host.until("=== switched 1")
    host.decide("revert", "restore-failed")
    assert host.until("=== back") == "=== back 0"
    assert host.data.read_text() == "whole: two"
    assert host.moved() == []


def test_a_file_that_cannot_be_read_to_its_end_is_not_put_back(host: Host) -> None:
    host.given(restore=("sh", "-c", f"cat > {host.data}"))
    path = host.directory / f"{host.old.id}.data"
    path.write_bytes(path.read_bytes()[:-3])
    host.begin(host.old, host.now)
    assert host.until("=== switched") == "=== switched 1"
    host.decide("revert", "restore-failed")
    assert host.until("=== back") == "=== back 0"
    assert host.data.read_text() == "whole: two"
