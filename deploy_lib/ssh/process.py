"""A script that runs on a host: its output as it comes, and how it ended."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType

from deploy_lib.errors import NotRunError, RemoteError, StoppedError
from deploy_lib.shell import ScriptExit
from deploy_lib.ssh.framing import Preamble
from deploy_lib.ssh.script_channel import ScriptChannel
from deploy_lib.ssh.waiting import PATIENCE

_CHUNK = 64 * 1024


class Process:
    """A script that runs on the host; iterate over it for its lines of standard output.

    What the login shell has printed before the script began is no part of that.

    Leaving the `with` block closes the channel: what still runs in it ends at its next write.
    """

    def __init__(
        self,
        channel: ScriptChannel,
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

    def begin(self, command: str, data: bytes) -> None:
        """Starts the script, and writes to its standard input.

        Raises:
            RemoteError: the deadline passed.
            SSHException, OSError, EOFError: the host does not start it.
        """
        try:
            self._channel.exec_command(command, self._check)
            # A script may end before it has read everything; its exit status explains that better than a broken pipe.
            with contextlib.suppress(OSError):
                self._write(data)
            self._channel.settimeout(self._remaining())
        except BaseException:
            self.close()
            raise

    def send(self, data: bytes) -> None:
        """Writes to the script's standard input.

        Raises:
            RemoteError: the session ended.
        """
        try:
            self._channel.sendall(data)
        except OSError as error:
            raise self._lost() from error

    def feed(self, data: bytes) -> None:
        """Writes to the script's standard input, however slowly the host takes it, until the deadline.

        Raises:
            RemoteError: the deadline passed, or the script or the session has ended.
        """
        try:
            self._write(data)
        except OSError as error:
            raise self._lost() from error

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._check_interrupt()
            self._channel.settimeout(min(PATIENCE, self._remaining()))
            try:
                count = self._channel.send(rest[:_CHUNK].tobytes())
            except TimeoutError:
                self._check()
                continue
            if not count:
                raise BrokenPipeError
            rest = rest[count:]

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
        while not self._channel.status_event.wait(min(PATIENCE, self._remaining())):
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
        """Standard error so far, without what the login shell has printed there; whole after `wait`."""
        said = bytes(self._stderr)
        own = self._preamble.errors(said) if self._preamble is not None else said
        return own.decode(errors="replace")

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _receive(self) -> bytes:
        while True:
            self._check_interrupt()  # here, too: output may never pause
            self._channel.settimeout(min(PATIENCE, self._remaining()))
            with contextlib.suppress(TimeoutError):
                chunk = self._channel.recv(_CHUNK)
                own = self._stripped(chunk)
                if own or not chunk:
                    return own
                continue
            self._check()

    def _stripped(self, chunk: bytes) -> bytes:
        if self._preamble is None:
            return chunk
        return self._preamble.strip(chunk) if chunk else self._preamble.rest()

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
            f"the login shell did not run the script: exit status {code}{'; it printed:' if said else ''}{said}",
            node=self._node,
            hint=_way_in(said.lower()),
        )

    def _lost(self) -> RemoteError:
        return RemoteError(
            "the SSH session ended before the command did",
            node=self._node,
            hint="check the network and the host, then run the same command again",
        )


def _way_in(said: str) -> str:
    """What lets a script run, from what was printed in its place."""
    if "sftp" in said:
        return "this user may only transfer files (ForceCommand internal-sftp): take that out, or log in as another (User in ssh_config)"
    if "sudo" in said:
        return (
            "become = true in deploy.toml needs a sudo that asks nothing: as root, `visudo -f /etc/sudoers.d/deploy`, and there "
            "USER ALL=(root) NOPASSWD: ALL, and Defaults:USER !log_input"
        )
    if "not available" in said or "nologin" in said:
        return "this user's login shell lets nobody in: chsh -s /bin/sh USER on the host, or log in as another (User in ssh_config)"
    return (
        "see this user's login shell and its start files on the host, ForceCommand in sshd_config, and command= in "
        "authorized_keys: each has to run what it is asked for"
    )
