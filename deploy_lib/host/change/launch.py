"""How a switch is started so that it outlives its session, and how it is told what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal

from deploy_lib import layout
from deploy_lib.host.change.lock import owned
from deploy_lib.host.change.signs import ASKED, BEGUN, DONE, END, MARK, NEVER
from deploy_lib.release.history import Event
from deploy_lib.shell import FIND_MEMORY, ScriptExit, quote, words

Word = Literal["proven", "revert", "leave"]


def log_directory(project: str) -> str:
    """What the name of a switch's directory in memory begins with."""
    return f"{layout.TEMPORARY}-{project}"


def launcher(project: str, detached: str) -> str:
    """Starts the detached script, and passes on its output until it ends. Each line of standard input asks for a look at once.

    Script and log lie in memory, where a full disk does not stop them, in a directory that is made for this one script. The
    log outlives a switch: whoever takes over may want to read it.

    When the script cannot be started, the launcher ends at once, with the reason. Whether the script has begun it reads from
    the log, by the shell's own means: no program may be startable.

    Args:
        project: the name of the Compose project.
    """
    return f"""\
refuse() {{ echo "$2"; echo "{MARK}{END} $1"; exit "$1"; }}
# With values that are too large no program can be started at all.
env true || exit
{FIND_MEMORY}
[ -n "$m" ] || refuse {ScriptExit.NO_MEMORY} 'neither /run nor /dev/shm is a writable tmpfs'
umask 077
d=$(mktemp -d "$m"/{quote(log_directory(project))}.XXXXXXXXXX 2>&1) || refuse {ScriptExit.NO_PLACE} "$d"
export TMPDIR="$d"
{{ cat >"$d/switch.sh" && true >"$d/log"; }} 2>&1 <<'=SCRIPT=' || {{ rm -rf "$d"; refuse {ScriptExit.NO_PLACE} "the switch does not fit into $m"; }}
{detached}
=SCRIPT=
exec 3<&0
setsid sh "$d/switch.sh" </dev/null >>"$d/log" 2>&1 3<&- &
s=$!
(while read -r x; do echo '{ASKED}' && true >"$d/asked"; done) <&3 >>"$d/log" 2>/dev/null 3<&- &
exec 3<&-
tail -n +1 -s 0.1 -f --pid=$s "$d/log" 2>/dev/null
wait $s
r=$?
begun=
while IFS= read -r x && [ -z "$begun" ]; do [ "$x" != '{BEGUN}' ] || begun=1; done <"$d/log"
# tail may have missed the last lines, so the log itself decides.
echo; grep -a '^{MARK}{DONE}' "$d/log" | tail -n 1
[ -n "$begun" ] || {{ rm -rf "$d"; echo '{NEVER}'; }}
echo "{MARK}{END} $r"
"""


def verdict_script(directory: PurePosixPath, token: str, word: Word, events: Sequence[Event]) -> str:
    """Gives the waiting switch its verdict, and the lines for the history."""
    path = quote(directory / layout.VERDICT)
    lines = words(f"{token} {word}", *(event.line() for event in events))
    # No here-document: some shells put that into a file of /tmp, which may be full.
    return f"""\
{owned(directory, token)} || exit {ScriptExit.LAPSED}
! flock -n {quote(directory / layout.SWITCH_LOCK)} true || exit {ScriptExit.ENDED}
umask 077
printf '%s\\n' {lines} > {path}.new && mv {path}.new {path} || {{ rm -f {path}.new; exit 1; }}
"""
