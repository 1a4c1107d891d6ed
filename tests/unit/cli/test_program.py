from pathlib import Path
from types import SimpleNamespace

import pytest
from invoke.exceptions import Exit

from deploy_lib.cli import program
from deploy_lib.cli.program import join_hosts, require_ssh_config


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
    ],
)
def test_hosts_that_are_given_one_by_one_are_one_list(typed: str, joined: str) -> None:
    assert join_hosts(typed.split()) == joined.split()


@pytest.mark.parametrize("there", [True, False])
def test_an_ssh_config_that_is_not_there_is_a_bad_argument(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = SimpleNamespace(args={"ssh-config": SimpleNamespace(value=str(tmp_path / "ssh_config"))})
    monkeypatch.setattr(program, "_running", lambda: iter([given]))
    if there:
        (tmp_path / "ssh_config").touch()
        require_ssh_config()
        return
    with pytest.raises(Exit) as caught:
        require_ssh_config()
    assert caught.value.code == 2
    assert "-S: there is no file" in capsys.readouterr().err
