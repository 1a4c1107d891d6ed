"""What lives in a container that was started after it is started again, by the function of the switch."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy_lib.host.change import rejoin
from deploy_lib.shell import INSPECT
from tests.unit import build

STACK = build.stack()
DOCKER = r"""
docker() {
  case $1 in
    ps)
      [ ! -e "$H/dead" ] || return 1
      for word; do :; done
      [ ! -e "$H/of.${word##*=}" ] || cat "$H/of.${word##*=}";;
    inspect)
      [ ! -e "$H/silent" ] || return 1
      case $3 in *StartedAt*) [ -e "$H/at.$4" ] || { echo "Error: No such object: $4" >&2; return 1; }; echo "$(cat "$H/state.$4" 2>/dev/null || echo running) $(cat "$H/at.$4")";; *) cat "$H/in.$4";; esac;;
    restart) echo "$2" >> "$H/again"; [ ! -e "$H/refuse" ] || return 1; echo 2026-01-01T00:00:09Z > "$H/at.$2";;
  esac
}
timeout() { [ "$3" -gt 0 ] && shift 3 && "$@"; }
"""


def again(
    folder: Path,
    containers: Mapping[str, tuple[str, str, str]],
    services: Sequence[str],
    **signs: str,
) -> tuple[int, list[str]]:
    """The exit status, and which were started again.

    Args:
        containers: by id, its service, when it was started, and what it lives in.
        signs: files that `docker` reads.
    """
    for name, (service, second, modes) in containers.items():
        with (folder / f"of.{service}").open("a") as file:
            file.write(f"{name}\n")
        (folder / f"at.{name}").write_text(f"2026-01-01T00:00:{second}Z\n")
        (folder / f"in.{name}").write_text(f"{modes}\n")
    for name, text in signs.items():
        (folder / name.replace("_", ".")).write_text(text)
    script = f"H={folder}\n{DOCKER}\n{INSPECT}\n{rejoin.function(STACK, STACK.project, services)}\nrejoin"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert done.stderr.strip() == ""
    told = folder / "again"
    return done.returncode, told.read_text().split() if told.exists() else []


def test_only_what_lives_in_one_that_was_started_later_is_started_again(tmp_path: Path) -> None:
    containers = {
        "vpn": ("vpn", "05.5", "shop_default  private"),
        "old": ("part", "05.12", "container:vpn  private"),
        "new": ("part", "05.51", "private container:vpn "),
        "alone": ("web", "01", "host host "),
        "orphan": ("web", "01", "container:gone  "),
    }
    assert again(tmp_path, containers, ["part", "web"]) == (0, ["old"])


def test_what_lives_in_one_that_was_started_again_is_so_too(tmp_path: Path) -> None:
    containers = {
        "inner": ("inner", "03", "private container:part "),
        "part": ("part", "02", "container:vpn  "),
        "vpn": ("vpn", "04", "x  "),
    }
    code, told = again(tmp_path, containers, ["inner", "part"])
    assert (code, told) == (0, ["part", "inner"])


def test_one_that_does_not_start_again_fails_the_switch(tmp_path: Path) -> None:
    containers = {"part": ("part", "02", "container:vpn  "), "vpn": ("vpn", "04", "x  ")}
    assert again(tmp_path, containers, ["part"], refuse="") == (1, ["part"])


def test_where_nothing_is_part_of_another_nothing_is_asked(tmp_path: Path) -> None:
    assert "docker" not in rejoin.function(STACK, STACK.project, [])


def test_an_engine_that_does_not_answer_is_not_taken_for_one_without_containers(tmp_path: Path) -> None:
    containers = {"part": ("part", "02", "container:vpn  "), "vpn": ("vpn", "04", "x  ")}
    assert again(tmp_path, containers, ["part"], dead="") == (1, [])


def test_nor_is_one_that_does_not_say_what_a_container_lives_in_taken_for_one_in_which_it_lives_in_none(
    tmp_path: Path,
) -> None:
    containers = {"part": ("part", "02", "container:vpn  "), "vpn": ("vpn", "04", "x  ")}
    assert again(tmp_path, containers, ["part"], silent="") == (1, [])


def test_what_lives_in_one_that_keeps_crashing_is_left_as_it_is(tmp_path: Path) -> None:
    """Docker would stop it, and could not start it."""
    containers = {"part": ("part", "02", "container:vpn  "), "vpn": ("vpn", "04", "x  ")}
    assert again(tmp_path, containers, ["part"], state_vpn="restarting") == (0, [])
