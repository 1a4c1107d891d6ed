"""Key files in all formats that ssh-keygen writes, and files that are none."""

from __future__ import annotations

import base64
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy_lib.ssh import keyfiles
from deploy_lib.ssh.asking import Asker
from deploy_lib.ssh.keyfiles import UnusableError, is_encrypted, is_private, load, public


class Person(Asker):
    """Somebody with these answers."""

    def __init__(self, *answers: str) -> None:
        super().__init__()
        self.answers_left = list(answers)

    @property
    def there(self) -> bool:
        return True

    def secret(self, question: str) -> str:
        return self.answers_left.pop(0)


def make(path: Path, kind: str, form: str, phrase: str = "") -> bytes:
    """A key pair; gives the public half."""
    size = ["-b", "2048"] if kind == "rsa" else []
    form_of = [] if form == "openssh" else ["-m", form]
    command = ["ssh-keygen", "-q", "-t", kind, *size, *form_of, "-N", phrase, "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return base64.b64decode(Path(f"{path}.pub").read_text().split()[1])


FORMS = [("ed25519", "openssh"), ("rsa", "openssh"), ("rsa", "PEM"), ("ecdsa", "PKCS8"), ("ecdsa", "PEM")]


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_each_format_is_read_with_and_without_a_passphrase(tmp_path: Path, kind: str, form: str) -> None:
    for name, phrase in (("clear", ""), ("locked", os.urandom(8).hex())):
        path = tmp_path / name
        blob = make(path, kind, form, phrase)
        assert is_private(path)
        assert is_encrypted(path) == bool(phrase)
        assert public(path) == public(Path(f"{path}.pub")) == blob
        assert load(path, Person("wrong", phrase), 3).asbytes() == blob
        # The passphrase was asked for once.
        assert load(path, Person(), 3).asbytes() == blob
        Path(f"{path}.pub").unlink()
        assert public(path) == (blob if form == "openssh" else None)


def test_a_key_without_a_passphrase_is_read_once_for_all_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The primes of an RSA key are checked each time, which takes longer than a whole login."""
    path = tmp_path / "key"
    blob = make(path, "rsa", "openssh")
    count = Mock(wraps=keyfiles.serialization.load_ssh_private_key)
    monkeypatch.setattr(keyfiles.serialization, "load_ssh_private_key", count)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: load(path, Person(), 3).asbytes(), range(8)))
    assert found == [blob] * 8
    assert count.call_count == 1
    for name in ("key", "key.pub"):
        (tmp_path / name).unlink()
    blob = make(path, "ed25519", "openssh")
    assert load(path, Person(), 3).asbytes() == blob
    path.chmod(0o640)
    with pytest.raises(UnusableError, match="others may read it"):
        load(path, Person(), 3)


def test_what_keeps_a_key_from_being_used_is_said(tmp_path: Path) -> None:
    path = tmp_path / "key"
    make(path, "ed25519", "openssh", os.urandom(8).hex())
    with pytest.raises(UnusableError, match="passphrase was not given\tssh-add"):
        load(path, Person("a", "b", "c"), 3)
    with pytest.raises(UnusableError, match="passphrase was not given"):
        load(path, Person(""), 3)
    with pytest.raises(UnusableError, match="no terminal to ask"):
        load(path, Asker(batch=True), 3)
    path.chmod(0o640)
    with pytest.raises(UnusableError, match=r"others may read it.*chmod 600"):
        load(path, Person(), 3)
    with pytest.raises(UnusableError, match="No such file"):
        load(tmp_path / "gone", Person(), 3)


def test_a_public_half_of_another_key_type_than_it_says_is_none(tmp_path: Path) -> None:
    path = tmp_path / "key"
    blob = make(path, "ed25519", "openssh")
    (tmp_path / "odd.pub").write_text(f"ssh-rsa {base64.b64encode(blob).decode()}\n")
    assert public(tmp_path / "odd.pub") is None
    assert not is_private(tmp_path / "odd.pub")


HEAD = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
TAIL = b"\n-----END OPENSSH PRIVATE KEY-----\n"
BODY = st.binary(max_size=200).map(lambda data: HEAD + base64.b64encode(b"openssh-key-v1\0" + data) + TAIL)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.one_of(st.binary(max_size=300), BODY, st.binary(max_size=100).map(lambda d: HEAD + d)))
def test_no_file_whatever_ends_in_anything_but_a_word(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(data)
    path.chmod(0o600)
    public(path)
    is_private(path)
    is_encrypted(path)
    with pytest.raises(UnusableError):
        load(path, Person("a", "b", "c"), 3)


def test_a_comment_may_have_bytes_that_are_no_text(tmp_path: Path) -> None:
    blob = make(tmp_path / "key", "ed25519", "openssh")
    (tmp_path / "key").unlink()
    line = (tmp_path / "key.pub").read_text().split()[:2]
    (tmp_path / "key.pub").write_bytes(" ".join(line).encode() + b" caf\xe9\n")
    assert public(tmp_path / "key") == blob
