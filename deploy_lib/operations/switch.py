"""The switch: files into place and containers replaced, by one script that outlives the session that began it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from deploy_lib.errors import RemoteError
from deploy_lib.operations import layout
from deploy_lib.operations.compose import (
    PROJECT_LABEL,
    SERVICE_LABEL,
    Container,
    command,
    containers_command,
    parse_container,
)
from deploy_lib.operations.history import Event, append_command
from deploy_lib.operations.shell import FIND_MEMORY, NO_MEMORY, quote, words
from deploy_lib.ssh.session import Process, Session
from deploy_lib.topology import Node, Reload

INTERVAL = 1
"""Seconds between two looks at the containers."""

LAPSED = 76
"""Exit status of a switch whose lock was no longer its own."""

BUSY = 75
"""Exit status of a switch that found another one still running."""


@dataclass(frozen=True)
class Switch:
    """What is to be done, all of it decided beforehand.

    Attributes:
        token: the lock owner's; another one in the lock's file stops the switch before it begins.
        staged: where the new files lie, below the stack's directory.
        changed: paths to be put into place.
        dropped: paths that the release before had and this one has not.
        reloads: what to do for services whose container stays although its files changed.
        started: the event that the history gets first.
    """

    token: str
    staged: PurePosixPath
    changed: tuple[str, ...]
    dropped: tuple[str, ...]
    reloads: tuple[Reload, ...]
    started: Event


def script(node: Node, project: str, switch: Switch) -> str:
    """The detached script. Secret values come in its environment; its arguments and its output hold none."""
    directory = node.directory
    own = quote(json.dumps(switch.token))
    limit = int(node.stack.switch_timeout)
    up = command(
        node.stack,
        project,
        directory,
        "up",
        "-d",
        "--no-build",
        "--pull",
        "never",
        "--remove-orphans",
        "--quiet-pull",
    )
    return f"""\
exec 9>>{quote(directory / layout.SWITCH_LOCK)}
flock -n 9 || {{ echo 'another switch is still running' >&2; exit {BUSY}; }}
grep -qF {own} {quote(directory / layout.OWNER)} || {{ echo 'the lock has lapsed' >&2; exit {LAPSED}; }}
{append_command(directory, switch.started)}
{place(directory, switch)}
{_before(project, switch.reloads)}
timeout -k 10 {limit} {up} 9>&- || exit
{_after(project, switch.reloads)}
"""


def place(directory: PurePosixPath, switch: Switch) -> str:
    """Shell text that puts files into place: all are written beside their places first, and then renamed."""
    if not (switch.changed or switch.dropped):
        return ":"
    place_function = f"""\
cd {quote(directory)} || exit
umask 022
set -- {words(*switch.changed)}
for x; do
  mkdir -p "$(dirname "$x")" && cp -- {quote(switch.staged)}/"$x" "$x.deploy-new" || {{
    for y; do rm -f "$y.deploy-new"; done
    exit 1
  }}
