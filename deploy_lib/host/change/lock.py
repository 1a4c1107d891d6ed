"""The deployment lock: `flock` held by a channel of the session, so that it cannot outlive its holder."""

from __future__ import annotations

import contextlib
import getpass
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from types import TracebackType

from msgspec import Struct
from msgspec.structs import asdict

from deploy_lib import layout
from deploy_lib.answers import text
from deploy_lib.errors import DeployError, LockedError, RemoteError
from deploy_lib.host.change import values
from deploy_lib.shell import TRUST, ScriptExit, quote, strangers
from deploy_lib.ssh.process import Process
from deploy_lib.ssh.session import Session

HEARTBEAT = 5.0
"""Seconds between two signs of life."""

LAPSE = 30
"""Seconds without one after which the host gives the lock up."""

RELEASE_TIMEOUT = 10.0

SWITCH_WAIT = 600
"""Seconds to wait for a switch whose session has ended."""

LOCK_FD = 9
"""The holder's file descriptor of the lock."""

_NAMELESS = 20
"""Tenths of a second to wait for a new holder's note."""

_SLICE = 3
"""Seconds after which it is said again that a switch is waited for."""

_SWITCHING = "switching"


class Owner(Struct, frozen=True):
    """Who holds a lock.

    Attributes:
        token: random; the switch compares it before it changes anything.
    """

    who: str
    origin: str
    since: str
    what: str
    token: str

    def __str__(self) -> str:
        return f"{self.who} on {self.origin}, since {self.since}, for {self.what}"


def me(what: str) -> Owner:
    """This process as an owner.

    Args:
        what: the command, in the operator's words.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        who = getpass.getuser()
    except (KeyError, OSError):
        who = "unknown"
    return Owner(who, socket.gethostname(), now, what, secrets.token_hex(16))


def lock_script(
    directory: PurePosixPath,
    owner: Owner,
    wait: int,
    switch_wait: int,
    delivery: PurePosixPath | None = None,
) -> str:
    """Takes the lock, prints that, and keeps it while bytes come in; each is answered.

    A switch that outlived its session still changes the host: it is waited for. The owner's note has a second line, the
    process that holds the lock; it is renamed into place, so that a reader never sees half of it. A directory that somebody
    else could change is left alone: what is locked there is not ours.

    Args:
        delivery: where secret values are to lie in memory. It is made here, before the first of them is sent.
    """
    lock, note = quote(directory / layout.LOCK), quote(directory / layout.OWNER)
    how = f"-w {wait}" if wait else "-n"
    return f"""\
