"""Keys that sign, and those that do not; a security key in an agent cannot be had here for real."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
from paramiko.message import Message

from deploy_lib.ssh.agent import Agent, AgentError
from deploy_lib.ssh.asking import Asker
from deploy_lib.ssh.keyfiles import UnusableError
from deploy_lib.ssh.keys import Candidate


class Told(Asker):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def tell(self, line: str) -> None:
        self.lines.append(line)


class Holder:
    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.asked: list[tuple[Any, ...]] = []

    def sign(self, *asked: Any) -> bytes:
        self.asked.append(asked)
        if self.refuses:
            raise AgentError("the agent at /a refuses")
        return b"signature"


def security_key(holder: Holder) -> Candidate:
    blob = Message()
    blob.add_string("sk-ssh-ed25519@openssh.com")
    whole = blob.asbytes()
    return Candidate("blue key of the agent", whole, whole, None, cast(Agent, holder), whole)


def test_a_touch_is_asked_for_by_the_keys_name() -> None:
    holder, person = Holder(), Told()
    candidate = security_key(holder)
    assert not candidate.silent  # so the server is asked first whether it would do
    assert candidate.sign(b"data", candidate.kind, person, 3) == b"signature"
    assert person.lines == ["touch the security key blue key of the agent"]
    assert holder.asked == [(candidate.blob, b"data", 0)]


def test_a_touch_that_does_not_come_is_a_key_that_cannot_be_used() -> None:
    with pytest.raises(UnusableError, match="refuses to sign"):
        security_key(Holder(refuses=True)).sign(b"data", "sk-ssh-ed25519@openssh.com", Told(), 3)


def test_a_key_that_is_shorter_than_ssh_config_wants_is_not_shown(tmp_path: Path) -> None:
    key = paramiko.RSAKey.generate(1024)
    key.write_private_key_file(str(tmp_path / "id"))
    for candidate in (
        Candidate("id", key.asbytes(), key.asbytes()),
        Candidate("id", None, None, tmp_path / "id"),
    ):
        with pytest.raises(UnusableError, match="it has 1024 bits, and RequiredRSASize is 2048"):
            candidate.open(Told(), 3, 2048)
        candidate.open(Told(), 3, 1024)