done
for x; do mv -f -- "$x.deploy-new" "$x" || exit; done
"""
    drop = f"rm -f -- {words(*switch.dropped)}\n" if switch.dropped else ""
    return place_function + drop


def _variable(reload: Reload) -> str:
    return "before_" + re.sub(r"\W", "_", reload.service)


def _running(project: str, service: str) -> str:
    filters = words(
        "--filter", f"label={PROJECT_LABEL}={project}", "--filter", f"label={SERVICE_LABEL}={service}"
    )
    return f"$(docker ps -q --no-trunc {filters})"


def _before(project: str, reloads: Sequence[Reload]) -> str:
    return "\n".join(f'{_variable(r)}="{_running(project, r.service)}"' for r in reloads)


def _after(project: str, reloads: Sequence[Reload]) -> str:
    """A container that is new has read its files already; one that stayed is told to."""
    lines = []
    for reload in reloads:
        act = (
            f'docker exec "$x" sh -c {quote(_tell(reload.signal))}'
            if reload.signal
            else 'docker restart "$x"'
        )
        name = _variable(reload)
        lines.append(
            f'for x in ${name}; do case "{_running(project, reload.service)}" in *"$x"*) {act} >/dev/null || exit;; esac; done'
        )
    return "\n".join(lines)


def _tell(signal: str) -> str:
    """Signals the main process from inside its container.

    Not by `docker kill -s`: the Engine takes that for a stop by hand, whatever the signal, and does not start the
    container again after a reboot (moby#41302).
    """
    return f"kill -s {signal.removeprefix('SIG')} 1"


def launcher(node: Node, project: str, detached: str) -> str:
    """Starts the detached script, passes on its output while it runs, then tells of the containers once a second."""
    watch = int(node.stack.healthy_timeout) + 60
    return f"""\
{FIND_MEMORY}
[ -n "$m" ] || exit {NO_MEMORY}
umask 077
{containers_command(project)}
# The log outlives this channel: whoever takes over may want to read it.
log=$m/ktrdr-deploy-{quote(project)}.log
rm -f "$log"
: >"$log"
setsid sh -c {quote(f'({detached}); r=$?; echo "=== exit $r"')} </dev/null >>"$log" 2>&1 &
tail -n +1 -s 0.1 -f --pid=$! "$log" 2>/dev/null
wait $!
# The outcome does not hang on what tail has seen last.
echo; tail -n 1 "$log"
grep -q '^=== exit 0$' "$log" || exit 0
n=0
while [ $n -lt {watch} ]; do
  echo '=== containers'
  containers || exit
  echo '=== .'
  n=$((n + 1))
  sleep {INTERVAL}
done
"""


class Watch:
    """A switch under way: first its outcome, then a look at the containers every second.

    Leaving the `with` block stops the looking; the switch itself goes on to its end.
    """

    def __init__(self, process: Process, node: str, on_line: Callable[[str], None]) -> None:
        self._process = process
        self._lines = iter(process)
        self._node = node
        self._on_line = on_line

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def finish(self) -> None:
        """Waits for the switch's end, passing on what Compose says.

        Raises:
            RemoteError: it failed, or the session ended; `code` says how, None when nobody knows.
        """
        said: list[str] = []
        for line in self._lines:
            if line.startswith("=== exit "):
                code = int(line.removeprefix("=== exit "))
                if code:
                    raise SwitchError(code, said, self._node)
                return
            said.append(line)
            self._on_line(line)
        raise SwitchError(None, said + self._process.stderr.splitlines(), self._node)

    def looks(self) -> Iterator[list[Container]]:
        """The containers, again and again, until the stack's time to become healthy is over."""
        found: list[Container] = []
        for line in self._lines:
            if line == "=== containers":
                found = []
            elif line == "=== .":
                yield found
            elif line.startswith("{") and (container := parse_container(line)):
                found.append(container)


class SwitchError(RemoteError):
    """The switch did not end well.

    Attributes:
        code: its exit status; None when the session ended before it did.
    """

    def __init__(self, code: int | None, said: Sequence[str], node: str) -> None:
        reason = {
            None: "the session ended during the switch; it goes on to its end on the host",
            LAPSED: "the deployment lock lapsed before the switch; nothing was changed",
            BUSY: "another switch is still running on the host; nothing was changed",
            124: "`docker compose up` did not end in time",
        }.get(code, f"the switch failed with exit status {code}")
        last = "".join(f"\n    {line}" for line in list(said)[-8:])
        super().__init__(reason + last, node=node, step="switch")
        self.code = code


def start(
    session: Session,
    node: Node,
    project: str,
    switch: Switch,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
) -> Watch:
    """Begins the switch.

    Args:
        env: the variables that Compose fills in, every secret of the stack among them.
        on_line: gets each line that Compose prints.
    """
    limit = node.stack.switch_timeout + node.stack.healthy_timeout + 60
    process = session.start(launcher(node, project, script(node, project, switch)), env=env, timeout=limit)
    return Watch(process, session.node, on_line)
