"""The detached script, run for real with a `docker` that does what a test says."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy_lib import layout, shell
from deploy_lib.config import Backup, Reload, Stack
from deploy_lib.host.change import backup, detached, prune
from deploy_lib.host.change.history import event
from deploy_lib.host.change.launch import Word, launcher, verdict_script
from deploy_lib.host.change.lock import lock_script, me
from deploy_lib.host.change.place import Placement
from deploy_lib.host.change.printed import Look, Printed
from deploy_lib.host.change.restore import restore_work
from deploy_lib.host.change.rolling import Roll
from deploy_lib.host.change.signs import BEGUN, NEVER, UNKNOWN
from deploy_lib.host.change.start import Runs
from deploy_lib.host.change.switch import Switch
from deploy_lib.host.gateways.haproxy import HAProxy
from deploy_lib.host.programs.grafana import GrafanaAdmin
from deploy_lib.plan.steps import new_order
from deploy_lib.release.files import digest
from deploy_lib.release.release import Release
from deploy_lib.secrets.places import Place
from deploy_lib.shell import ScriptExit
from deploy_lib.values import replace
from tests.unit import build

STACK = build.stack()
KEPT = {name: digest(name.encode()) for name in ("old", "new", "broken")}
OLD = Placement({"a": KEPT["old"]})
RELEASE = Release("r2", "sha-0000002", None, {}, {})

# `up` fails when the file that it is about says so.
DOCKER = """#!/bin/sh
echo "$*" >> "$FAKE/calls"
case "$*" in
  *" up "*) ! grep -q broken "$FAKE/home/a";;
  *) exit 0;;
esac
"""


class Host:
    """A directory that stands for a host, with a lock that a test holds."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.stack = build.stack(str(self.home))
        (self.home / ".deploy/objects").mkdir(parents=True)
        for name, its_digest in KEPT.items():
            (self.home / ".deploy/objects" / its_digest).write_text(name)
        (self.home / "a").write_text("old")
        (folder / "docker").write_text(DOCKER)
        (folder / "docker").chmod(0o755)
        self.env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "FAKE": str(folder)}
        self.owner = me("a test")
        script = lock_script(self.stack.directory, self.owner, 0, 5)
        self.holder = self.start(script, stdin=subprocess.PIPE)
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "locked\n"
        self.switch: subprocess.Popen[str] | None = None

    def docker(self, behaviour: str) -> None:
        """Makes the host's `docker` do something first."""
        (self.folder / "docker").write_text(DOCKER.replace('case "$*" in', f'{behaviour}\ncase "$*" in', 1))

    def start(self, script: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", "-c", script], stdin=stdin, stdout=subprocess.PIPE, text=True, env=self.env
        )

    def begin(self, to: str, back: Placement | None = OLD, **more: Any) -> None:
        orders = Switch(
            token=self.owner.token,
            forward=Placement({"a": KEPT[to]}),
            back=back,
            started=[event("started", RELEASE)],
            abandoned=event("reverted", RELEASE, detail="alone"),
            stuck=event("failed", RELEASE, detail="stuck"),
            **more,
        )
        path = self.folder / "switch.sh"
        path.write_text(detached.switch_script(self.stack, orders))
        self.switch = subprocess.Popen(["sh", str(path)], stdout=subprocess.PIPE, text=True, env=self.env)

    def until(self, sign: str) -> str:
        assert self.switch is not None
        assert self.switch.stdout is not None
        for line in self.switch.stdout:
            if line.startswith(sign):
                return line.strip()
        raise AssertionError(f"it ended without {sign}")

    def decide(self, word: Word, *kinds: Any) -> int:
        script = verdict_script(
            self.stack.directory, self.owner.token, word, [event(kind, RELEASE) for kind in kinds]
        )
        return subprocess.run(["sh", "-c", script], env=self.env).returncode

    def kinds(self) -> list[str]:
        lines = (self.home / ".deploy/history.jsonl").read_text().splitlines()
        return [json.loads(line)["kind"] for line in lines]

    @property
    def calls(self) -> str:
        return (self.folder / "calls").read_text()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.holder.kill()
    if host.switch is not None:
        host.switch.kill()


def test_a_release_that_is_proven_is_recorded_and_stays(host: Host) -> None:
    host.begin("new", prune="echo pruned")
    assert host.until("=== switched") == "=== switched 0"
    host.until("=== .")
    assert host.kinds() == ["started"]
    assert host.decide("proven", "proven") == 0
    assert host.until("=== done") == "=== done proven"
    assert host.until("pruned")
    assert host.kinds() == ["started", "proven"]
    assert (host.home / "a").read_text() == "new"


def test_it_says_so_as_soon_as_it_would_hear_a_verdict(host: Host) -> None:
    assert host.decide("revert") == ScriptExit.ENDED
    host.begin("new")
    host.until(BEGUN)
    assert host.decide("revert", "failed") == 0
    assert host.until("=== back") == "=== back 0"


