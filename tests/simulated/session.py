"""A session with a simulated host: what sshd does with a channel, done with a process of this machine."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from deploy_lib.errors import RemoteError
from deploy_lib.ssh.framing import Preamble, frame
from deploy_lib.ssh.process import Process
from deploy_lib.ssh.session import Session

from .forwards import Answer, Forward


class Channel:
    """A process, as paramiko shows the one at the other end of a channel.

    Closing it closes the pipes, as sshd does: what runs is not killed, it reads an end and cannot write any more.
    """

    def __init__(self, process: subprocess.Popen[bytes], own: Callable[[bytes], bytes]) -> None:
        self.process = process
        self.status_event = threading.Event()
        self._own = own
        self._timeout = 60.0
        self._closed = False
        self._cut = False
        self._lock = threading.Lock()
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._in, self._out, self._err = process.stdin, process.stdout, process.stderr
        self._wake, self._waker = socket.socketpair()
        threading.Thread(target=self._reap, daemon=True).start()

    def _reap(self) -> None:
        self.process.wait()
        self.status_event.set()

    def settimeout(self, seconds: float) -> None:
        """How long `recv` waits."""
        self._timeout = seconds

    def recv(self, count: int) -> bytes:
        """The next bytes of standard output; none at its end."""
        return self._own(self._read(self._out, count))

    def recv_stderr(self, count: int) -> bytes:
        """The same of standard error."""
        return self._own(self._read(self._err, count))

    def _read(self, stream: Any, count: int) -> bytes:
        if self._closed:
            return b""
        waiting = select.poll()
        waiting.register(stream, select.POLLIN)
        waiting.register(self._wake, select.POLLIN)
        ready = {number for number, _ in waiting.poll(self._timeout * 1000)}
        if self._closed or self._wake.fileno() in ready:
            return b""
        if not ready:
            raise TimeoutError
        return os.read(stream.fileno(), count)

    def recv_ready(self) -> bool:
        """Whether there are bytes to read."""
        waiting = select.poll()
        waiting.register(self._out, select.POLLIN)
        return not self._closed and bool(waiting.poll(0))

    def sendall(self, data: bytes) -> None:
        """Writes to standard input."""
        with self._lock:
            if self._closed:
                raise OSError("the channel is closed")
            self._in.write(data)
            self._in.flush()

    def shutdown_write(self) -> None:
        """Ends standard input."""
        with self._lock:
            if not self._in.closed:
                self._in.close()

    def recv_exit_status(self) -> int:
        """-1 where the session ended before the process did, or a signal ended that: no status comes then."""
        return -1 if self._cut else max(-1, self.process.returncode)

    def close(self, *, cut: bool = False) -> None:
        """Closes the pipes.

        Args:
            cut: the connection has ended.
        """
        with self._lock:
            if self._closed:
                return
            self._closed, self._cut = True, cut
            self._waker.send(b".")
            if cut:
                self.status_event.set()
            for stream in (self._in, self._out, self._err):
                try:
                    stream.close()
                except OSError:
                    continue


class SimulatedSession(Session):
    """A session whose scripts run in a simulated host.

    Args:
        begin: starts a command line there.
        inward, outward: put a script's text into terms of this machine, and what it prints into the host's.
        again: makes one more session.
    """

    def __init__(
        self,
        node: str,
        begin: Callable[[str], subprocess.Popen[bytes]],
        answer: Answer,
        inward: Callable[[str], str],
        outward: Callable[[bytes], bytes],
        again: Callable[[], SimulatedSession],
    ) -> None:
        super().__init__(node, Connection())  # type: ignore[arg-type]
        self._begin, self._answer = begin, answer
        self._inward, self._outward = inward, outward
        self._again = again
        self._channels: list[Channel] = []
        self._over = False

    def open(self) -> None:
        """There is nothing to open."""
        self.require_alive()
        self._opened = True

    def require_alive(self) -> None:
        """Refuses to go on where it was cut."""
        if self._over:
            raise RemoteError("the SSH session has ended", node=self.node)

    def twin(self) -> SimulatedSession:
        """One more."""
        return self._again()

    def close(self) -> None:
        """Ends it on both sides."""
        self.cut()

    @property
    def over(self) -> bool:
        """It has ended."""
        return self._over

    def end(self) -> None:
        """Nothing new can be begun."""
        self._over = True

    def cut(self) -> None:
        """The connection ends; the host's side of each channel reads an end, as this side does."""
        self.end()
        for channel in self._channels:
            channel.close(cut=True)
        self._channels.clear()

    def start(
        self,
        script: str,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float = 60,
        keep_stdin: bool = False,
    ) -> Process:
        """Starts a script, framed as for any host."""
        preamble = Preamble()
        line, block = frame(self._inward(script), env, preamble)
        self.open()
        channel = Channel(self._begin(line), self._outward)
        self._channels.append(channel)
        if self._over:
            channel.close(cut=True)
        deadline = time.monotonic() + timeout
        process = Process(
            channel,  # type: ignore[arg-type]
            self.node,
            deadline,
            lambda: self.stop is not None and self.stop.is_set(),
            preamble,
        )
        with contextlib.suppress(OSError):
            channel.sendall(block + stdin)
        if not keep_stdin:
            process.close_stdin()
        return process

    def reserve(self, count: int) -> int:
        """As many as there need to be."""
        self.open()
        return count

    def forward(self, host: str, port: int) -> Any:
        """A connection to what a container publishes."""
        self.open()
        if self._answer(port, "/") is None:
            raise RemoteError(f"no connection to {host}:{port}: refused", node=self.node)
        return Forward(port, self._answer)

    def forbids_forwarding(self, host: str, port: int) -> bool:
        """It is allowed."""
        self.open()
        return False


class _Target:
    hostname, port, user, name = "simulated.example", 22, "root", "simulated.example"
    not_done = ()


class Connection:
    """What checks ask of a connection."""

    target = _Target()
    is_connected = True

    def close(self) -> None:
        """Nothing is open."""
