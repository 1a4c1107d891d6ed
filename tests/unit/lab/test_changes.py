"""A changed host is waited for until the change is noticed."""

import subprocess
from pathlib import Path

import pytest

from tests.lab.changes import await_seen, changed


def sh(script: str, *, check: bool = True) -> str:
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=check)
    return done.stdout


def test_the_block_begins_when_the_change_is_seen_and_ends_when_it_is_no_longer(tmp_path: Path) -> None:
    """As with what keeps an answer for some time: it notices half a second later."""
    noticed = tmp_path / "noticed"
    later = "(sleep 0.5; {}) >/dev/null 2>&1 &"
    with changed(sh, later.format(f"touch {noticed}"), later.format(f"rm {noticed}"), f"[ -e {noticed} ]"):
        assert noticed.exists()
    assert not noticed.exists()


def test_what_is_never_seen_fails_the_test_and_is_undone(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(AssertionError, match="not noticed"):
        await_seen(sh, "false", seconds=0.3)
    with pytest.raises(RuntimeError), changed(sh, f"touch {made}", f"rm {made}", f"[ -e {made} ]"):
        raise RuntimeError
    assert not made.exists()