def test_nothing_is_waited_for_that_has_happened(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a container's event nor for the verdict: the interval is longer than this test may take."""
    monkeypatch.setattr(detached, "INTERVAL", 600)
    # Docker tells the event once, and stays until it is ended, as it does.
    host.docker(
        'case "$*" in "events "*) until rm "$FAKE/happens" 2>/dev/null; do sleep 0.05; done; echo .; exec sleep 20;; esac'
    )
    host.begin("new")
    host.until("=== .")
    for _ in range(2):
        (host.folder / "happens").touch()
        host.until("=== containers")
        host.until("=== .")
    assert "--filter event=health_status" in host.calls
    assert host.decide("proven", "proven") == 0
    assert host.until("=== done") == "=== done proven"
    assert host.switch is not None
    host.switch.wait(10)
    # An event that comes too late leaves nothing behind.
    (host.folder / "happens").touch()
    assert not {path.name for path in host.folder.iterdir()} & {"event", "asked"}
    # What waits for events must not hold the switch's lock, or the next switch would find it taken.
    free = ["flock", "-w", "10", str(host.stack.directory / layout.SWITCH_LOCK), "true"]
    assert subprocess.run(free, check=False).returncode == 0


def test_a_memory_that_is_full_ends_no_switch(host: Host) -> None:
    """What stands for a full one: nothing can be written in the place of the file that tells of events."""
    (host.folder / "event").mkdir()
    host.begin("new")
    for _ in range(3):
        host.until("=== .")
    assert host.decide("proven", "proven") == 0
    assert host.until("=== done") == "=== done proven"


def test_an_engine_that_tells_no_events_is_looked_at_after_the_interval(host: Host) -> None:
    host.docker('case "$*" in "events "*) exit 1;; esac')
    host.begin("new")
    first, second = (float(host.until("=== containers").split()[2]) for _ in range(2))
    assert second - first > 0.5
    assert host.decide("proven", "proven") == 0
    assert host.until("=== done") == "=== done proven"


def test_a_look_that_could_not_be_written_is_not_taken_for_what_was_shown(tmp_path: Path) -> None:
    """The memory is full for the one look at which something has happened."""
    looks = "\n".join(
        f"echo '{listed}' >listed; show >>{log}"
        for listed, log in (("one", "log"), (UNKNOWN, "/dev/full"), (UNKNOWN, "log"), (UNKNOWN, "log"))
    )
    script = f"containers() {{ cat listed; }}\nshown=- u=1\n{detached.SHOW}{looks}"
    subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True)
    printed = Printed()
    read = [printed.read(line) for line in (tmp_path / "log").read_text().splitlines()]
    found = [look.containers for look in read if isinstance(look, Look)]
    assert found == [[], None, None]


QUICK = shell.PATIENT.replace(f"set -- {shell.PATIENCE} ", "set -- 1 ")


