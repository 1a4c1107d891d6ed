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

from msgspec import Struct

from deploy_lib.compose.container import Container
from deploy_lib.config import Probe
from deploy_lib.config.probe import STARTED
from deploy_lib.errors import DeployError, RemoteError
from deploy_lib.host.prove import roster
from deploy_lib.host.prove.endpoints import ANSWER_TIMEOUT, Endpoints
from deploy_lib.host.prove.roster import Member, dig
from deploy_lib.shell import quote
from deploy_lib.ssh.session import Session

INTERVAL = 0.2
"""Seconds between two tries of a probe."""

LOG_LINES = 1000
"""Lines of a log that are searched, the newest ones, and as many of the first."""

_LONG_AGO = 99
"""Exit status of a log's look: the container has run for an hour or more."""


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
        endpoints = Endpoints(session, stack)
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


def _ask(
    session: Session,
    endpoints: Endpoints,
    probe: Probe,
    containers: Sequence[Container],
    members: Callable[[Sequence[Container]], Sequence[Member]],
) -> tuple[str, str]:
    """Asks once; "" when the answer is as expected, otherwise why not; and the container at fault, where that is known."""
    own = [c for c in containers if c.service == probe.service]
    if probe.state is not None:
        return judge_state(probe, own), ""
    if probe.log is not None:
        return _judge_log(session, probe.log, own), ""
    asked = probe.model_copy(update={"url": dated(probe.url or "", containers)})
    return _ask_http(endpoints, asked, members(containers) if probe.entry else ())


def dated(url: str, containers: Sequence[Container]) -> str:
    """A probe's URL, with the moments at which containers were started."""

    def moment(found: re.Match[str]) -> str:
        own = [c.started_at for c in containers if found[1] in (None, c.service)]
        return f"{max(own, default=0):.3f}"

    return STARTED.sub(moment, url)


def _judge_log(session: Session, pattern: str, containers: Sequence[Container]) -> str:
    """Why no log has what a probe expects; "" when one has it, or its container has run for so long that its log need not."""
    try:
        found = [
            session.run(log_script(c), check=False, timeout=ANSWER_TIMEOUT, step="probe") for c in containers
        ]
    except RemoteError as error:
        # The engine may need longer for a long log; that the session has ended is seen before the next try.
        return error.what
    lines = (line for each in found for line in each.stdout.splitlines())
    if any(each.exit_code == _LONG_AGO for each in found) or any(re.search(pattern, line) for line in lines):
        return ""
    return f"no line of its log matches {pattern!r}"


def log_script(container: Container) -> str:
    """Script that prints what a container has said since it started, as far as that is searched."""
    one = quote(container.id)
    since = f"docker logs --since {quote(container.started)}"
    return f"""\
# What has run for an hour has said it, and its log may not go back so far.
case $(docker ps --no-trunc --filter {quote(f"id={container.id}")} --format '{{{{.Status}}}}') in Up*hour*|Up*day*|Up*week*|Up*month*|Up*year*) exit {_LONG_AGO};; esac
x=$({since} --tail {LOG_LINES} {one} 2>&1)
printf '%s\n' "$x"
[ "$(printf '%s\n' "$x" | wc -l)" -lt {LOG_LINES} ] || {since} {one} 2>&1 | head -n {LOG_LINES}
"""


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


def _ask_http(endpoints: Endpoints, probe: Probe, members: Sequence[Member]) -> tuple[str, str]:
    url = urlsplit(probe.url or "")
    path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
    try:
        whole = bool(probe.json_values or probe.entry)
        status, body = endpoints.get(
            url.hostname or "", url.port or 80, path, enough=None if whole else probe.status
        )
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
