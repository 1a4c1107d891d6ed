"""What `ssh -G` prints, read as `ssh` itself means it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy_lib.ssh import tokens
from deploy_lib.ssh.resolve import Options, resolve


def known_hosts(value: str) -> list[str]:
    return [str(path) for path in Options(f"userknownhostsfile {value}").target("a").trust.user_files]


def test_a_known_hosts_file_that_is_still_to_be_made_may_have_blanks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "home", lambda: tmp_path)
    assert known_hosts("/x/My Hosts/known") == ["/x/My Hosts/known"]
    assert known_hosts("/x/My Hosts/a  b /y/c d ~/e f /z") == [
        "/x/My Hosts/a  b", "/y/c d", f"{tmp_path}/e f", "/z"
    ]  # fmt: skip
    # One that exists counts, even with what begins another path.
    folder = tmp_path / "a " / "b"
    folder.mkdir(parents=True)
    (folder / "c").touch()
    assert known_hosts("~/a /b/c /z") == [str(folder / "c"), "/z"]
    assert known_hosts("none") == []


def test_bytes_that_are_no_text_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "ssh_config"
    for name in (b"caf\xe9", b"caf\xe8"):
        path.write_bytes(b"Host a\nIdentityFile /k/" + name + b"\nHost b\nIdentityFile /k/other\n")
        assert [bytes(file) for file in resolve("a", path).keys.files] == [b"/k/" + name]
    path.write_bytes(b"Host a\nIdentityFile /k/\xe9\nHost b\nIdentityFile /k/\xe8\n")
    assert [bytes(resolve(host, path).keys.files[0]) for host in "ab"] == [b"/k/\xe9", b"/k/\xe8"]
