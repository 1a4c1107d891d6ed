"""A small SSH server for what OpenSSH's own does only with PAM: logins without a key, and questions."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import paramiko
from paramiko.server import InteractiveQuery


class Logins(paramiko.ServerInterface):
    """Who is let in.

    Args:
        methods: "none", "publickey", "keyboard-interactive": each has to succeed, in this order.
        questions: what "keyboard-interactive" asks; empty: nothing.
        answers: the right ones.
    """

    def __init__(self, methods: Sequence[str], questions: Sequence[str], answers: Sequence[str]) -> None:
        self.left = list(methods)
        self.questions = questions
        self.answers = list(answers)

    def get_allowed_auths(self, username: str) -> str:
        return ",".join(self.left[:1])

    def _passed(self, method: str) -> int:
        if self.left[:1] != [method]:
            return paramiko.AUTH_FAILED
        self.left.pop(0)
        return paramiko.AUTH_PARTIALLY_SUCCESSFUL if self.left else paramiko.AUTH_SUCCESSFUL

    def check_auth_none(self, username: str) -> int:
        return self._passed("none")

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._passed("publickey")

    def check_auth_interactive(self, username: str, submethods: str) -> int | InteractiveQuery:
        return InteractiveQuery("Two factors", "", *((text, False) for text in self.questions))

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        return (
            self._passed("keyboard-interactive") if list(responses) == self.answers else paramiko.AUTH_FAILED
        )

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_run, args=(channel, command), daemon=True).start()
        return True


def _run(channel: paramiko.Channel, command: bytes) -> None:
    with channel:
        stdin = b""
        while chunk := channel.recv(65536):
            stdin += chunk
        done = subprocess.run(["sh", "-c", command.decode()], input=stdin, capture_output=True, timeout=20)
        channel.sendall(done.stdout)
        channel.sendall_stderr(done.stderr)
        channel.send_exit_status(done.returncode)


class Server:
    """Serves until it is closed, on a loopback port.

    Args:
        key: the host's private key.
    """

    def __init__(
        self, key: Path, methods: Sequence[str], questions: Sequence[str] = (), answers: Sequence[str] = ()
    ) -> None:
        self._key = paramiko.Ed25519Key.from_private_key_file(str(key))
        self._logins = (methods, questions, answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for a connection
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                made, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(made)
            transport.add_server_key(self._key)
            try:
                transport.start_server(server=Logins(*self._logins))
            except (paramiko.SSHException, EOFError):
                transport.close()
