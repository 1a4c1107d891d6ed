"""Shell text that several scripts share. Everything here is POSIX sh with GNU or busybox tools."""

from __future__ import annotations

import shlex
from enum import IntEnum, unique

from deploy_lib.layout import MEMORY, TEMPORARY


@unique
class ScriptExit(IntEnum):
    """Exit statuses of the scripts that run on hosts, each with one meaning, whichever script ends with it.

    1 and what programs end with are failures that standard error tells of.

    Attributes:
        NO_MEMORY: there is no directory in memory that can be written.
        HELD: somebody else holds the deployment lock.
        BUSY: a switch still runs.
        LAPSED: the owner's session has ended, or somebody else has the deployment lock by now.
        LOGIN_FAILED: a registry refused the login, or did not hear it.
        NOT_BEGUN: the history cannot be written, so nothing was begun.
        NO_VALUES: a secret has no value.
        NO_OLD_VALUES: the value that runs of a secret cannot be read, so that nothing could go back to it.
        ENDED: no switch waits for a verdict.
        NOTHING_THERE: the stack that scrapes was never deployed.
        TRUNCATED: the script did not arrive whole.
    """

    NO_MEMORY = 73
    HELD = 74
    BUSY = 75
    LAPSED = 76
    LOGIN_FAILED = 77
    NOT_BEGUN = 78
    NO_VALUES = 79
    NO_OLD_VALUES = 80
    ENDED = 83
    NOTHING_THERE = 84
    TRUNCATED = 125


FIND_MEMORY = f"""\
m=
for d in {" ".join(MEMORY)}; do
  if [ "$(stat -f -c %T "$d" 2>/dev/null)" = tmpfs ] && [ -w "$d" ]; then m=$d; break; fi
done
"""
"""Sets `$m` to a writable directory that is really memory, or to nothing."""

SCRATCH = f"""\
umask 077
for s in "$m"/{TEMPORARY}.*; do
  p=${{s#"$m"/{TEMPORARY}.}}
  if [ -O "$s" ] && ! kill -0 "${{p%%.*}}" 2>/dev/null; then rm -rf "$s"; fi
done
t=$(mktemp -d "$m/{TEMPORARY}.$$.XXXXXX") || exit {ScriptExit.NO_MEMORY}
trap 'rm -rf "$t"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
# A reader that has gone away must not take the cleaning up with it.
trap 'exit 141' PIPE
"""
"""Makes `$t`, a directory in memory that is gone when the script ends, and sweeps those of scripts that were killed."""

IN_MEMORY = f"""\
{FIND_MEMORY}\
if [ -z "$m" ]; then echo 'neither /run nor /dev/shm is a writable tmpfs' >&2; exit {ScriptExit.NO_MEMORY}; fi
{SCRATCH}"""
"""Both, for a script that cannot do without."""


def quote(value: object) -> str:
    """One shell word."""
    return shlex.quote(str(value))


def words(*values: object) -> str:
    """Several shell words."""
    return " ".join(quote(value) for value in values)
