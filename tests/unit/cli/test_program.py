import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from invoke.exceptions import Exit

from deploy_lib.cli import program
from deploy_lib.cli.program import join_hosts, refuse_useless_flags
from deploy_lib.errors import UsageError
from deploy_lib.ssh.resolve import resolve


@pytest.mark.parametrize(
    ("typed", "joined"),
    [
        ("fab -H a -H b status", "fab -H a,b status"),
        ("fab -H a --hosts=b,c status --json", "fab -H a,b,c status --json"),
        ("fab -d --hosts a status -H b", "fab -d -H a,b status"),
        ("fab -H a status", "fab -H a status"),
        ("fab -H a,b status", "fab -H a,b status"),
        ("fab --list", "fab --list"),
        ("fab -H a -- ssh -H b", "fab -H a -- ssh -H b"),
        ("fab -H a status -H", "fab -H a status -H"),
        ("fab -Ha -Hb status", "fab -H a,b status"),
        ("fab -H a -Hb status", "fab -H a,b status"),
        ("fab -Ha status -H b", "fab -H a,b status"),
        ("fab -Ha status", "fab -Ha status"),
    ],
)
def test_hosts_that_are_given_one_by_one_are_one_list(typed: str, joined: str) -> None:
    assert join_hosts(typed.split()) == joined.split()


def refused(monkeypatch: pytest.MonkeyPatch, **given: object) -> bool:
    """Whether a command line of Fabric with these flags ends before its task begins."""
    args = {name.replace("_", "-"): SimpleNamespace(value=value) for name, value in given.items()}
    core = SimpleNamespace(unparsed=["status", "--json"])
    monkeypatch.setattr(program, "_running", lambda: iter([SimpleNamespace(args=args, core=core)]))
    try:
        refuse_useless_flags()
    except Exit as end:
        return end.code == 2
    return False


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("file", ""),
        ("device", ""),
        ("pipe", "is a pipe"),
        ("folder", "there is no ssh_config"),
        ("", "there is no ssh_config"),
    ],
)
def test_an_ssh_config_is_what_ssh_reads_more_than_once(
    kind: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path("/dev/null") if kind == "device" else tmp_path / "ssh_config"
    make = {"file": path.touch, "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}
    make.get(kind, lambda: None)()
    assert refused(monkeypatch, ssh_config=str(path)) == bool(said)
    out, err = capsys.readouterr()
    assert said in err
    assert not said or (json.loads(out)["command"], json.loads(out)["exit"]) == ("status", 2)
    if said:
        with pytest.raises(UsageError, match=said):
            resolve("a.example", path)
    else:
        assert resolve("a.example", path).hostname == "a.example"


@pytest.mark.parametrize("flag", ["prompt_for_login_password", "prompt_for_passphrase", "connect_timeout"])
def test_a_flag_that_a_verified_connection_does_not_read_is_refused(
    flag: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(monkeypatch, **{flag: 5})
    assert f"--{flag.replace('_', '-')} means nothing" in capsys.readouterr().err
    assert not refused(monkeypatch, **{flag: False})
