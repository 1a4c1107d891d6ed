"""The script that prunes, run for real with a `docker` whose images are files of a directory."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from deploy_lib.host.change import prune
from deploy_lib.host.change.lock import lock_script, me
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from tests.unit import build

KEPT, OLD = (Image.parse(f"h/x:{n}@sha256:{str(n) * 64}") for n in (1, 2))
RELEASE = Release("r1", "t", None, {"web": KEPT}, {"a": "kept"})

# A tag is a file that holds an image's id; an image is a file, too, and is there as long as it is.
DOCKER = """#!/bin/sh
cd "$FAKE/images" || exit 1
for last; do f=$(echo "$last" | tr / +); done
case "$1 $2" in
  "images --format") [ ! -e "$FAKE/down" ] && for x in *:*; do echo "$x" | tr + /; done;;
  "image inspect")
    case "$*" in
      *RepoTags*)
        for x in *:*; do [ "$(cat "$x")" = "$last" ] && echo "$x" | tr + /; done
        echo "h/x@sha256:digest"
        [ ! -e "$FAKE/shared" ] || echo somebody/else:1;;
      *) cat "$f" 2>/dev/null || { echo "Error: No such image: $last" >&2; exit 1; };;
    esac;;
  "ps "*) case "$*" in *"ancestor=i2"*) [ ! -e "$FAKE/used" ] || echo c1;; *) exit 9;; esac;;
  "rmi i"*) [ ! -e "$FAKE/shared" ] && rm "$f";;
  "rmi "*) [ ! -e "$FAKE/refused" ] && rm "$f";;
