"""Replicas of a kind are replaced one after the other, by the functions of the switch, with a `docker` that only remembers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy_lib.host.change import rolling
from deploy_lib.host.change.in_turn import Turn
from deploy_lib.host.change.step import shown_of
from tests.unit import build

SHELLS = [["sh"], ["bash"], *([["busybox", "sh"]] if shutil.which("busybox") else [])]
SERVICES = ("job-1", "job-2", "job-3")

DOCKER = """#!/bin/sh
# A container is a file of its service's name: its id, state, hash and health, and how long it has run.
echo "$*" >> "$FAKE/calls"
for last; do :; done
case $1 in
  version) exit 0;;
  ps)
    for a; do case $a in *service=*) service=${a##*service=};; id=*) wanted=${a#id=};; esac; done
    for f in "$FAKE"/c/*; do
      read -r id state hash health age < "$f"
      case $last in
        *Status*) if [ -e "$FAKE/refuse" ]; then r=$(cat "$FAKE/refuse"); rm "$FAKE/refuse"; exit "$r"; fi
          [ "$id" != "$wanted" ] || echo "Up $age";;
        *) [ "${f##*/}" != "$service" ] || echo "$id $state $hash";;
      esac
    done;;
  inspect)
    for f in "$FAKE"/c/*; do
      read -r id state hash health age < "$f"
      [ "$id" != "$last" ] || echo "$state $health 0 0"
    done;;
  logs)
    n=$(($(cat "$FAKE/looks-$2" 2>/dev/null || echo 0) + 1))
    echo $n > "$FAKE/looks-$2"
    [ $n -lt 3 ] || cat "$FAKE/says" >&2;;
  compose) cat "$FAKE/wanted";;
esac
"""

SCRIPT = """\
engine() { true; }
hash_of() { true; }
some() {
  echo "some $1" >> "$FAKE/calls"
  [ ! -e "$FAKE/kept" ] || return 0
  h=$(cat "$FAKE/made" 2>/dev/null || sed -n "s/^$1 //p" "$FAKE/wanted")
  echo "new-$1 running $h $(cat "$FAKE/health" 2>/dev/null || echo healthy) 2 seconds" > "$FAKE/c/$1"
}
"""


class Host:
    """Three replicas that run an old configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "c").mkdir()
        (folder / "docker").write_text(DOCKER)
        (folder / "docker").chmod(0o755)
        for service in SERVICES:
            self.container(service, f"old-{service}", "h1")
        self.tell("wanted", "".join(f"{service} h2\n" for service in SERVICES))
        self.tell("says", "it is registered as one of them\n")

    def container(
        self, service: str, name: str, its_hash: str, state: str = "running", age: str = "2 days"
    ) -> None:
        self.tell(f"c/{service}", f"{name} {state} {its_hash} healthy {age}\n")

    def tell(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def run(
        self, log: str = "registered as", shell: Sequence[str] = ("sh",), timeout: int = 30
    ) -> subprocess.CompletedProcess[str]:
        stack = build.stack(healthy_timeout=timeout)
        functions = rolling.functions(stack, stack.project, [Turn("job", SERVICES, log)])
        self.tell("calls", "")
        return subprocess.run(
            [*shell, "-c", f"{SCRIPT}\n{functions}\nroll_0 && keep_0 && settle_0"],
            env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "FAKE": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )

    @property
    def order(self) -> list[str]:
        """Which were replaced, and which logs were asked, once each in a row."""
        found: list[str] = []
        for call in (self.folder / "calls").read_text().splitlines():
            if call.startswith(("some ", "logs ")) and found[-1:] != [call]:
                found.append(call)
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_next_one_goes_when_the_new_one_before_it_has_said_so(host: Host, shell: list[str]) -> None:
    done = host.run(shell=shell)
    assert done.returncode == 0, done.stdout
    assert host.order == [line for name in SERVICES for line in (f"some {name}", f"logs new-{name}")]
    assert "job-3: its new container does its work" in done.stdout


def test_a_new_one_is_waited_for_whatever_hash_compose_gives_it(host: Host) -> None:
    """Of one that is part of another container, it has that one's id in it."""
    host.tell("made", "h2-with-an-id")
    host.tell("health", "unhealthy")
    done = host.run(timeout=1)
    assert (done.returncode, host.order) == (1, ["some job-1"])
    assert "the new container of job-1 is not healthy: its health check fails" in done.stdout


def test_where_compose_makes_none_those_that_run_are_meant(host: Host) -> None:
    host.tell("kept", "")
    done = host.run()
    assert done.returncode == 0, done.stdout
    assert host.order == [f"some {name}" for name in SERVICES]


def test_without_a_line_of_its_log_it_is_enough_that_it_is_healthy(host: Host) -> None:
    assert host.run(log="").returncode == 0
    assert host.order == [f"some {name}" for name in SERVICES]


def test_one_that_never_says_so_keeps_the_next_ones_from_being_replaced(host: Host) -> None:
    host.tell("says", "it is lost\n")
    done = host.run(timeout=2)
    assert done.returncode == 1
    assert "=== ill job-1 new-job-1" in done.stdout
    assert "a new container of job-1 has not said in its log: registered as" in done.stdout
    assert [line for line in host.order if line.startswith("some")] == ["some job-1"]


def test_one_that_is_ill_does_too(host: Host) -> None:
    host.tell("health", "unhealthy")
    done = host.run(timeout=2)
    assert done.returncode == 1
    assert "=== ill job-1 new-job-1" in done.stdout
    assert host.order == ["some job-1"]


def test_what_is_as_it_is_to_be_is_left_alone(host: Host) -> None:
    host.tell("wanted", "".join(f"{service} h1\n" for service in SERVICES))
    done = host.run()
    assert (done.returncode, done.stdout, host.order) == (0, "", [])


def test_one_that_a_switch_before_has_made_is_waited_for_first(host: Host) -> None:
    host.container("job-1", "made-before", "h2", age="4 seconds")
    assert host.run().returncode == 0
    assert host.order[:2] == ["logs made-before", "some job-2"]


def test_of_one_that_has_run_for_days_the_log_is_not_asked(host: Host) -> None:
    host.container("job-1", "made-long-ago", "h2")
    assert host.run().returncode == 0
    assert host.order[0] == "some job-2"


@pytest.mark.parametrize("status", [0, 1], ids=["it has ended", "the engine refuses"])
def test_one_of_which_it_is_not_known_how_long_it_has_run_is_not_taken_to_be_at_its_work(
    host: Host, status: int
) -> None:
    host.tell("refuse", f"{status}\n")
    done = host.run()
    assert done.returncode == 0, done.stdout
    assert host.order[:3] == ["some job-1", "logs new-job-1", "some job-2"]


def test_one_that_does_not_run_is_left_to_compose(host: Host) -> None:
    host.container("job-2", "old-job-2", "h1", state="exited")
    assert host.run(log="").returncode == 0
    assert host.order == ["some job-1", "some job-3"]


def test_a_dry_run_shows_the_calls_one_after_the_other() -> None:
    stack = build.stack()
    (step,) = rolling.forward_steps(stack.project, [Turn("job", SERVICES)], "")
    shown = shown_of([step])
    assert [name for line in shown for name in SERVICES if line.endswith(f" {name}")] == [
        name for name in SERVICES for _ in range(2)
    ]