def test_an_engine_that_takes_calls_and_never_answers_ends_a_switch(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said that nobody knows what runs, and the owner is heard; going back fails, and does not take for ever."""
    monkeypatch.setattr(detached, "PATIENT", QUICK)
    monkeypatch.setattr(detached, "ENGINE_TIMEOUT", 2)
    host.begin("new")
    host.until("=== .")
    host.docker("exec sleep 60")
    assert host.until(UNKNOWN) == UNKNOWN
    assert host.decide("revert", "failed") == 0
    assert host.until("Docker does not answer (after") == "Docker does not answer (after 2 s)"
    assert host.until("=== back") == "=== back 1"
    host.until("=== .")
    assert host.decide("leave", "failed") == 0
    assert host.until("=== done") == "=== done revert"


def test_a_prune_that_fails_fails_nothing(host: Host) -> None:
    host.begin("new", prune="false")
    host.until("=== switched 0")
    assert host.decide("proven", "proven") == 0
    assert host.until("=== not pruned")
    assert host.kinds() == ["started", "proven"]


def test_a_release_that_fails_goes_back_when_its_owner_says_so(host: Host) -> None:
    host.begin("broken")
    assert host.until("=== switched") == "=== switched 1"
    assert host.decide("revert", "failed") == 0
    assert host.until("=== back") == "=== back 0"
    assert (host.home / "a").read_text() == "old"
    assert host.decide("leave", "reverted") == 0
    assert host.until("=== done") == "=== done revert"
    assert host.kinds() == ["started", "failed", "reverted"]


def test_going_back_is_tried_again_once(host: Host) -> None:
    host.docker(
        """case "$*" in *" up "*) grep -q old "$FAKE/home/a" && mkdir "$FAKE/once" && exit 1;; esac"""
    )
    host.begin("broken")
    host.until("=== switched 1")
    assert host.decide("revert", "failed") == 0
    assert host.until("=== back") == "=== back 0"
    assert [" up " in call for call in host.calls.splitlines()].count(True) == 3


RESTARTED = '[ ! -e "$FAKE/away" ] || { [ "$1" != version ] || rm "$FAKE/away"; exit 1; }'
"""An engine that is away until it has been asked whether it is there."""


def test_going_back_waits_for_an_engine_that_is_being_restarted(host: Host) -> None:
    host.docker(RESTARTED)
    host.begin("broken", reloads=[Reload(path="conf/a", service="web", signal="SIGHUP")])
    host.until("=== switched 1")
    (host.folder / "away").touch()
    assert host.decide("revert", "failed") == 0
    assert host.until("=== back") == "=== back 0"


def test_what_stays_of_a_stack_is_asked_of_an_engine_that_answers(host: Host) -> None:
    host.docker(f'{RESTARTED}\ncase "$1" in volume) echo data; esac')
    host.begin("broken", back=None)
    host.until("=== switched 1")
    (host.folder / "away").touch()
    assert host.decide("revert", "failed") == 0
    assert host.until("=== volumes") == "=== volumes data"
    assert host.until("=== back") == "=== back 0"


def test_a_disk_that_is_full_before_anything_was_changed_keeps_nobody_from_going_back(host: Host) -> None:
    (host.folder / "cat").write_text('#!/bin/sh\ncase $1 in */objects/*) exit 1;; esac\nexec /bin/cat "$@"\n')
    (host.folder / "cat").chmod(0o755)
    host.begin("new")
    assert host.until("=== switched") == "=== switched 1"
    assert host.decide("revert", "failed") == 0
    assert host.until("=== back") == "=== back 0"
    assert [path.name for path in host.home.iterdir() if path.is_file()] == ["a"]


def test_files_come_back_although_the_engine_does_not(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detached, "ENGINE_TIMEOUT", 1)
    host.begin("broken", reloads=[Reload(path="conf/a", service="web", signal="SIGHUP")])
    host.until("=== switched 1")
    host.docker("exit 1")
    assert host.decide("revert", "failed") == 0
    assert host.until("=== back") == "=== back 1"
    assert (host.home / "a").read_text() == "old"


def test_what_nothing_ran_before_is_taken_down_and_its_files_removed(host: Host) -> None:
    host.begin("broken", back=None)
    host.until("=== switched 1")
    assert host.decide("revert", "failed") == 0
    assert host.until("=== back") == "=== back 0"
    assert not (host.home / "a").exists()
    assert "compose -p shop-1 down --remove-orphans" in host.calls
    assert "--volumes" not in host.calls
    assert "-v" not in host.calls.split()


def test_files_that_an_interrupted_first_deployment_had_placed_are_removed_too(host: Host) -> None:
    (host.home / "b").write_text("the same as ever")
    host.begin("new", back=None, paths=["a", "b"])
    host.until("=== switched 0")
    assert host.decide("revert", "failed") == 0
    host.until("=== back 0")
    assert not (host.home / "b").exists()


def test_a_verdict_that_has_come_counts_however_soon_after_it_its_owner_is_gone(host: Host) -> None:
    host.begin("new")
    host.until("=== .")
    assert host.switch is not None
    host.switch.send_signal(signal.SIGSTOP)
    assert host.decide("proven", "proven") == 0
    host.holder.kill()
    host.holder.wait()
    host.switch.send_signal(signal.SIGCONT)
    assert host.until("=== done") == "=== done proven"
    assert host.kinds() == ["started", "proven"]


def test_a_verdict_that_comes_while_it_goes_back_by_itself_is_not_left(host: Host) -> None:
    hold, held = host.folder / "hold", host.folder / "held"
    host.docker(
        f'case "$*" in *" up "*) [ ! -e {hold} ] || : >{held}; while [ -e {hold} ]; do sleep 0.05; done;; esac'
    )
    host.begin("new")
    host.until("=== .")
    hold.touch()
    host.holder.kill()
    host.holder.wait()
    deadline = time.monotonic() + 20
    while not held.exists():
        assert time.monotonic() < deadline, "it does not go back"
        time.sleep(0.02)
    (host.home / ".deploy/verdict").write_text(f"{host.owner.token} proven\n")
    hold.unlink()
    host.until("=== done revert")
    assert host.switch is not None
    assert host.switch.wait(10) == 0
    assert not (host.home / ".deploy/verdict").exists()
    assert host.kinds() == ["started", "reverted"]


def test_a_release_can_be_left_as_it_is(host: Host) -> None:
    host.begin("broken")
    host.until("=== switched 1")
    assert host.decide("leave", "failed") == 0
    assert host.until("=== done") == "=== done leave"
    assert (host.home / "a").read_text() == "broken"


@pytest.mark.parametrize("to", ["new", "broken"])
def test_without_its_owner_it_goes_back_by_itself(host: Host, to: str) -> None:
    host.begin(to)
    host.until("=== switched")
    host.holder.kill()
    host.holder.wait()
    assert host.until("=== done") == "=== done revert"
    assert (host.home / "a").read_text() == "old"
    assert host.kinds() == ["started", "reverted"]
    at = json.loads((host.home / ".deploy/history.jsonl").read_text().splitlines()[-1])["at"]
    assert at.startswith("20")
    assert at.endswith("Z")


def test_a_verdict_that_comes_too_late_is_refused(host: Host) -> None:
    host.begin("new")
    host.until("=== switched")
    host.holder.kill()
    host.holder.wait()
    assert host.decide("proven", "proven") == ScriptExit.LAPSED
    host.until("=== done revert")
    assert "proven" not in host.kinds()


def test_a_verdict_that_nobody_waits_for_is_refused(host: Host) -> None:
    assert host.decide("proven", "proven") == ScriptExit.ENDED


def test_an_owner_whose_lock_has_lapsed_changes_nothing(host: Host) -> None:
    host.holder.kill()
    host.holder.wait()
    host.begin("new")
    assert host.switch is not None
    assert host.switch.wait(10) == ScriptExit.LAPSED
    assert (host.home / "a").read_text() == "old"


def test_what_it_says_is_found_from_the_stack_s_directory_and_what_earlier_ones_said_goes(host: Host) -> None:
    orders = Switch(
        token=host.owner.token,
        forward=Placement({"a": KEPT["new"]}),
        back=OLD,
        started=[event("started", RELEASE)],
        abandoned=event("reverted", RELEASE),
        stuck=event("failed", RELEASE),
    )
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        memory = Path(folder)
        (memory / "ktrdr-deploy-shop-1.earlier").mkdir()
        (memory / "ktrdr-deploy-shop-1-2.earlier").mkdir()
        (memory / "ktrdr-deploy-shop-1.link").symlink_to(host.home)
        script = launcher(STACK.project_name, detached.switch_script(host.stack, orders))
        host.switch = host.start(script.replace("/run /dev/shm", folder))
        host.until("=== switched 0")
        (own,) = memory.glob("ktrdr-deploy-shop-1.??????????")
        assert {path.name for path in memory.iterdir()} == {
            "ktrdr-deploy-shop-1-2.earlier",
            "ktrdr-deploy-shop-1.link",
            own.name,
        }
        assert host.decide("leave", "failed") == 0
        host.until("=== done leave")
        assert host.until("=== end") == "=== end 0"
        assert (host.home / ".deploy/switch.log").resolve() == (own / "log").resolve()
        assert "=== switched 0" in (host.home / ".deploy/switch.log").read_text()
        assert [path.name for path in own.iterdir()] == ["log"]


def test_where_secrets_are_to_lie_is_another_user_s_and_nothing_is_begun(host: Host) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        place = Path(folder) / "ktrdr-secrets"
        place.symlink_to(host.home)
        host.begin("new", secret_files={"a": f"{place}/p/A"})
        assert host.until(str(place)).partition("\t")[2] == f"rm {place}"
        assert host.switch is not None
        assert host.switch.wait(10) == ScriptExit.NO_PLACE
        assert not (host.home / ".deploy/history.jsonl").exists()
        assert (host.home / "a").read_text() == "old"


def test_a_second_switch_changes_nothing(host: Host) -> None:
    host.begin("new")
    host.until("=== .")
    first = host.switch
    host.begin("broken")
    assert host.switch is not None
    assert host.switch.wait(10) == ScriptExit.BUSY
    assert (host.home / "a").read_text() == "new"
    host.switch = first


def test_a_history_that_cannot_be_written_stops_it_before_anything_is_changed(host: Host) -> None:
    (host.home / ".deploy/history.jsonl").mkdir()
    host.begin("new")
    assert host.switch is not None
    assert host.switch.wait(10) == ScriptExit.NOT_BEGUN
    assert (host.home / "a").read_text() == "old"


def test_a_secret_without_a_value_stops_it_before_anything_is_changed(host: Host) -> None:
    host.begin("new", secrets=["NOWHERE"])
    assert host.switch is not None
    assert host.switch.wait(10) == ScriptExit.NO_VALUES
    assert (host.home / "a").read_text() == "old"


def test_a_secret_that_no_service_has_is_no_empty_text_for_compose(host: Host) -> None:
    host.docker('case "$*" in *" up "*) echo "$OTHER $GIVEN" > "$FAKE/given";; esac')
    host.env["GIVEN"] = "given"
    host.begin("new", unused=["GIVEN", "OTHER"])
    host.until("=== switched")
    assert (host.folder / "given").read_text() == "deploy-secret.OTHER.value given\n"


@pytest.mark.parametrize("which", ["old", "new"])
def test_a_kept_file_that_was_changed_stops_it_before_anything_is_changed(host: Host, which: str) -> None:
    """Of the new release, and of the one that it would have to go back to."""
    (host.home / ".deploy/objects" / KEPT[which]).write_text("edited")
    host.begin("new")
    assert KEPT[which] in host.until("files of the kept releases were changed")
    assert host.switch is not None
    assert host.switch.wait(10) == ScriptExit.CHANGED
    assert (host.home / "a").read_text() == "old"
    assert not (host.home / ".deploy/history.jsonl").exists()


def test_one_off_commands_come_first_and_on_the_new_files(host: Host) -> None:
    one_off = Stack.model_validate(
        {
            "compose": "c",
            "env_file": "e",
            "before_switch": [{"service": "backend", "command": ["it's", "up"]}],
        }
    ).before_switch
    host.begin("new", one_offs=one_off, paths=["a"])
    host.until("=== switched 0")
    calls = host.calls.splitlines()
    first = next(
        n
        for n, call in enumerate(calls)
        if " run --rm --name shop-1-before-switch --no-deps -T backend it's up" in call
    )
    assert first < next(n for n, call in enumerate(calls) if " up -d " in call)
    # What it includes and mounts is the new release's, too.
    assert (host.home / ".deploy/paths").read_text() == "a\n"


def test_a_one_off_command_that_does_not_end_is_ended_with_its_container(host: Host) -> None:
    one_off = Stack.model_validate(
        {
            "compose": "c",
            "env_file": "e",
            "before_switch": [{"service": "backend", "command": ["hang"], "timeout": 1}],
        }
    ).before_switch
    host.docker('case "$*" in *hang*) sleep 30;; esac')
    host.begin("new", one_offs=one_off, paths=["a"])
    assert host.until("=== switched") == "=== switched 124"
    calls = host.calls.splitlines()
    run = next(n for n, call in enumerate(calls) if " hang" in call)
    clear = [n for n, call in enumerate(calls) if call == "rm -f shop-1-before-switch"]
    # One that an earlier crash has left is in the way, and this one must not go on.
    assert clear[0] < run < clear[-1]
    assert not [call for call in calls if " up " in call]


def test_the_scripts_are_ones_that_sh_understands() -> None:
    orders = Switch(
        token="t",
        forward=Placement({"a": "1"}),
        back=Placement({"a": "0"}),
        started=[event("started", RELEASE)],
        abandoned=event("reverted", RELEASE),
        stuck=event("failed", RELEASE),
        reloads=[Reload(path="conf/a", service="web", signal="SIGHUP", check=("check", "it's"))],
        places=[Place("db", "file", "/run/secrets/a", ("", "A", ""))],
        secrets=["A"],
    )
    for variant in (orders, replace(orders, back=None, kept_values=["A"])):
        whole = launcher(STACK.project_name, detached.switch_script(STACK, variant))
        assert subprocess.run(["sh", "-n"], input=whole, text=True, capture_output=True).stderr == ""


ADMIN = GrafanaAdmin(kind="grafana-admin", secret="ADMIN", service="grafana", timeout=1)

# Grafana's copy of the password is a file; it goes through `up` with the value in Compose's environment.
GRAFANA = """#!/bin/sh
echo "$*" >> "$FAKE/calls"
case "$1" in
  ps) echo id; exit;;
  cp) cd "$FAKE/container" && exec tar -cf - admin;;
  exec)
    case "$*" in
      *reset-admin-password*) IFS= read -r v; printf %s "$v" | base64 -d > "$FAKE/copy"; echo "copy $(cat "$FAKE/copy")" >> "$FAKE/story";;
      *) IFS= read -r v; v=$(printf %s "$v" | base64 -d)
         [ "$v" = "admin:$(cat "$FAKE/copy")" ] || [ -e "$FAKE/trusts" ] || exit 41;;
    esac
    exit;;
