"""How many connections begin at one address at once, and which are tried again.

sshd drops connections at random while more than ten have not logged in yet (MaxStartups 10:30:100), before it says who it is. A jump
host meets all connections of a command at the same moment, and those of other people.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from deploy_lib.ssh.refusals import GreetingError
from deploy_lib.ssh.target import Target
from deploy_lib.ssh.ways import nothing_answered

AT_ONCE = 6
"""Logins at one address at the same time: below the ten from which sshd drops some, for it counts one a moment longer,
and others log in, too."""

PAUSES = (0.2, 0.4, 0.8, 1.6)
"""Seconds before each further try of a connection that was dropped."""


class DroppedError(GreetingError):
    """The server has closed the connection before it said who it is."""


class SilentError(GreetingError):
    """Nothing that is SSH came from the server."""


class _Door:
    def __init__(self) -> None:
        self.room = threading.BoundedSemaphore(AT_ONCE)
        self.failed = float("-inf")
        self.why: Exception = SilentError()


_doors: defaultdict[tuple[str, int, tuple[str, ...], str | None], _Door] = defaultdict(_Door)
"""By address and the way to it: behind two jump hosts, one address is two hosts."""


@contextmanager
def entered(target: Target) -> Iterator[None]:
    """Waits for room at the address of a target, until the block has ended.

    Where nothing answers there, those who wait are told the same at once: each by itself would wait as long again.

    Raises:
        OSError, SilentError: what another one has met there in the meantime.
    """
    door, came = _doors[target.hostname, target.port, target.jump, target.proxy_command], time.monotonic()
    with door.room:
        if door.failed > came:
            raise door.why
        try:
            yield
        except (OSError, SilentError) as error:
            if isinstance(error, SilentError) or nothing_answered(error):
                door.failed, door.why = time.monotonic(), error
            raise
