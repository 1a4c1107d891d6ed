"""Changes of a host, each over only when it is seen by whom it concerns.

A name in /etc/hosts, a signal, a file that a server reads again: the change is made in no time, and noticed a moment or some
seconds later. A test that goes on at once passes on a slow machine and fails on a quick one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

REGISTRY = "registry.ktrdr.internal:5443"


class Shell(Protocol):
    """Runs shell text on a host, and gives its output."""

    def __call__(self, script: str, *, check: bool = True) -> str: ...


def until(true: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Waits for a condition, and gives what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return found


def await_seen(sh: Shell, seen: str, what: str = "the change was not noticed", seconds: float = 30) -> None:
    """Waits until shell text on the host says that it is so; it asks whoever is to notice, and not what was changed."""
    until(lambda: sh(f"if {{ {seen}\n}} >/dev/null 2>&1; then echo so; fi") == "so\n", what, seconds)


@contextmanager
def changed(sh: Shell, change: str, undo: str, seen: str) -> Iterator[None]:
    """The block begins when the change is seen, and what comes after it when it no longer is."""
    sh(change)
    try:
        await_seen(sh, seen)
        yield
    finally:
        sh(undo)
        await_seen(sh, f"! {{ {seen}\n}}", "the change did not go away")


def unreachable_registry(sh: Shell) -> AbstractContextManager[None]:
    """The registry refuses the host's Engine, on connections that it has kept as well."""
    rule = "OUTPUT -p tcp --dport 5443 -j REJECT --reject-with tcp-reset"
    return changed(
        sh,
        f"iptables -w -I {rule}",
        f"iptables -w -D {rule}",
        f"docker pull -q {REGISTRY}/no/such:image 2>&1 | grep -qE 'refused|reset'",
    )


def reload_sshd(sh: Shell) -> None:
    """sshd reads its configuration again; it listens anew when it has."""
    _restart_sshd(sh, "pkill -HUP -o -x sshd")


def restart_sshd(sh: Shell) -> None:
    """sshd is ended, and there again."""
    _restart_sshd(sh, "pkill -o -x sshd")


def _restart_sshd(sh: Shell, how: str) -> None:
    listened = "grep -c '^Server listening' /var/log/sshd.log"
    before = int(sh(listened))
    sh(how)
    await_seen(sh, f"[ $({listened}) -gt {before} ]", "sshd does not listen again")


def restart_engine(sh: Shell) -> None:
    """The Engine is ended, and there again: what it answers before it has noticed does not count."""
    before = sh("cat /var/run/docker.pid").strip()
    sh(f"kill -TERM {before}")
    there = f'[ "$(cat /var/run/docker.pid)" != {before} ] && docker version'
    await_seen(sh, there, "the Engine did not come back", 90)