esac
case "$*" in
  *" up "*) printf %s "$ADMIN" > "$FAKE/container/admin"; echo "up $ADMIN" >> "$FAKE/story";;
esac
"""


@pytest.fixture
def grafana(host: Host) -> Host:
    (host.folder / "docker").write_text(GRAFANA)
    (host.folder / "container").mkdir()
    (host.folder / "container/admin").write_text("old")
    (host.folder / "copy").write_text("old")
    host.env |= {"ADMIN": "new", "APPLY_ADMIN": "new"}
    return host


def rotate(host: Host) -> None:
    host.begin(
        "new",
        applies=[ADMIN],
        places=[Place("grafana", "file", "/run/secrets/admin", ("", "ADMIN", ""))],
        secrets=["ADMIN"],
    )


def story(host: Host) -> list[str]:
    return (host.folder / "story").read_text().splitlines()


def test_a_secret_is_changed_where_it_is_kept_before_the_containers_are_replaced(grafana: Host) -> None:
    rotate(grafana)
    assert grafana.until("=== switched") == "=== switched 0"
    assert story(grafana) == ["copy new", "up new"]
    assert "new" not in grafana.calls


def test_an_old_secret_that_is_still_taken_fails_the_switch_and_comes_back(grafana: Host) -> None:
    (grafana.folder / "trusts").touch()
    rotate(grafana)
    assert grafana.until("grafana still") == "grafana still takes the old ADMIN"
    assert grafana.until("=== switched") == "=== switched 1"
    assert grafana.decide("revert", "failed") == 0
    assert grafana.until("=== back") == "=== back 0"
    assert story(grafana) == ["copy new", "up new", "copy old", "up old"]


def test_without_its_owner_a_rotation_goes_back_by_itself(grafana: Host) -> None:
    rotate(grafana)
    grafana.until("=== switched 0")
    grafana.holder.kill()
    grafana.holder.wait()
    assert grafana.until("=== done") == "=== done revert"
    assert story(grafana)[2:] == ["copy old", "up old"]


def test_a_secret_whose_running_value_cannot_be_read_is_not_changed(grafana: Host) -> None:
    (grafana.folder / "container/admin").unlink()
    rotate(grafana)
    assert grafana.switch is not None
    assert grafana.switch.wait(10) == ScriptExit.NO_OLD_VALUES
    assert (grafana.folder / "copy").read_text() == "old"
    assert not (grafana.home / ".deploy/history.jsonl").exists()


def test_a_release_that_cannot_be_brought_to_the_disk_is_not_on_record(host: Host) -> None:
    # There from the start: a shell remembers where it has found a program.
    (host.folder / "sync").write_text('#!/bin/sh\n[ ! -e "$FAKE/worn" ]\n')
    (host.folder / "sync").chmod(0o755)
    host.begin("new")
    host.until("=== .")
    (host.folder / "worn").touch()
    assert host.decide("proven", "proven") == 0
    assert host.until("=== back") == "=== back 0"
    assert host.kinds() == ["started"]
    (host.folder / "worn").unlink()
    assert host.decide("leave", "reverted") == 0
    assert host.until("=== done") == "=== done revert"
    assert host.kinds() == ["started", "reverted"]


def test_a_verdict_that_cannot_be_written_leaves_nothing(host: Host) -> None:
    host.begin("new")
    host.until("=== .")
    (host.folder / "mv").write_text("#!/bin/sh\nexit 1\n")
    (host.folder / "mv").chmod(0o755)
    assert host.decide("proven", "proven") not in (0, ScriptExit.LAPSED, ScriptExit.ENDED)
    assert not (host.home / ".deploy/verdict.new").exists()


def test_what_compose_left_half_way_is_cleared_before_it_is_called(host: Host) -> None:
    half, other = "0123456789ab_shop-1-backend-1", "shop-1-backend-2"
    host.docker(
        f"""case "$*" in "ps -a "*State*) printf "c1 created {half}\\nc2 created {other}\\nc3 exited shop-1-before-switch\\n";; esac"""
    )
    host.begin("new")
    host.until("=== switched 0")
    calls = host.calls.splitlines()
    assert [call for call in calls if call.startswith("rm ")] == ["rm c1", "rm -f c3"]
    assert calls.index("rm c1") < next(n for n, call in enumerate(calls) if " up " in call)


# --- the launcher -----------------------------------------------------------------------------------------


PROJECT = f"a-test-{os.getpid()}"


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    yield
    for memory in ("/run", "/dev/shm"):
        for kind in ("log", "sh"):
            Path(memory, f"ktrdr-deploy-{PROJECT}.{kind}").unlink(missing_ok=True)


def launch(host: Host, detached: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", "-c", launcher(PROJECT, detached)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**host.env, **more},
    )


def test_a_launcher_tells_a_script_that_began_from_one_that_did_not(host: Host) -> None:
    done = launch(host, f"rm -f -- $0; echo '{BEGUN}'; echo '=== done revert'; exit 7")
    assert done.stdout.splitlines()[-2:] == ["=== done revert", "=== end 7"]
    assert NEVER not in done.stdout
    done = launch(host, "rm -f -- $0; exit 0")
    assert done.stdout.splitlines()[-2:] == [NEVER, "=== end 0"]
    (host.folder / "setsid").write_text("#!/bin/sh\necho no room >&2; exit 126\n")
    (host.folder / "setsid").chmod(0o755)
    done = launch(host, f"echo '{BEGUN}'")
    assert done.stdout.splitlines()[-2:] == [NEVER, "=== end 126"]
    assert "no room" in done.stdout


@pytest.mark.parametrize("program", ["cat", "mktemp", "stat"])
def test_a_launcher_that_cannot_make_its_files_starts_nothing(host: Host, program: str) -> None:
    (host.folder / program).write_text("#!/bin/sh\necho No space left on device >&2; exit 1\n")
    (host.folder / program).chmod(0o755)
    done = launch(host, f"touch '{host.folder}/ran'; echo '{BEGUN}'")
    assert done.stdout.splitlines()[-1] == f"=== end {done.returncode}"
    assert done.returncode in (ScriptExit.NO_MEMORY, ScriptExit.NO_PLACE)
    assert BEGUN not in done.stdout
    assert not (host.folder / "ran").exists()


def test_with_a_value_that_is_too_large_nothing_is_started_and_that_is_said(host: Host) -> None:
    script = f"A=$(head -c 140000 /dev/zero | tr '\\0' v); export A\n{launcher(PROJECT, 'true')}"
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, env=host.env)
    assert done.returncode == 126
    assert "Argument list too long" in done.stderr
    assert "vvv" not in done.stderr + done.stdout


def test_a_switch_that_could_not_be_heard_does_not_begin(host: Host) -> None:
    orders = Switch(
        host.owner.token, Placement({"a": KEPT["new"]}), OLD, [event("started", RELEASE)],
        event("reverted", RELEASE), event("failed", RELEASE),
    )  # fmt: skip
    path = host.folder / "switch.sh"
    path.write_text(detached.switch_script(host.stack, orders))
    done = subprocess.run(["sh", "-c", f"sh {path} >/dev/full"], env=host.env)
    assert done.returncode == ScriptExit.NO_LOG
    assert not (host.home / ".deploy/history.jsonl").exists()
    assert (host.home / "a").read_text() == "old"


HASHES = """
case "$*" in
  *"config --hash"*) printf 'job new\\nsame old\\nweb w\\n'; exit;;
  *'io.ktrdr'*|*config-hash*) echo old; exit;;
  *" up "*" job") exit 7;;
