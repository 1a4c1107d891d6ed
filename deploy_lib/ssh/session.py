"""Session: scripts, streams and forwards over the one connection to a node."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import paramiko
from paramiko.ssh_exception import ChannelException, SSHException

from deploy_lib.errors import CommandError, DeployError, NotRunError, RemoteError
from deploy_lib.output.timings import TIMINGS
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.ssh.connection import StrictConnection
from deploy_lib.ssh.framing import Preamble, frame
from deploy_lib.ssh.process import Process
from deploy_lib.ssh.shared import SharedSession

KEEPALIVE = 15
"""Seconds between keep-alive messages."""

_SETTLING = 0.5
"""Seconds until sshd has certainly forgotten a session that was closed."""

_PROHIBITED = 1
"""SSH's reason for a channel that is not opened: "administratively prohibited"."""


@dataclass(frozen=True)
class Result:
    """What a script printed and how it ended."""

    exit_code: int
    stdout: str
    stderr: str = field(repr=False)


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
        self._spare: dict[tuple[str, int], paramiko.Channel] = {}
        self._reserved: deque[paramiko.Channel] = deque()
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
            channel = self._channel()
            channel.settimeout(timeout)
            channel.exec_command(line)
        except ChannelException as error:
            raise RemoteError(
                f"sshd opens no further session: {error.text}",
                node=self.node,
                hint="MaxSessions in the host's sshd_config is too low for what this command does at once: set 10, which is "
                "sshd's own value, and reload sshd",
            ) from None
        except (SSHException, OSError, EOFError) as error:
            raise RemoteError(f"no command could be started: {error}", node=self.node) from None
        process = Process(
            channel, self.node, deadline, lambda: self.stop is not None and self.stop.is_set(), preamble
        )
        # A script may end before it has read everything; its exit status explains that better than a broken pipe.
        with contextlib.suppress(OSError):
            channel.sendall(block + stdin)
        if not keep_stdin:
            process.close_stdin()
        return process

    def reserve(self, count: int) -> int:
        """Opens sessions ahead, for the next scripts: so a limit is found out before anything depends on them.

        Returns:
            how many of `count` there are. When there are fewer, sshd has refused one more, and none is kept.

        Raises:
            RemoteError: the session has ended.
        """
        self.open()
        if isinstance(self.connection.transport, SharedSession):
            return self.connection.transport.room(count)
        if self._reserve_side_by_side(count - len(self._reserved)):
            return count
        try:
            while len(self._reserved) < count:
                self._reserved.append(self._create())
        except ChannelException:
            found = len(self._reserved)
            while self._reserved:
                self._reserved.pop().close()
            return found
        except (SSHException, OSError, EOFError) as error:
            raise RemoteError(f"no channel could be opened: {error}", node=self.node) from None
        return count

    def _reserve_side_by_side(self, count: int) -> bool:
        """Opens so many at once: each takes a round trip, and over a long way that is most of what a look takes.

        Returns:
            whether all are there; otherwise none is. Paramiko keeps one error for all channels, so it is not known why.
        """
        if count < 2:
            return False
        with ThreadPoolExecutor(count) as pool:
            asked = [pool.submit(self.connection.create_session) for _ in range(count)]
        opened = [each.result() for each in asked if each.exception() is None]
        if len(opened) == count:
            self._reserved.extend(opened)
            return True
        for channel in opened:
            channel.close()
        return False

    def _channel(self) -> paramiko.Channel:
        """A session for one script: one that was opened ahead, or a new one."""
        with contextlib.suppress(IndexError):
            while (channel := self._reserved.popleft()).closed:
                pass
            return channel
        return self._create()

    def _create(self) -> paramiko.Channel:
        deadline = time.monotonic() + _SETTLING
        while True:
            try:
                created: paramiko.Channel = self.connection.create_session()
                return created
            except ChannelException:
                # sshd counts one that was closed until it has looked at its channels again.
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.05)

    def forward(self, host: str, port: int) -> paramiko.Channel:
        """A socket to `host:port` as the node sees it.

        Raises:
            RemoteError: nothing listens there, or sshd forbids forwarding.
        """
        spare = self._spare.pop((host, port), None)
        if spare is not None and not spare.closed and not spare.eof_received:
            return spare
        self.open()
        try:
            transport: paramiko.Transport = self.connection.transport
            return transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=10)
        except (SSHException, OSError, EOFError) as error:
            raise RemoteError(f"no connection to {host}:{port}: {error}", node=self.node) from None

    def forbids_forwarding(self, host: str, port: int) -> bool:
        """Whether sshd would not make a `forward` to there, no matter whether anything listens.

        One that it does make is kept for the first `forward` to the same place.

        Raises:
            RemoteError: the session has ended.
        """
        self.open()
        if (host, port) in self._spare:
            return False
        try:
            self._spare[host, port] = self.connection.transport.open_channel(
                "direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=10
            )
        except ChannelException as error:
            return bool(error.code == _PROHIBITED)
        except (SSHException, OSError, EOFError) as error:
            raise RemoteError(f"no channel could be opened: {error}", node=self.node) from None
        return False


def _last_lines(result: Result) -> str:
    # Standard output is data for this program, the host's fingerprint key among it: never part of a message.
    lines = REDACTOR.clean(result.stderr).strip().splitlines()[-10:]
    return f"exit status {result.exit_code}" + "".join(f"\n    {line}" for line in lines)
