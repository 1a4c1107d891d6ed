import getpass

import pytest

from deploy_lib.ssh.asking import Asker


def test_the_end_of_input_is_no_answer_and_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(_: str) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", ended)
    assert Asker().secret("Enter passphrase: ") == ""