esac
"""


def started(host: Host) -> list[str]:
    ups = [call.partition(" up ")[2] for call in host.calls.splitlines() if " up " in call]
    made = [call.partition("--no-start ")[2] for call in ups if "--no-start" in call]
    # What was made is started; here, "job" cannot even be made.
    begun = [call.partition("--no-deps --no-recreate ")[2] for call in ups if "--no-recreate" in call]
    assert begun == [services for services in made if "job" not in services]
    return made


@pytest.mark.parametrize(
    ("late", "forth", "back"),
    [(False, ["web job"], ["web", "job"]), (True, ["web", "job"], ["web", "job"])],
)
def test_what_is_done_is_started_when_it_has_changed_and_later_where_its_failure_counts_for_nothing(
    host: Host, late: bool, forth: list[str], back: list[str]
) -> None:
    host.docker(HASHES)
    host.begin(
        "new",
        runs=Runs(("web",), ("job", "same"), (), late),
        back_runs=Runs(("web",), ("job", "same"), (), True),
    )
    assert host.until("=== switched") == f"=== switched {0 if late else 7}"
    assert started(host) == forth
    assert host.decide("revert", "failed") == 0
    assert host.until("=== back") == "=== back 0"
    assert started(host)[len(forth) :] == back


def test_what_has_done_its_work_does_it_no_second_time_while_the_engine_is_restarted(host: Host) -> None:
    host.docker(RESTARTED + HASHES)
    (host.folder / "away").touch()
    host.begin("new", runs=Runs(("web",), ("same",)))
    assert host.until("=== switched") == "=== switched 0"
    assert started(host) == ["web"]


MADE_ANEW = """
case "$*" in
  *"config --hash"*) printf 'db new\\njob old\\nsame old\\nweb old\\n'; exit;;
  *status=created*) echo same; exit;;
  *'io.ktrdr'*|*config-hash*) echo old; exit;;
