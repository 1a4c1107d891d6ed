"""Session: scripts, streams and forwards over the one connection to a node."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType

import paramiko
from paramiko.ssh_exception import ChannelException, SSHException

from deploy_lib.errors import CommandError, DeployError, NotRunError, RemoteError, StoppedError
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.shell import ScriptExit
from deploy_lib.ssh.connection import StrictConnection
from deploy_lib.ssh.framing import Preamble, frame

KEEPALIVE = 15
"""Seconds between keep-alive messages."""

_CHUNK = 64 * 1024

_PROHIBITED = 1
"""SSH's reason for a channel that is not opened: "administratively prohibited"."""

_PATIENCE = 0.25
"""Seconds between two looks at whether the operator has pressed Ctrl-C."""


@dataclass(frozen=True)
class Result:
    """What a script printed and how it ended."""

    exit_code: int
    stdout: str
    stderr: str = field(repr=False)


class Process:
    """A script that runs on the host; iterate over it for its lines of standard output.

    What the login shell has printed before the script began is no part of that.

    Leaving the `with` block closes the channel: what still runs in it ends at its next write.
    """

    def __init__(
        self,
        channel: paramiko.Channel,
        node: str,
        deadline: float,
        stopped: Callable[[], bool] = lambda: False,
        preamble: Preamble | None = None,
    ) -> None:
        self._channel = channel
        self._preamble = preamble
        self._node = node
        self._deadline = deadline
        self._stopped = stopped
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._stderr = bytearray()
        self._drain = threading.Thread(target=self._read_stderr, daemon=True)
        self._drain.start()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[str]:
        """Lines of standard output, without their line ends; a second iteration goes on where the first one stopped."""
        while True:
            while self._lines:
                yield self._lines.popleft().decode(errors="replace")
            chunk = self._receive()
            if not chunk:
                break
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            self._lines.extend(lines)
        if self._rest:
            last, self._rest = self._rest, b""
            yield last.decode(errors="replace")

    def send(self, data: bytes) -> None:
        """Writes to the script's standard input."""
        try:
            self._channel.sendall(data)
        except OSError as error:
            raise self._lost() from error

    def drain(self) -> bool:
        """Throws away the output that has come, without waiting for more; says whether there was any."""
        found = False
        while self._channel.recv_ready() and self._channel.recv(_CHUNK):
            found = True
        return found

    def close_stdin(self) -> None:
        """Ends the script's standard input."""
        with contextlib.suppress(OSError):
            self._channel.shutdown_write()

    def read(self) -> bytes:
        """All the rest of standard output."""
        output = bytearray()
        while chunk := self._receive():
            output += chunk
        return bytes(output)

    def wait(self) -> int:
        """The script's exit status, when its standard output has been read.

        Raises:
            RemoteError: the deadline passed, the session ended before the script did, or the script never began.
        """
        while not self._channel.status_event.wait(min(_PATIENCE, self._remaining())):
            self._check()
        code = self._channel.recv_exit_status()
        if code == -1:
            raise self._lost()
        self._drain.join(self._remaining())
        if self._preamble is not None and not self._preamble.passed:
            raise self._not_begun(code, self._preamble.foreign)
        return code

    def extend(self, seconds: float) -> None:
        """Sets its deadline to this many seconds from now."""
        self._deadline = time.monotonic() + seconds

    @property
    def stderr(self) -> str:
        """Standard error so far; whole after `wait`."""
        return self._stderr.decode(errors="replace")

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _receive(self) -> bytes:
        while True:
            self._check_interrupt()  # here, too: output may never pause
            self._channel.settimeout(min(_PATIENCE, self._remaining()))
            with contextlib.suppress(TimeoutError):
                chunk = self._channel.recv(_CHUNK)
                own = self._preamble.strip(chunk) if self._preamble is not None else chunk
                if own or not chunk:
                    return own
                continue
            self._check()

    def _check_interrupt(self) -> None:
        if self._stopped():
            raise StoppedError("interrupted", node=self._node)

    def _check(self) -> None:
        self._check_interrupt()
        if time.monotonic() >= self._deadline:
            raise self._timed_out()

    def _read_stderr(self) -> None:
        while True:
            try:
                chunk = self._channel.recv_stderr(_CHUNK)
            except TimeoutError:
                continue  # the channel has one timeout, and it is that of the reader of standard output
            except OSError:
                return
            if not chunk:
                return
            self._stderr += chunk

    def _remaining(self) -> float:
        return max(0.01, self._deadline - time.monotonic())

    def _timed_out(self) -> RemoteError:
        self.close()
        return RemoteError("the host did not answer in time", node=self._node)

    def _not_begun(self, code: int, foreign: str) -> RemoteError:
        """The error for a script of which nothing was run: its missing output says nothing about the host."""
        if code == ScriptExit.TRUNCATED:
            return NotRunError("the script did not arrive whole", node=self._node)
        said = "".join(
            f"\n    {line}" for line in (*foreign.splitlines(), *self.stderr.strip().splitlines()[-5:])
        )
        return NotRunError(
            f"the login shell did not run the script: exit status {code}{said}",
            node=self._node,
            hint="does `ssh HOST sh -c true` work there? See the user's login shell and its start files, and ForceCommand",
        )

    def _lost(self) -> RemoteError:
        return RemoteError(
            "the SSH session ended before the command did",
            node=self._node,
            hint="check the network and the host, then run the same command again",
        )


class Session:
    """The one connection to a node, opened at first use and never silently opened again.

    Args:
        node: the node's name, for messages.
        connection: Fabric's connection, not necessarily open.

    Attributes:
        stop: when set, every wait for the host ends with a StoppedError; None: Ctrl-C is not looked at.
    """

    def __init__(self, node: str, connection: StrictConnection) -> None:
        self.node = node
        self.connection = connection
        self.stop: threading.Event | None = None
        self._spare: dict[tuple[str, int], paramiko.Channel] = {}
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
            raise RemoteError("the SSH session has ended", node=self.node)

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
        with self.start(script, env=env, stdin=stdin, timeout=timeout) as process:
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
        """
        preamble = Preamble()
        line, block = frame(script, env, preamble)
        self.open()
        deadline = time.monotonic() + timeout
        try:
            channel = self.connection.create_session()
            channel.settimeout(timeout)
            channel.exec_command(line)
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
