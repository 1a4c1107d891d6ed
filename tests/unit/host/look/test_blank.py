"""Which variables without a value count: those of services in use. A fake Compose renders, and warns as the real one does."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from deploy_lib.host.look import blank
from tests.unit import build

# It renders the variables of a service in use, and knows others of one that is not; NUMBER is a port.
DOCKER = """#!/bin/sh
case $NUMBER in ''|*[!0-9]*) [ -z "$STRICT" ] || [ -z "$NUMBER" ] || exit 15;; esac
[ -z "$NEVER" ] || exit 15
printf '{"services": {"web": {"image": "x", "build": {"target": "%s"}, "command": ["%s", "%s"]}}, "x-part": ["%s"]}' "$BUILT" "$USED" "$NUMBER" "$UNUSED"
"""


def asked(folder: Path, *names: str, **env: str) -> frozenset[str]:
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    warnings = "".join(
        f'time="2026-11-29T12:00:00Z" level=warning msg="The \\\\"{name}\\\\" variable is not set. Defaulting to a blank string."\n'
        for name in names
    )
    (folder / "said").write_text(warnings + "something else\n")
    script = f"t={folder}\n{blank.function(build.stack())}\nblank"
    done = subprocess.run(
        ["sh", "-c", script],
        env={"PATH": f"{folder}:{os.environ['PATH']}", **env},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return blank.read_blank(done.stdout)


def test_a_variable_of_a_service_in_use_counts(tmp_path: Path) -> None:
    assert asked(tmp_path, "USED", "UNUSED", "NUMBER") == {"USED", "NUMBER"}
    assert asked(tmp_path, "UNUSED", "BUILT") == frozenset()
    assert asked(tmp_path) == frozenset()


def test_one_that_must_be_a_number_is_found_as_one(tmp_path: Path) -> None:
    assert asked(tmp_path, "NUMBER", "UNUSED", STRICT="1") == {"NUMBER"}


def test_where_nothing_can_be_rendered_all_of_them_count(tmp_path: Path) -> None:
    assert asked(tmp_path, "UNUSED", "USED", NEVER="1") == {"UNUSED", "USED"}


@pytest.mark.parametrize("said", ["not a name\n$x", json.dumps([1])])
def test_what_is_no_list_of_names_is_not_understood(said: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        blank.read_blank(said)