esac
"""


class Host:
    """A directory that stands for a host, with a lock that a test holds."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, PurePosixPath(folder / "home")
        self.stack = build.stack(str(self.home))
        self.objects = Path(self.home / ".deploy/objects")
        self.objects.mkdir(parents=True)
        (folder / "images").mkdir()
        for name in ("kept", "old", "older"):
            (self.objects / name).touch()
        for image, identity in ((KEPT, "i1"), (OLD, "i2")):
            (folder / "images" / image.keep_tag(self.stack.keep_key).replace("/", "+")).write_text(identity)
            (folder / "images" / identity).write_text(identity)
        (folder / "docker").write_text(DOCKER)
        (folder / "docker").chmod(0o755)
        self.env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "FAKE": str(folder)}
        self.owner = me("a test")
        self.holder = subprocess.Popen(
            ["sh", "-c", lock_script(self.home, self.owner, 0, 5)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "locked\n"

    def prune(self, token: str | None = None, *past: Release) -> subprocess.CompletedProcess[str]:
        script = prune.locked_prune_script(self.stack, [RELEASE], token or self.owner.token, past=past)
        return subprocess.run(["sh", "-c", script], env=self.env, capture_output=True, text=True)

    def foresee(self) -> subprocess.CompletedProcess[str]:
        script = prune.prune_script(self.stack, [RELEASE], dry_run=True)
        return subprocess.run(["sh", "-c", script], env=self.env, capture_output=True, text=True)

    def left(self) -> tuple[set[str], int]:
        """The files that are there, and how many images."""
        images = [path for path in (self.folder / "images").iterdir() if ":" not in path.name]
        return {path.name for path in self.objects.iterdir()}, len(images)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.holder.kill()
    host.holder.wait()


def test_what_no_kept_release_needs_goes_and_is_named(host: Host) -> None:
    done = host.prune()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["removed file old", "removed file older", "removed image i2"]
    assert host.left() == ({"kept"}, 1)
    again = host.prune()
    assert (again.returncode, again.stdout) == (0, "")


def test_what_cannot_be_removed_stays_is_said_and_keeps_nothing_else(host: Host) -> None:
    (host.objects / "old").unlink()
    (host.objects / "old").mkdir()
    done = host.prune()
    assert done.returncode == 1
    assert "old" in done.stderr
    assert done.stdout.splitlines() == ["removed file older", "removed image i2"]


@pytest.mark.parametrize("trouble", ["refused", "down"])
def test_an_engine_that_refuses_or_is_down_is_no_success(host: Host, trouble: str) -> None:
    (host.folder / trouble).touch()
    assert host.prune().returncode == 1
    assert host.left() == ({"kept"}, 2)


def test_an_image_that_a_container_uses_stays_protected_until_it_does_not(host: Host) -> None:
    (host.folder / "used").touch()
    assert host.prune().returncode == 0
    assert host.left() == ({"kept"}, 2)
    (host.folder / "used").unlink()
    assert host.prune().stdout == "removed image i2\n"


def test_nothing_is_removed_by_who_does_not_hold_the_lock(host: Host) -> None:
    done = host.prune("another token")
    assert (done.returncode, done.stderr) == (1, "the lock has lapsed\n")
    assert host.left() == ({"kept", "old", "older"}, 2)


def test_nothing_is_removed_while_a_switch_runs(host: Host) -> None:
    lock = host.home / ".deploy/switch.lock"
    with subprocess.Popen(["flock", str(lock), "cat"], stdin=subprocess.PIPE) as switch:
        while subprocess.run(["flock", "-n", str(lock), "true"]).returncode == 0:
            pass
        done = host.prune()
        assert switch.stdin is not None
        switch.stdin.close()
    assert (done.returncode, done.stderr) == (1, "a switch is still running\n")
    assert host.left() == ({"kept", "old", "older"}, 2)


def test_an_image_that_has_other_names_is_not_said_to_be_gone(host: Host) -> None:
    (host.folder / "shared").touch()
    done = host.prune()
    assert (done.returncode, "image" in done.stdout) == (0, False)
    assert host.left() == ({"kept"}, 2)


@pytest.mark.parametrize("key", ["workers", "shop-2.", "shop", "shop-1"])
def test_what_another_stack_of_the_host_protects_is_not_this_one_s_to_prune(host: Host, key: str) -> None:
    """Be it one of the same name in another project, and whatever a version before has called it."""
    theirs = [host.folder / "images" / image.keep_tag(key).replace("/", "+") for image in (KEPT, OLD)]
    for tag in theirs:
        tag.write_text("i3")
    (host.folder / "images/i3").write_text("i3")
    assert host.prune().returncode == 0
    assert host.left() == ({"kept"}, 2)
    assert all(tag.exists() for tag in theirs)


def test_what_a_version_before_has_protected_for_a_recorded_release_goes_with_it(host: Host) -> None:
    former = [host.folder / "images" / image.keep_tag("shop").replace("/", "+") for image in (KEPT, OLD)]
    for tag, identity in zip(former, ("i1", "i2"), strict=True):
        tag.write_text(identity)
    done = host.prune(None, RELEASE, Release("r0", "t", None, {"web": OLD}, {}))
    assert done.returncode == 0, done.stderr
    assert host.left() == ({"kept"}, 1)
    assert [tag.exists() for tag in former] == [True, False]


@pytest.mark.parametrize("trouble", [None, "used", "shared"])
def test_a_dry_run_tells_what_pruning_then_removes_and_removes_nothing(
    host: Host, trouble: str | None
) -> None:
    if trouble:
        (host.folder / trouble).touch()
    foreseen, before = host.foresee(), host.left()
    assert (foreseen.returncode, before) == (0, ({"kept", "old", "older"}, 2))
    assert host.prune().stdout == foreseen.stdout
    assert ("image i2" in foreseen.stdout) == (trouble is None)


def test_a_dry_run_of_an_engine_that_is_down_is_no_success(host: Host) -> None:
    (host.folder / "down").touch()
    assert host.foresee().returncode == 1


@pytest.mark.parametrize("names", [["h/x:1"], ["h/y:1"], ["h/x:1", "h/x:2"]])
def test_an_image_by_other_names_goes_where_docker_would_let_it(host: Host, names: list[str]) -> None:
    for name in names:
        (host.folder / "images" / name.replace("/", "+")).write_text("i2")
    assert ("image i2" in host.foresee().stdout) == (names == ["h/x:1"])
