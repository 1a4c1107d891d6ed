"""A simulated host: a directory, an engine, and processes of this machine that think they are on it."""

from __future__ import annotations

import contextlib
import copy
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .docker import Docker
from .engine import Engine
from .moments import CHANGING, Fault
from .server import Call, GoneError, Server
from .session import SimulatedSession
from .shells import SHELLS
from .things import EngineError

_SLEEP = "#!/bin/sh\n# Who sleeps for long is to be ended meanwhile.\ncase $1 in [5-9]|[1-9][0-9]*) exec {sleep} 2;; *) exec {sleep} 0.015;; esac\n"


class Host:
    """A host.

    Args:
        shell: that its `sh` is.
        watch: told of each moment of a command, before what it brings.

    Attributes:
        root: the directory that has all of it. It lies in memory, so that what scripts find there is memory, too.
        home: where the stack lies.
    """

    def __init__(self, shell: str = SHELLS[0], watch: Callable[[str], None] = lambda _: None) -> None:
        self._watch = watch
        self.root = Path(tempfile.mkdtemp(prefix="sim-", dir="/dev/shm"))
        self.home = self.root / "opt/shop"
        for name in ("run", "shm", "opt", "root"):
            (self.root / name).mkdir(mode=0o755)
        self.engine = Engine(self._moment)
        self.docker = Docker(self.engine)
        self.server = Server(self.root / "socket", self._answer)
        self.server.install(self.root / "bin", ("docker",))
        self.server.install(self.root / "armed", CHANGING)
        (self.root / "bin/sleep").write_text(_SLEEP.format(sleep=shutil.which("sleep")))
        (self.root / "bin/sleep").chmod(0o755)
        (self.root / "bin/sh").symlink_to(shell)
        self.fault: Fault | None = None
        self.asking = threading.local()
        self._sessions: list[SimulatedSession] = []
        self._off = False
        self._names = re.compile(
            rf"{re.escape(str(self.root))}|/dev/shm\b|(?<![\w/.}}])/run(?![\w-]|/secrets)"
        )

    # --- its names ------------------------------------------------------------------------------------------------

    def inward(self, script: str) -> str:
        """A script's text, in which the host's memory is that in its directory."""

        def place(found: re.Match[str]) -> str:
            return {"/dev/shm": f"{self.root}/shm", "/run": f"{self.root}/run"}.get(found[0], found[0])

        return self._names.sub(place, script)

    def outward(self, said: bytes) -> bytes:
        """What a script prints, in the host's own names."""
        root = str(self.root).encode()
        return said.replace(root + b"/shm", b"/dev/shm").replace(root + b"/run", b"/run")

    # --- its processes --------------------------------------------------------------------------------------------

    def session(self, node: str, answer: Callable[[int, str], tuple[int, bytes] | None]) -> SimulatedSession:
        """A new session; nothing can be begun on it while the host is off."""

        def again() -> SimulatedSession:
            return self.session(node, answer)

        made = SimulatedSession(node, self.begin, answer, self.inward, self.outward, again)
        if self._off:
            made.end()
        self._sessions = [*(each for each in self._sessions if not each.over), made]
        return made

    def begin(self, line: str) -> subprocess.Popen[bytes]:
        """Runs a command line as sshd does, by way of the login shell."""
        armed = [str(self.root / "armed")] if self.fault is not None else []
        path = ":".join(
            [*armed, str(self.root / "bin"), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        )
        env = {
            "PATH": path,
            "SIMULATED": str(self.root / "socket"),
            "HOME": str(self.root / "root"),
            "LANG": "C",
        }
        pipe = subprocess.PIPE
        return subprocess.Popen(
            ["/bin/sh", "-c", line],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=env,
            cwd=self.root,
            start_new_session=True,
        )

    def processes(self) -> list[int]:
        """All that run on it."""
        mark = f"SIMULATED={self.root}/socket".encode()
        found = []
        for path in Path("/proc").iterdir():
            if path.name.isdecimal():
                try:
                    if mark in (path / "environ").read_bytes().split(b"\0"):
                        found.append(int(path.name))
                except OSError:
                    continue
        return found

    def kill(self) -> None:
        """Ends all processes at once."""
        for _ in range(200):
            found = self.processes()
            if not found:
                return
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for process in found:
                    try:
                        os.kill(process, number)
                    except OSError:
                        continue
            time.sleep(0.002)
        raise AssertionError(f"these do not end: {found}")

    def settle(self, seconds: float = 60) -> None:
        """Waits until nothing runs on it."""
        deadline = time.monotonic() + seconds
        while found := self.processes():
            if time.monotonic() > deadline:
                told = [Path(f"/proc/{p}/cmdline").read_bytes().replace(b"\0", b" ")[:200] for p in found]
                raise AssertionError(f"this still runs after {seconds} s: {told}")
            time.sleep(0.01)

    # --- what befalls it -------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """All sessions end."""
        for session in self._sessions:
            session.cut()
        self._sessions.clear()

    def interrupt(self) -> None:
        """Ctrl-C, here: whoever waits for the host waits no longer."""
        for session in self._sessions:
            if session.stop is not None:
                session.stop.set()

    def kill_caller(self, *, all_of_it: bool) -> None:
        """Ends the shell of the script that calls just now, as the kernel does where memory is short.

        Args:
            all_of_it: with all that was started together with it; otherwise that goes on.
        """
        caller = self.asking.call.process
        shell = int(Path(f"/proc/{caller}/stat").read_text().rpartition(")")[2].split()[1])
        own = os.getsid(caller)
        for process in self.processes() if all_of_it else [shell]:
            with contextlib.suppress(OSError):
                if process == shell or os.getsid(process) == own:
                    os.kill(process, signal.SIGKILL)
        if all_of_it:
            raise GoneError

    def power_off(self) -> None:
        """The power fails: no process and no memory is left, and the engine comes up again with what it starts."""
        self._off = True
        for session in self._sessions:
            session.end()
        self.kill()
        for name in ("run", "shm"):
            shutil.rmtree(self.root / name)
            (self.root / name).mkdir(mode=0o755)
        self.engine.restart(0)
        self.cut()
        self._off = False
        raise GoneError

    def close(self) -> None:
        """Ends it, with all that it has."""
        self.cut()
        self.kill()
        self.server.close()
        shutil.rmtree(self.root, ignore_errors=True)

    # --- what it is asked --------------------------------------------------------------------------------------------

    def _moment(self, what: str) -> None:
        run = self.engine.run
        self._watch(what)
        if self.fault is not None:
            self.fault.at(what)
        if self.engine.run != run:
            raise EngineError("error during connect: the engine has ended")

    def _answer(self, call: Call) -> None:
        self.asking.call = call
        try:
            self._do(call)
        except GoneError:
            raise
        except Exception as error:
            # In this thread nobody would hear of it.
            self.docker.odd.append(f"{call.program} {' '.join(call.arguments)}: {error!r}")
            raise

    def _do(self, call: Call) -> None:
        if call.program == "docker":
            call.end(self.docker.answer(call))
            return
        if self.fault is not None:
            self.fault.at(f"{call.program} {' '.join(call.arguments)}", loops=True)
        call.become(shutil.which(call.program, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin") or "")

    # --- copies --------------------------------------------------------------------------------------------------------

    def save(self) -> tuple[Path, dict[str, Any]]:
        """A copy of all that lies on it, for `load`."""
        place = Path(tempfile.mkdtemp(prefix="sim-saved-", dir="/dev/shm"))
        shutil.copytree(self.root / "opt", place / "opt", symlinks=True)
        state = {name: getattr(self.engine, name) for name in ("images", "containers", "volumes", "registry")}
        return place, copy.deepcopy(state)

    def load(self, saved: tuple[Path, dict[str, Any]]) -> None:
        """Makes it what it was."""
        place, state = saved
        shutil.rmtree(self.root / "opt")
        shutil.copytree(place / "opt", self.root / "opt", symlinks=True)
        for name, value in copy.deepcopy(state).items():
            setattr(self.engine, name, value)
