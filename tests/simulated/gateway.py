"""HAProxy in front of a service, as far as deployments tell and ask it by its runtime socket; see `docker/gateway/haproxy.cfg`."""

from __future__ import annotations

from collections.abc import Iterator

from .engine import Engine
from .things import Container

NAMED, FOUND = "rolling", "found"
READY, DRAINED, AWAY = 4, 12, 5
"""A server's administrative state: 4 only says that it was in maintenance at the start."""

SERVER = "rolling/r"
"""What the names of servers begin with that are told."""


class Gateway:
    """The program in a container; what it was told ends with it.

    Args:
        service: whose containers it finds by itself.
    """

    def __init__(self, engine: Engine, container: Container, service: str) -> None:
        self._engine = engine
        self._told = container.told
        self._project = container.project
        self._service = service

    def answer(self, line: str) -> str:
        """What its socket says to commands that are parted by semicolons."""
        return "".join(f"{self._one(each.split())}\n" for each in line.strip().split(";"))

    def sends_to(self) -> list[Container]:
        """The containers to which it sends requests."""
        running = {c.address: c for c in self._running()}
        named = [running[at] for at, state in self._told.values() if state == READY and at in running]
        return named or [*running.values()]

    def _running(self) -> list[Container]:
        found = self._engine.of(self._project)
        return [c for c in found if c.service == self._service and c.state == "running"]

    def _servers(self) -> Iterator[tuple[str, str, str, int, int]]:
        """Backend, name, address, whether it is up, and its administrative state."""
        running = {c.address for c in self._running()}
        for number in range(1, 7):
            at, state = self._told.get(str(number), ("127.0.0.1", AWAY))
            yield NAMED, f"r{number}", at, 2 if state == READY and at in running else 0, state
        for number, at in enumerate(sorted(running), 1):
            yield FOUND, f"f{number}", at, 2, 0

    def _one(self, words: list[str]) -> str:
        match words:
            case ["show", "backend"]:
                return f"# name\n{NAMED}\n{FOUND}\n"
            case ["show", "cli", "level"]:
                return "admin\n"
            case ["show", "stat"]:
                return "".join(f"{backend},{name},0,0,0,9\n" for backend, name, *_ in self._servers())
            case ["show", "servers", "state", wanted]:
                rows = [
                    f"3 {s[0]} 1 {s[1]} {s[2]} {s[3]} {s[4]} 1 1\n" for s in self._servers() if s[0] == wanted
                ]
                return "".join(["1\n# be_id be_name srv_id srv_name srv_addr\n", *rows])
            case ["set", "server", name, what, value] if name.startswith(SERVER):
                number = name.removeprefix(SERVER)
                at, state = self._told.get(number, ("127.0.0.1", AWAY))
                if what == "addr":
                    at = value
                else:
                    state = {"ready": READY, "drain": DRAINED, "maint": AWAY}[value]
                self._told[number] = (at, state)
                return ""
        return f"Unknown command: '{' '.join(words)}'\n"
