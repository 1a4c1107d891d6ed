"""What only a shell had, kept by a Docker that writes down what it is given."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy_lib.host.change import keeper, values
from deploy_lib.host.change.keeper import Keeper
from deploy_lib.release.release import Release
from deploy_lib.shell import ScriptExit
from tests.unit import build

STACK = build.stack()
NAME = f"{STACK.project_name}-r0-variables"
KEPT = Keeper("r0", ("TOKEN", "ABSENT"), ("PW",), "h/web@sha256:1")

DOCKER = """#!/bin/sh
echo "$@" >> "$FAKE/calls"
case $1 in
  rename) [ "$2" = "$3-new" ];;
  create) [ -z "$FAILS" ] || { echo "no space left" >&2; exit 1; }; printf %s "$TOKEN" > "$FAKE/TOKEN"; printf %s "$PW" > "$FAKE/PW";;
  cp)
    [ -z "$FULL" ] || { echo "no space left" >&2; exit 1; }
    case $2 in *:*) x="$FAKE/k1/${2##*/}"; [ -e "$x" ] || { echo "Error: Could not find the file $2 in container" >&2; exit 1; }
      tar -cf - -C "${x%/*}" "${x##*/}";; *) cp -R "$2" "$FAKE/k1";; esac;;
  ps) case "$*" in *Label*) printf 'k1 shop-1-r0-variables r0\\nk2 shop-1-r1-variables r1\\nk3 shop-1-r1-variables-new r1\\nk4 shop-2-r1-variables r1\\n';; *) [ -z "$SILENT" ] || exit 1; [ -z "$GONE" ] && printf 'shop-r0-variables-new k3\nshop-r0-variables k1\n'; true;; esac;;
  inspect) [ -z "$REFUSED" ] || { echo "the engine is busy" >&2; exit 1; }; case $4 in k1) ;; *) exit 1;; esac; case $3 in *'"TOKEN"'*) echo "TOKEN=kept\nx";; *'"PW"'*) echo "PW=keptx";; *) echo;; esac;;
esac
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    return tmp_path


def kept(what: Keeper) -> str:
    return f"{values.capture(STACK, (), always=True)}\n{keeper.keep(STACK, what)}"


def run(fake: Path, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{fake}:{os.environ['PATH']}", "FAKE": str(fake), **env}
    return subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True)


VALUE = 'it\'s "$X" `id`\n\n'


def test_values_are_kept_byte_for_byte_and_stand_in_no_command_line(fake: Path) -> None:
    script = f'old_TOKEN="$GIVEN" has_TOKEN=1 old_PW=pw has_PW=1\n{kept(KEPT)}'
    done = run(fake, script, GIVEN=VALUE)
    assert (done.returncode, done.stdout) == (0, "")
    assert ((fake / "TOKEN").read_text(), (fake / "PW").read_text()) == (VALUE, "pw")
    calls = (fake / "calls").read_text()
    assert "-e TOKEN -e PW" in calls
    assert "--label io.ktrdr.deploy.variables=shop-1 --label io.ktrdr.deploy.release=r0" in calls
    assert "id" not in calls.replace("sha256", "")


def test_what_cannot_be_kept_stops_the_switch_before_it_begins(fake: Path) -> None:
    done = run(fake, f"old_TOKEN=x has_TOKEN=1\n{kept(KEPT)}\necho begun", FAILS="1")
    assert (done.returncode, done.stdout) == (
        ScriptExit.NO_OLD_VALUES,
        "what only a shell had cannot be kept: no space left\n",
    )
    assert keeper.keep(STACK, None) == ":"


def test_what_containers_had_as_files_is_kept_as_files_and_shown_by_no_inspect(fake: Path) -> None:
    as_file = Keeper("r0", ("CERT",), ("PW",), "h/web@sha256:1", files=("CERT",))
    (fake / "memory").mkdir()
    script = f'old_CERT="$GIVEN" has_CERT=1 old_PW=pw has_PW=1\n{kept(as_file)}'
    done = run(fake, script, GIVEN=VALUE, TMPDIR=f"{fake}/memory")
    assert (done.returncode, done.stdout) == (0, "")
    assert (fake / "k1" / "CERT").read_text() == VALUE
    assert not list((fake / "memory").iterdir())
    calls = (fake / "calls").read_text()
    assert ("-e PW" in calls, "-e CERT" in calls) == (True, False)
    again = run(
        fake,
        f'{values.capture(STACK, (), always=True)}\n{keeper.recall(STACK, [Keeper("r0", ("CERT",))])}\nprintf %s "$old_CERT"',
    )
    assert again.stdout == VALUE
    full = run(fake, script, GIVEN=VALUE, FULL="1")
    assert (full.returncode, full.stdout) == (
        ScriptExit.NO_OLD_VALUES,
        "what only a shell had cannot be kept: no space left\n",
    )


def test_another_attempt_keeps_what_no_container_has_any_more(fake: Path) -> None:
    """The service that had it was removed by hand after the first one."""
    done = run(fake, f"old_PW=now has_PW=1\n{kept(KEPT)}")
    assert (done.returncode, done.stdout) == (0, "")
    assert ((fake / "TOKEN").read_text(), (fake / "PW").read_text()) == ("kept\n", "now")
    calls = (fake / "calls").read_text().splitlines()
    made = next(n for n, call in enumerate(calls) if call.startswith("create"))
    removed = next(n for n, call in enumerate(calls) if call == f"rm -f {NAME}")
    assert made < removed


@pytest.mark.parametrize("fails", ["FAILS", "REFUSED", "SILENT"])
def test_what_was_kept_stays_where_it_cannot_be_kept_again(fake: Path, fails: str) -> None:
    done = run(fake, kept(KEPT), **{fails: "1"})
    assert done.returncode == ScriptExit.NO_OLD_VALUES
    assert done.stdout
    assert f"rm -f {NAME}\n" not in (fake / "calls").read_text()


def recalled(fake: Path, what: Keeper, before: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    script = f'{values.capture(STACK, (), always=True)}\n{before}\n{keeper.recall(STACK, [what])}\nprintf "%s|%s" "$old_TOKEN" "$old_PW"'
    return run(fake, script, **env)


def test_a_shells_variable_is_what_it_was_and_a_secret_what_it_is(fake: Path) -> None:
    running = "old_TOKEN=other has_TOKEN=1 old_PW=new has_PW=1"
    both = Keeper("r0", ("TOKEN",), ("PW",))
    assert recalled(fake, both, running).stdout == "kept\n|new"
    assert recalled(fake, both).stdout == "kept\n|kept"


def test_a_value_that_is_kept_nowhere_stops_the_switch_with_its_name(fake: Path) -> None:
    done = recalled(fake, Keeper("r0", ("ABSENT",)))
    assert done.returncode == ScriptExit.NO_OLD_VALUES
    assert "ABSENT, which that release needs, is kept nowhere on the host any more" in done.stdout
    assert recalled(fake, Keeper("r0", ("TOKEN",)), GONE="1").returncode == ScriptExit.NO_OLD_VALUES


def test_what_no_kept_release_needs_is_removed_and_nothing_of_another_project_of_the_host(fake: Path) -> None:
    release = Release("r0", "1", None, {}, {}, carried=("TOKEN",), carried_from="r0")
    script = f'discard() {{ echo "$1"; }}\n{keeper.forget_old(STACK, [release])}'
    assert run(fake, script).stdout == "k2\nk3\n"
