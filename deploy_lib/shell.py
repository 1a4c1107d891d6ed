"""Shell text that several scripts share. Everything here is POSIX sh with GNU or busybox tools."""

from __future__ import annotations

import shlex

from deploy_lib.layout import MEMORY, TEMPORARY

NO_MEMORY = 73
"""Exit status of a script that found no memory-backed directory."""

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
t=$(mktemp -d "$m/{TEMPORARY}.$$.XXXXXX") || exit {NO_MEMORY}
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
if [ -z "$m" ]; then echo 'neither /run nor /dev/shm is a writable tmpfs' >&2; exit {NO_MEMORY}; fi
{SCRATCH}"""
"""Both, for a script that cannot do without."""


def quote(value: object) -> str:
    """One shell word."""
    return shlex.quote(str(value))


def words(*values: object) -> str:
    """Several shell words."""
    return " ".join(quote(value) for value in values)
