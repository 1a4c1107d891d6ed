"""A message that comes too late for its channel ends neither the connection nor another script's input.

Whoever sends is held up between the making of a message and its sending, as long as it takes: a busy machine does that, too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import paramiko
import pytest
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EOF
from paramiko.message import Message

from deploy_lib.ssh.process import Process
from deploy_lib.ssh.session import Session

from .conftest import Sshd

ECHO = "echo begun; read -r x; echo $x"


@contextmanager
def held_up(kind: int, until: Callable[[int], object]) -> Iterator[None]:
    """This thread's first message of a kind waits before it is sent.

    Args:
        until: gets the number that the host has given to the message's channel.
    """
    own, send, waited = (
        threading.current_thread(),
        vars(paramiko.Transport)["_send_user_message"],
        list[int](),
    )

    def late(transport: paramiko.Transport, message: Message) -> None:
        data = message.asbytes()
        if threading.current_thread() is own and data[0] == kind and not waited:
            waited.append(kind)
            until(int.from_bytes(data[1:5], "big"))
        send(transport, message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paramiko.Transport, "_send_user_message", late)
        yield
    assert waited


def await_freed(sshd: Sshd, already: str, number: int) -> None:
    """Waits until the host has forgotten a channel, so that its number is nobody's.

    Args:
        already: its log before.
    """
    deadline = time.monotonic() + 20
    while f"channel {number}: free" not in sshd.log.removeprefix(already):
        assert time.monotonic() < deadline, "the script does not end"
        time.sleep(0.01)


def begun(session: Session) -> Process:
    process = session.start(ECHO, keep_stdin=True)
    assert next(iter(process)) == "begun"
    return process


def answers(process: Process) -> bool:
    process.send(b"still here\n")
    return list(process) == ["still here"]


def test_a_script_that_ends_before_the_end_of_its_input_is_sent_ends_no_session(
    session: Session, sshd: Sshd
) -> None:
    other, already = begun(session), sshd.log
    with held_up(MSG_CHANNEL_EOF, lambda number: await_freed(sshd, already, number)):
        assert session.run("echo done").stdout == "done\n"
    assert answers(other)
    session.require_alive()


def test_what_is_said_to_a_script_that_has_ended_ends_no_session(session: Session, sshd: Sshd) -> None:
    other, already = begun(session), sshd.log
    channel = session.connection.create_session()
    with held_up(MSG_CHANNEL_DATA, lambda number: await_freed(sshd, already, number)):
        channel.exec_command("exit 3")
        channel.sendall(b"more\n")
    assert answers(other)
    session.require_alive()


def test_the_end_of_one_scripts_input_is_not_that_of_a_newer_one_with_its_number(
    session: Session, sshd: Sshd
) -> None:
    already = sshd.log
    newer: list[Process] = []

    def until(number: int) -> None:
        await_freed(sshd, already, number)
        # What the log says may be of an earlier test's connection; the number is free a moment later then.
        while not newer or newer[-1]._channel.remote_chanid != number:
            assert len(newer) < 5, "the number stays taken"
            newer.append(session.start(ECHO, keep_stdin=True))
            time.sleep(0.05)

    with held_up(MSG_CHANNEL_EOF, until):
        session.run(":")
    assert next(iter(newer[-1])) == "begun"
    assert answers(newer[-1])
