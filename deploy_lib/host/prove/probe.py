"""Probes: what proves a release beyond the health of its containers.

HTTP goes through the session: the host needs no curl, and its ports need not be reachable from here.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

import paramiko
from msgspec import Struct

from deploy_lib.compose.container import Container
from deploy_lib.config import Probe
from deploy_lib.config.probe import STARTED
from deploy_lib.errors import DeployError
from deploy_lib.host.prove import roster
from deploy_lib.host.prove.roster import Member, dig
from deploy_lib.shell import quote
from deploy_lib.ssh.session import Session

INTERVAL = 0.2
"""Seconds between two tries of a probe."""

ANSWER_TIMEOUT = 10.0
"""Seconds that one answer may take."""

LOG_LINES = 1000
"""Lines of a log that are searched, the newest ones."""


class Finding(Struct, frozen=True):
    """How a probe ended.

    Attributes:
        problem: "" when it succeeded; otherwise what was expected and what came.
        seconds: from the first try to the last.
        container: the id of the one whose log may tell why; "" where only the probe's service is known.
    """

    probe: Probe
    problem: str
    seconds: float
    container: str = ""

    @property
    def ok(self) -> bool:
        """Whether the probe succeeded."""
        return not self.problem


def prove(
    session: Session,
    probes: Sequence[Probe],
    look: Callable[[], Sequence[Container]],
    members: Callable[[Sequence[Container]], Sequence[Member]] = lambda _: (),
    otherwise: Mapping[str, Probe] = MappingProxyType({}),
) -> Iterator[Finding]:
    """Asks every probe until it succeeds or its time is over; findings come in the order in which they end.

    Args:
        look: gives the containers as they are now.
        otherwise: by a probe's name, one that may succeed in its place.
        members: of these, those that a probe of every container asks for; see `roster.members`.

    Raises:
        RemoteError: the session has ended, so no probe can succeed any more.
    """
    began = time.monotonic()
    waiting = list(probes)
    with contextlib.ExitStack() as stack:
        endpoints = _Endpoints(session, stack)
        while waiting:
            containers = look()
            session.require_alive()
            for probe in list(waiting):
                problem, container = _ask(session, endpoints, probe, containers, members)
                other = otherwise.get(probe.name)
                if (
                    problem
                    and other is not None
                    and not _ask(session, endpoints, other, containers, members)[0]
                ):
                    problem = ""
                spent = time.monotonic() - began
                if not problem or spent >= probe.timeout:
                    waiting.remove(probe)
                    yield Finding(probe, problem, spent, container)
            if waiting:
                time.sleep(INTERVAL)


class _Socket:
    """A channel as `http.client` wants its socket.

    It closes that before it has read an answer which ends with the connection: a real socket stays open until its last
    file is closed, a channel does not, and the answer's body would be lost.
    """

    def __init__(self, channel: paramiko.Channel) -> None:
        self.sendall = channel.sendall
        self.makefile = channel.makefile

    def close(self) -> None:
        """Leaves the channel open; `_Endpoints` closes it."""


class _Endpoints:
    """One kept-alive connection for each host and port that is asked."""

    def __init__(self, session: Session, stack: contextlib.ExitStack) -> None:
        self._session = session
        self._stack = stack
        self._open: dict[tuple[str, int], http.client.HTTPConnection] = {}

    def get(self, host: str, port: int, path: str) -> tuple[int, bytes]:
        connection = self._open.pop((host, port), None) or self._connect(host, port)
        connection.request("GET", path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        answer = response.status, response.read()
        if not response.will_close:
            self._open[host, port] = connection  # only one that worked is used again
        return answer

    def _connect(self, host: str, port: int) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(host, port, timeout=ANSWER_TIMEOUT)
        channel = self._session.forward(host, port)
        channel.settimeout(ANSWER_TIMEOUT)
        connection.sock = _Socket(channel)
        connection.auto_open = 0
        self._stack.callback(channel.close)
        return connection


def _ask(
    session: Session,
    endpoints: _Endpoints,
    probe: Probe,
    containers: Sequence[Container],
    members: Callable[[Sequence[Container]], Sequence[Member]],
) -> tuple[str, str]:
    """Asks once; "" when the answer is as expected, otherwise why not; and the container at fault, where that is known."""
    own = [c for c in containers if c.service == probe.service]
    if probe.state is not None:
        return judge_state(probe, own), ""
    if probe.log is not None:
        lines = [line for c in own for line in _log(session, c)]
        found = any(re.search(probe.log, line) for line in lines)
        return "" if found else f"no line of its log matches {probe.log!r}", ""
    asked = probe.model_copy(update={"url": dated(probe.url or "", containers)})
    return _ask_http(endpoints, asked, members(containers) if probe.entry else ())


def dated(url: str, containers: Sequence[Container]) -> str:
    """A probe's URL, with the moments at which containers were started."""

    def moment(found: re.Match[str]) -> str:
        own = [c.started_at for c in containers if found[1] in (None, c.service)]
        return f"{max(own, default=0):.3f}"

    return STARTED.sub(moment, url)


def _log(session: Session, container: Container) -> list[str]:
    command = (
        f"docker logs --since {quote(container.started)} {quote(container.id)} 2>&1 | tail -n {LOG_LINES}"
    )
    return session.run(command, check=False, timeout=ANSWER_TIMEOUT, step="probe").stdout.splitlines()


def judge_state(probe: Probe, containers: Sequence[Container]) -> str:
    """Why containers are not in the state that the probe expects; "" when they are."""
    if not containers:
        return f"{probe.service} has no container"
    for c in containers:
        if c.state != probe.state:
            return f"its container is {c.state}, expected {probe.state}"
        if c.state == "exited" and c.exit_code:
            return f"its container exited with status {c.exit_code}, expected 0"
    return ""


def _ask_http(endpoints: _Endpoints, probe: Probe, members: Sequence[Member]) -> tuple[str, str]:
    url = urlsplit(probe.url or "")
    path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
    try:
        status, body = endpoints.get(url.hostname or "", url.port or 80, path)
    except (OSError, http.client.HTTPException, EOFError, ValueError) as error:
        return f"no answer from {probe.url}: {error or type(error).__name__}", ""
    except DeployError as error:
        return error.what, ""
    return judge(probe, status, body, members)


def judge(probe: Probe, status: int, body: bytes, members: Sequence[Member] = ()) -> tuple[str, str]:
    """Why an answer is not what the probe expects, and the container at fault, where there is one."""
    if status != probe.status:
        return f"{probe.url} answered HTTP {status}, expected {probe.status}: {_short(body)}", ""
    if not (probe.json_values or probe.entry):
        return "", ""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return f"{probe.url} answered no JSON: {_short(body)}", ""
    for path, expected in probe.json_values.items():
        found = dig(data, path)
        if found != expected or isinstance(found, bool) != isinstance(expected, bool):
            return f"{probe.url}: {path} is {json.dumps(found)}, expected {json.dumps(expected)}", ""
    return roster.judge(probe, data, members) if probe.entry else ("", "")


def _short(body: bytes) -> str:
    return body[:200].decode(errors="replace").strip()