esac
"""
"""The database has changed, and "same" depends on it: Compose may have made that anew all the same."""


@pytest.mark.parametrize(
    ("late", "forth"),
    [
        (False, ["--no-start db", "--no-start web", "--no-recreate web same"]),
        (
            True,
            [
                *("--no-start db", "--no-start web", "--no-recreate web"),
                *("--no-start same", "--no-recreate same"),
            ],
        ),
    ],
)
def test_what_has_done_its_work_is_left_alone_when_what_it_depends_on_is_made_anew(
    host: Host, late: bool, forth: list[str]
) -> None:
    def ups() -> list[str]:
        return [
            line.partition("--quiet-pull ")[2].replace("--no-deps ", "")
            for line in host.calls.splitlines()
            if " up " in line
        ]

    host.docker(MADE_ANEW)
    runs = Runs(("web",), ("job", "same"), (), late, early=("db",))
    host.begin("new", runs=runs, back_runs=replace(runs, changed_later=True))
    assert host.until("=== switched") == "=== switched 0"
    assert ups() == forth
    assert host.decide("revert", "failed") == 0
    assert host.until("=== back") == "=== back 0"
    assert ups()[len(forth) :] == [
        *("--no-start db", "--no-start web", "--no-recreate web"),
        *("--no-start same", "--no-recreate same"),
    ]


@pytest.mark.parametrize(
    ("fails", "ups"),
    [
        ("none", ["--no-start a b", "--no-recreate a b"]),
        # Compose gives up at the first one that fails.
        ("--no-recreate a b", ["--no-start a b", "--no-recreate a b", "--no-start b", "--no-recreate b"]),
        (
            "--no-start a b",
            ["--no-start a b", *(f"{how} {x}" for x in "ab" for how in ("--no-start", "--no-recreate"))],
        ),
    ],
)
def test_what_comes_later_comes_in_compose_s_own_order_and_keeps_nothing_back(
    host: Host, fails: str, ups: list[str]
) -> None:
    host.docker(f"""case "$*" in *"{fails}") exit 1;; *status=created*) echo b; exit;; esac""")
    host.begin("new", runs=Runs((), (), ("a", "b"), True))
    assert host.until("=== switched") == "=== switched 0"
    called = [line.partition("--quiet-pull ")[2] for line in host.calls.splitlines() if " up " in line]
    assert [each.replace("--no-deps ", "") for each in called] == ups


STATES = """
case "$*" in
  *" up "*) exit 0;;
  *'{{.Status}}'*) cat "$0.states"; exit;;