umask 022
mkdir -p {quote(directory)} || exit 1
umask 077
{TRUST}{strangers(directory)}\
w=$(strangers)
[ -z "$w" ] || {{ printf '%s\\n' "$w"; exit {ScriptExit.NOT_OURS}; }}
mkdir -p {quote(directory / layout.STATE)} || exit 1
exec {LOCK_FD}>>{lock} || exit 1
flock {how} {LOCK_FD} || {{
  # Any other status is a file system that cannot lock, or the like.
  [ $? = 1 ] || exit 1
  # A new holder may not have written its note yet, and the note of an earlier one does not count.
  n=0
  until {holder(directory)} || [ $n -ge {_NAMELESS} ]; do n=$((n + 1)); sleep 0.1; done
  ! {holder(directory)} || cat {note} 2>/dev/null
  exit {ScriptExit.HELD}
}}
printf '%s\\n%s\\n' {quote(json.dumps(asdict(owner)))} $$ > {note}.new && mv {note}.new {note} || exit 1
exec 8>>{quote(directory / layout.SWITCH_LOCK)} || exit 1
flock -n 8 || {{
  n=$(($(date +%s) + {switch_wait}))
  # Each time it is said: where nobody hears it any more, this ends, and with it the lock.
  until echo {_SWITCHING}; flock -w {_SLICE} 8; do
    [ $? = 1 ] || exit 1
    [ "$(date +%s)" -lt $n ] || exit {ScriptExit.BUSY}
  done
}}
exec 8>&-
{f"{values.claim(delivery)} || exit {ScriptExit.NOT_OURS}" if delivery else ":"}
# Left by a switch that ended with the host.
rm -f {quote(directory / layout.VERDICT)}
echo locked
while [ "$(timeout {LAPSE} head -c 1 {LOCK_FD}>&-)" = . ]; do echo .; done
rm -f {note}
"""


def holder(directory: PurePosixPath) -> str:
    """Shell condition: the process in the owner's note is alive, and has the lock's file open."""
    lock, note = quote(directory / layout.LOCK), quote(directory / layout.OWNER)
    return f'[ "/proc/$(tail -n 1 {note} 2>/dev/null)/fd/{LOCK_FD}" -ef {lock} ]'


def owned(directory: PurePosixPath, token: str) -> str:
    """Shell condition: this owner's session is alive and holds the lock.

    That a process of the noted number lives says nothing: numbers are given again, to any program.
    """
    note = quote(directory / layout.OWNER)
    return f"grep -qsF {quote(json.dumps(token))} {note} && {holder(directory)}"


class Lock:
    """The lock of one stack on one host, held from `take` until `release` or the end of the session."""

    def __init__(
        self,
        session: Session,
        directory: PurePosixPath,
        owner: Owner,
        delivery: PurePosixPath | None = None,
    ) -> None:
        self._session = session
        self._directory = directory
        self._delivery = delivery
        self.owner = owner
        self._process: Process | None = None
        self._stop = threading.Event()
        self._beat: threading.Thread | None = None

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def take(
        self, wait: int = 0, switch_wait: int = SWITCH_WAIT, on_switch: Callable[[], object] = lambda: None
    ) -> None:
        """Takes the lock.

        Args:
            wait: seconds to wait for another holder.
            switch_wait: seconds to wait for a switch whose session has ended.
            on_switch: called when there is one.

        Raises:
            LockedError: somebody else holds it.
            RemoteError: the directory cannot be written.
        """
        process = self._session.start(
            lock_script(self._directory, self.owner, wait, switch_wait, self._delivery),
            timeout=wait + switch_wait + 20,
            keep_stdin=True,
        )
        lines = iter(process)
        try:
            first = next(lines, "")
            if first == _SWITCHING:
                on_switch()
                first = next((line for line in lines if line != _SWITCHING), "")
        except BaseException:
            process.close()
            raise
        if first != "locked":
            code = process.wait()
            process.close()
            if code == ScriptExit.HELD:
                raise LockedError(
                    f"another deployment holds the lock: {describe(first)}",
                    node=self._session.node,
                    hint="wait for it to end (--wait-lock SECONDS does), then run this again",
                )
            if code == ScriptExit.BUSY:
                raise LockedError(
                    "a switch whose session has ended is still running on the host",
                    node=self._session.node,
                    hint="wait for it, then run this again",
                )
            if code == ScriptExit.NOT_OURS:
                what, _, hint = first.partition("\t")
                raise RemoteError(what, node=self._session.node, step="lock", hint=hint)
            raise RemoteError(
                f"the lock cannot be taken: {process.stderr.strip() or f'exit status {code}'}",
                node=self._session.node,
                hint=f"is {self._directory} writable for this user, and is there room on its disk?",
            )
        self._process = process
        self._beat = threading.Thread(target=self._keep, name=f"lock-{self._session.node}", daemon=True)
        self._beat.start()

    def release(self) -> None:
        """Releases the lock; safe to call twice, and after the session has ended."""
        self._stop.set()
        if self._process is not None:
            self._process.close_stdin()
            self._process.extend(RELEASE_TIMEOUT)
            # A session that ended has freed the lock already.
            with contextlib.suppress(DeployError):
                self._process.wait()
            self._process.close()
            self._process = None

    def _keep(self) -> None:
        answered = time.monotonic()
        while (process := self._process) is not None and not self._stop.wait(HEARTBEAT):
            try:
                process.send(b".")
            except RemoteError:
                return  # whatever runs next on this session reports it
            if process.drain():
                answered = time.monotonic()
            elif time.monotonic() - answered > LAPSE:
                # The lock has lapsed on the host by now: nothing on this session may go on waiting.
                self._session.close()
                return


def describe(note: str) -> str:
    """Who holds a lock, by the owner's note."""
    try:
        data = json.loads(note)
        return str(Owner(**{name: text(data, name) for name in Owner.__struct_fields__}))
    except (ValueError, LookupError, TypeError, RecursionError):
        return "an unknown owner"
