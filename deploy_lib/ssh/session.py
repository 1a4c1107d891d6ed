"""Session: scripts, streams and forwards over the one connection to a node."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import ClassVar

import paramiko
from paramiko.ssh_exception import ChannelException, SSHException

from deploy_lib.errors import CommandError, DeployError, NotRunError, RemoteError
from deploy_lib.output.timings import TIMINGS
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.ssh.channels import Channels
from deploy_lib.ssh.connection import StrictConnection
from deploy_lib.ssh.framing import Preamble, frame
from deploy_lib.ssh.process import Process
from deploy_lib.values import Selective

KEEPALIVE = 15
"""Seconds between keep-alive messages."""


class Result(Selective, frozen=True):
    """What a script printed and how it ended."""

    HIDDEN: ClassVar[tuple[str, ...]] = ("stderr",)

    exit_code: int
    stdout: str
    stderr: str


class Session:
    """The one connection to a node, opened at first use and never silently opened again.

    Args:
        node: the node's name, for messages.
        connection: Fabric's connection, not necessarily open.
        become: scripts run as root, by sudo.

    Attributes:
        stop: when set, every wait for the host ends with a StoppedError; None: Ctrl-C is not looked at.
    """

    def __init__(self, node: str, connection: StrictConnection, *, become: bool = False) -> None:
        self._become = become
        self.node = node
        self.connection = connection
        self.stop: threading.Event | None = None
        self._channels = Channels(node, connection)
        self._opened = False
        self._opening = threading.Lock()

    @property
    def opened(self) -> bool:
        """Whether it was ever open; it may have ended since."""
        return self._opened

    def open(self) -> None:
        """Connects and logs in.

        Raises:
            UnreachableError: which says at which stage it failed: name, TCP, host key or login.
        """
        with self._opening:
            self.require_alive()
            if self._opened:
                return
            try:
                with TIMINGS.span(self.node, "channel", "connecting and logging in"):
                    self.connection.open()
            except DeployError as error:
                self.connection.abandon()
                error.node = error.node or self.node
                raise
            self._opened = True
            self.connection.transport.set_keepalive(KEEPALIVE)

    def require_alive(self) -> None:
        """Refuses to go on with a session that has ended; one that was not opened yet is none.

        Raises:
            RemoteError: it has ended.
        """
        if self._opened and not self.connection.is_connected:
            said = getattr(self.connection.transport, "farewell", "")
            raise RemoteError(f"the SSH session has ended{said and f': {said}'}", node=self.node)

    def twin(self) -> Session:
        """Another session with the same host, not yet open, for when this one has ended; it asks the operator nothing."""
        return Session(self.node, self.connection.twin(batch=True), become=self._become)

    def close(self) -> None:
        """Ends the session; safe to call twice."""
        with contextlib.suppress(Exception):
            self.connection.close()

    def run(
        self,
        script: str,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float = 60,
        check: bool = True,
        step: str | None = None,
    ) -> Result:
        """Runs a shell script to its end.

        Args:
            script: POSIX shell text.
            env: variables for it; no process list shows them.
            stdin: the script's standard input.
            timeout: seconds until the host must have finished.
            check: raise when the script exits with another status than 0.
            step: what this is for, in the operator's words; used in errors.

        Raises:
            CommandError: the exit status (with `check`).
            NotRunError: the host ran nothing of it.
            RemoteError: timeout, or a session that ended.
        """
        what = step or "a script"
        with (
            TIMINGS.span(self.node, "channel", what),
            self.start(script, env=env, stdin=stdin, timeout=timeout) as process,
        ):
            try:
                stdout = process.read().decode(errors="replace")
                code = process.wait()
            except NotRunError as problem:
                problem.step = step
                raise
            result = Result(code, stdout, process.stderr)
        if check and code:
            error = CommandError(_last_lines(result), node=self.node, step=step)
            error.code = code
            raise error
        return result

    def start(
        self,
        script: str,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float = 60,
        keep_stdin: bool = False,
    ) -> Process:
        """Starts a shell script on a channel of its own.

        Args:
            script: POSIX shell text.
            env: variables for it; no process list shows them.
            stdin: the first bytes of the script's standard input.
            timeout: seconds until its last output must have come.
            keep_stdin: leave standard input open for `Process.send`.

        Raises:
            UnreachableError: the host cannot be reached.
            RemoteError: the host opens no channel, or the session ended.
        """
        preamble = Preamble()
        line, block = frame(script, env, preamble, become=self._become)
        self.open()
        deadline = time.monotonic() + timeout
        try:
            channel = self._channels.take()
            channel.settimeout(timeout)
            process = Process(
                channel, self.node, deadline, lambda: self.stop is not None and self.stop.is_set(), preamble
            )
            process.begin(line, block + stdin)
        except ChannelException as error:
            raise RemoteError(
                f"sshd opens no further session: {error.text}",
                node=self.node,
                hint="MaxSessions in the host's sshd_config is too low for what this command does at once: set 10, which is "
                "sshd's own value, and reload sshd",
            ) from None
        except (SSHException, OSError, EOFError) as error:
            raise RemoteError(f"no command could be started: {error}", node=self.node) from None
        if not keep_stdin:
            process.close_stdin()
        return process

    def reserve(self, count: int) -> int:
        """Opens session channels ahead; see `Channels.reserve`."""
        self.open()
        return self._channels.reserve(count)

    def forward(self, host: str, port: int) -> paramiko.Channel:
        """A socket to `host:port` as the node sees it; see `Channels.forward`."""
        self.open()
        return self._channels.forward(host, port)

    def forbids_forwarding(self, host: str, port: int) -> bool:
        """Whether sshd would not make such a `forward`; see `Channels.forbids_forwarding`."""
        self.open()
        return self._channels.forbids_forwarding(host, port)


def _last_lines(result: Result) -> str:
    # Standard output is data for this program, the host's fingerprint key among it: never part of a message.
    lines = REDACTOR.clean(result.stderr).strip().splitlines()[-10:]
    return f"exit status {result.exit_code}" + "".join(f"\n    {line}" for line in lines)