esac
"""
RUN = "running db Up 3 hours (healthy)\nrunning proxy Up 3 hours\n"


@pytest.mark.parametrize(
    ("states", "begun"),
    [
        (RUN + "created web Created\n", "--no-deps --no-recreate web"),
        # As Compose would, what somebody has stopped is started, too; of another profile nothing is.
        (
            RUN + "created web Created\nexited db Exited (0)\nexited tool Exited (1)\n",
            "--no-deps --no-recreate db web",
        ),
        (RUN, None),
        # Compose itself waits for what has not started yet.
        (RUN + "running cache Up 2 seconds (health: starting)\ncreated web Created\n", ""),
        (RUN + "running cache Up 2 hours (unhealthy)\ncreated web Created\n", ""),
    ],
)
def test_what_runs_and_is_well_is_not_waited_for(host: Host, states: str, begun: str | None) -> None:
    host.docker(STATES)
    (host.folder / "docker.states").write_text(states)
    host.begin("new", runs=Runs(only=("db", "proxy", "web")))
    assert host.until("=== switched") == "=== switched 0"
    ups = [call.partition("--quiet-pull")[2].strip() for call in host.calls.splitlines() if " up " in call]
    assert ups == ["--no-start", *([] if begun is None else [begun])]


def test_where_docker_does_not_list_them_compose_starts_them_all(host: Host) -> None:
    host.docker(STATES.replace("cat", "false"))
    host.begin("new", runs=Runs(only=("web",)))
    assert host.until("=== switched") == "=== switched 0"
    assert [
        call.partition("--quiet-pull")[2].strip() for call in host.calls.splitlines() if " up " in call
    ] == [
        "--no-start",
        "",
    ]


def test_on_the_way_back_what_was_stopped_is_made_and_not_started(host: Host) -> None:
    host.begin("new", back_runs=Runs(("web",), stopped=("idle",)))
    assert host.until("=== switched") == "=== switched 0"
    assert host.decide("revert", "failed") == 0
    assert host.until("=== back") == "=== back 0"
    ups = [call.partition(" up ")[2] for call in host.calls.splitlines() if " up " in call][1:]
    assert [(call.split()[-1], "--no-start" in call) for call in ups] == [
        ("idle", True),
        ("web", True),
        ("web", False),
    ]


def test_rolling_services_come_before_up_in_either_direction(host: Host) -> None:
    rolls = [Roll(HAProxy(service="web"))]
    host.begin("new", rolls=rolls, back_rolls=rolls)
    assert host.until("=== switched") == "=== switched 0"
    asked, settled = "com.docker.compose.service=web", "com.docker.compose.service=gateway"
    assert host.calls.index(asked) < host.calls.index(" up ") < host.calls.index(settled)
    there = len(host.calls)
    assert host.decide("revert", "failed") == 0
    assert host.until("=== back") == "=== back 0"
    back = host.calls[there:]
    assert back.index(asked) < back.index(" up ") < back.index(settled)


def test_what_cannot_be_rolled_back_is_taken_back_at_once(host: Host) -> None:
    running = 'case "$*" in *service=web*) echo "c1 running h1"; exit;; *" config "*) exit 1;; esac'
    host.docker(running)
    host.begin("new", back_rolls=[Roll(HAProxy(service="web"))])
    assert host.until("=== switched") == "=== switched 0"
    assert host.decide("revert", "failed") == 0
    assert host.until("=== note web is taken back at once: requests may be lost")
    assert host.until("=== back") == "=== back 0"
    assert (host.home / "a").read_text() == "old"


def test_whatever_an_earlier_command_has_left_running_may_take_its_time() -> None:
    entry = Backup(
        name="rows", service="db", command=("dump",), check=("test",), restore=("load",), timeout=3000
    )
    backed_up = build.stack(backups=(entry,))
    file = new_order(backed_up, entry, RELEASE).file
    restoring = Switch(
        token="",
        forward=Placement(),
        back=Placement(),
        started=[],
        abandoned=event("restore-reverted", RELEASE),
        stuck=event("restore-failed", RELEASE),
        work=restore_work(backed_up, entry, file, file, ()),
    )
    waited = detached.longest_unattended(backed_up, [])
    assert waited >= detached.longest(backed_up, restoring) > detached.longest_unattended(STACK, [])
    assert waited > backup.longest([entry])
    assert detached.longest_unattended(build.stack(switch_timeout=1), []) > prune.TIMEOUT


def test_what_is_paused_goes_on_first_and_what_lives_in_others_is_started_again_at_the_end(
    host: Host,
) -> None:
    host.docker(
        """\
case "$*" in
  *service=inner*) echo i1; exit;;
  *StartedAt*i1) echo running 2026-01-01T00:00:01Z; exit;;
  *StartedAt*w1) echo running 2026-01-01T00:00:02Z; exit;;
  *NetworkMode*) echo container:w1 private private; exit;;
  unpause*|restart*) echo "$*" >> "$FAKE/calls"; exit;;
esac"""
    )
    host.begin("new", parts=("inner",), paused=("p1",))
    assert host.until("=== switched") == "=== switched 0"
    forward = host.calls.splitlines()
    (up,) = (number for number, call in enumerate(forward) if " up " in call)
    assert forward.index("unpause p1") < up < forward.index("restart i1")
    host.decide("revert", "failed")
    assert host.until("=== back") == "=== back 0"
    back = host.calls.splitlines()[len(forward) :]
    assert [call for call in back if " up " in call or call.startswith("restart")][-1] == "restart i1"
