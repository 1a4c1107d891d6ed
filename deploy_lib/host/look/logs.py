"""Logs of a stack's containers, streamed over one channel per node."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from deploy_lib.compose import labels
from deploy_lib.compose.project import Project
from deploy_lib.errors import DeployError, RemoteError, told
from deploy_lib.host.change.lock import HEARTBEAT, LAPSE
from deploy_lib.shell import quote, words
from deploy_lib.ssh.process import Process
from deploy_lib.ssh.session import Session

TIMEOUT = 120.0
"""Seconds until all existing lines must have come."""

FOLLOW_TIMEOUT = 30 * 24 * 3600.0
"""Seconds for which logs are followed, at most: 30 days."""

_AT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z\Z")


class Line(Struct, frozen=True):
    """One line of a container's output, standard output and standard error alike.

    Attributes:
        service: its service; "web-2" for a second container of it.
        at: when Docker got it: RFC 3339, UTC, nanoseconds, so that lines sort by it; "" for Docker's own words.
    """

    service: str
    at: str
    text: str


class Known(Struct, frozen=True):
    """A service that has a container, whether its lines were asked for or not; comes before all lines."""

    service: str


_SERVICE = "=== service "


def logs_script(project: Project, services: Sequence[str], tail: int, *, follow: bool) -> str:
    """Prints each container's service, and its last lines; found by its labels: Compose would want every variable set.

    Args:
        services: only these; none: all.
        tail: how many lines of each container.
        follow: go on with what comes, as long as bytes keep coming on standard input. `docker logs --follow` by itself
            would outlive its channel until the container's next line.
    """
    form = f"{{{{.ID}}}} {labels.template(labels.SERVICE)} {labels.template(labels.NUMBER)}"
    options = words("--timestamps", "--tail", tail, *(["--follow"] if follow else []))
    wanted = "|".join(map(quote, services)) or "*"
    return f"""\
list=$(docker ps -a --no-trunc {project.filters} {labels.NO_ONE_OFF} --format {quote(form)}) || exit
# A container's own number would be another one after each rolling switch: it only gives the order.
list=$(printf '%s\\n' "$list" | sort -k 2,2 -k 3n | while read -r i s n; do
  [ -n "$s" ] || continue
  if [ "$s" = "$l" ]; then p=$((p + 1)); else l=$s p=1; fi
  echo "$i $s $p"
done)
printf '%s\\n' "$list" | while read -r i s n; do [ -z "$s" ] || printf '{_SERVICE}%s\\n' "$s"; done
show() {{
  docker logs {options} "$1" 2>&1 | while IFS= read -r x || [ -n "$x" ]; do printf '%s %s %s\\n' "$2" "$3" "$x"; done
}}
{_GUARD if follow else ""}\
while read -r i s n; do
  case $s in '') continue ;; {wanted}) ;; *) continue ;; esac
  show "$i" "$s" "$n" {"&" if follow else ""}
  {'shown="$shown $!"' if follow else ""}
done <<LIST
$list
LIST
{'wait $shown; kill -KILL "$guard"' if follow else ""}
"""


_GUARD = f"""\
exec 3<&0
{{ while [ "$(timeout {LAPSE} head -c 1)" = . ]; do :; done; kill -KILL 0; }} <&3 >/dev/null 2>&1 &
guard=$!
exec 3<&-
shown=
"""
"""Ends everything that this channel has started, when the channel is closed or its client is silent."""


def read_line(text: str) -> Line | Known:
    """A line of the script's output."""
    if text.startswith(_SERVICE):
        return Known(text.removeprefix(_SERVICE))
    service, number, rest = (*text.split(" ", 2), "", "")[:3]
    at, _, said = rest.partition(" ")
    name = service if number in ("", "1") else f"{service}-{number}"
    return Line(name, at, said) if _AT.match(at) else Line(name, "", rest)


def stream(
    sessions: Mapping[str, Session], scripts: Mapping[str, str], *, follow: bool
) -> Iterator[tuple[str, Line | Known | DeployError]]:
    """Lines of all nodes as they come, and the error of a node whose stream broke off.

    Closing the iterator closes the channels, and with them what runs on the hosts.

    Args:
        sessions: by node.
        scripts: by node, see `logs_script`.
    """
    arrived: queue.Queue[tuple[str, Line | Known | DeployError | None]] = queue.Queue(maxsize=10_000)
    processes: dict[str, Process] = {}

    def read(node: str) -> None:
        try:
            with told(node):
                session = sessions[node]
                timeout = FOLLOW_TIMEOUT if follow else TIMEOUT
                processes[node] = process = session.start(scripts[node], timeout=timeout, keep_stdin=follow)
                for text in process:
                    arrived.put((node, read_line(text)))
                code = process.wait()
                if code:
                    raise RemoteError(process.stderr.strip() or f"exit status {code}", node=node, step="logs")
        except DeployError as error:
            arrived.put((node, error))
        arrived.put((node, None))

    for node in scripts:
        threading.Thread(target=read, args=[node], name=f"logs-{node}", daemon=True).start()
    open_nodes, beat = set(scripts), time.monotonic()
    try:
        while open_nodes:
            if follow and time.monotonic() - beat >= HEARTBEAT:
                beat = time.monotonic()
                _sign_of_life(list(processes.values()))
            try:
                node, item = arrived.get(timeout=HEARTBEAT)
            except queue.Empty:
                continue
            if item is None:
                open_nodes.discard(node)
            else:
                yield node, item
    finally:
        for process in list(processes.values()):
            process.close()


def _sign_of_life(processes: Sequence[Process]) -> None:
    for process in processes:
        try:
            process.send(b".")
        except RemoteError:
            continue  # its reader reports it
