"""Programs of a simulated host that answer from this process: a client of a few lines in the place of each."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CLIENT = r"""
use strict;
my ($name) = $0 =~ m{([^/]+)$};
my $s;
socket($s, 1, 1, 0) && connect($s, pack('S a*', 1, $ENV{SIMULATED})) or do { print STDERR "no simulated host\n"; exit 125 };
sub put { my $d = shift; while (length $d) { my $n = syswrite($s, $d); exit 125 unless defined $n; substr($d, 0, $n) = '' } }
my $in = '';
my $said = join(' ', @ARGV);
if ($name eq 'docker' && $said =~ / -f - |--password-stdin|^exec -i|^load/) { local $/; $in = <STDIN>; $in = '' unless defined $in }
if ($said eq 'system dial-stdio') { until ($in =~ /connection: close\r\n\r\n/i) { last unless sysread(STDIN, $in, 65536, length $in) } }
put(pack('N/a* N/a* N/a* N/a* N', $name, join("\0", @ARGV), join("\0", map { "$_=$ENV{$_}" } keys %ENV), $in, $$));
sub get { my ($n, $d) = (shift, ''); while (length $d < $n) { exit 125 unless sysread($s, $d, $n - length $d, length $d) } $d }
while (1) {
  my ($kind, $n) = unpack('CN', get(5));
  if ($kind == 0) { exit $n }
  if ($kind == 3) { exec { get($n) } $name, @ARGV }
  my $d = get($n);
  if ($kind == 1) { syswrite(STDOUT, $d) } else { syswrite(STDERR, $d) }
}
"""
"""Perl, which starts in a tenth of the time that Python takes, and which every Debian and Ubuntu has.

What it sends: its name, arguments, environment, standard input and process. What it gets, in frames: standard output, standard
error, a status to end with, or a program to become.
"""


class GoneError(Exception):
    """Who called has ended."""


@dataclass
class Call:
    """A call of a program of the host.

    Attributes:
        env: of the caller.
        stdin: what it had on standard input, where the program reads that.
        process: the caller's.
    """

    program: str
    arguments: list[str]
    env: dict[str, str] = field(repr=False)
    stdin: bytes = field(repr=False)
    process: int
    connection: socket.socket = field(repr=False)

    def out(self, text: str | bytes) -> None:
        """Prints on the caller's standard output."""
        self._send(1, text)

    def err(self, text: str) -> None:
        """Prints on its standard error."""
        self._send(2, text)

    def end(self, code: int) -> None:
        """Ends the caller with a status."""
        self._frame(struct.pack("!BI", 0, code))

    def become(self, path: str) -> None:
        """Makes the caller another program, with the same arguments."""
        self._send(3, path)

    @property
    def gone(self) -> bool:
        """Whether the caller has ended meanwhile."""
        try:
            return not self.connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _send(self, kind: int, text: str | bytes) -> None:
        data = text if isinstance(text, bytes) else text.encode()
        if data:
            self._frame(struct.pack("!BI", kind, len(data)) + data)

    def _frame(self, data: bytes) -> None:
        try:
            self.connection.sendall(data)
        except OSError:
            raise GoneError from None


class Server:
    """Answers the programs of one host.

    Args:
        answer: called for each, in a thread of its own.
    """

    def __init__(self, path: Path, answer: Callable[[Call], None]) -> None:
        self.path = path
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(64)
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def install(self, directory: Path, programs: tuple[str, ...]) -> None:
        """Puts the client into a directory under several names."""
        directory.mkdir(exist_ok=True)
        first = directory / ".client"
        first.write_text(f"#!{shutil.which('perl')}\n{CLIENT}")
        first.chmod(0o755)
        for name in programs:
            os.link(first, directory / name)

    def close(self) -> None:
        """Answers nobody any more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(GoneError):
            self._answer(_read(connection))


def _read(connection: socket.socket) -> Call:
    parts = _parts(connection)
    name, arguments, env, stdin = (next(parts) for _ in range(4))
    return Call(
        name.decode(),
        [each.decode() for each in arguments.split(b"\0")] if arguments else [],
        dict(each.decode(errors="replace").partition("=")[::2] for each in env.split(b"\0")),
        stdin,
        struct.unpack("!I", _exactly(connection, 4))[0],
        connection,
    )


def _parts(connection: socket.socket) -> Iterator[bytes]:
    while True:
        yield _exactly(connection, struct.unpack("!I", _exactly(connection, 4))[0])


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        try:
            chunk = connection.recv(count - len(data))
        except OSError:
            raise GoneError from None
        if not chunk:
            raise GoneError
        data += chunk
    return data
