"""Shell text that several scripts share. Everything here is POSIX sh with GNU or busybox tools."""

from __future__ import annotations

import shlex

from deploy_lib.operations.layout import MEMORY

NO_MEMORY = 73
"""Exit status of a script that found no memory-backed directory."""

FIND_MEMORY = f"""\
m=
for d in {" ".join(MEMORY)}; do
  if [ "$(stat -f -c %T "$d" 2>/dev/null)" = tmpfs ] && [ -w "$d" ]; then m=$d; break; fi
done
"""
"""Sets `$m` to a writable directory that is really memory, or to nothing."""

SCRATCH = """\
umask 077
for s in "$m"/ktrdr-deploy.*; do
  p=${s#"$m"/ktrdr-deploy.}
  if [ -O "$s" ] && ! kill -0 "${p%%.*}" 2>/dev/null; then rm -rf "$s"; fi
done
t=$(mktemp -d "$m/ktrdr-deploy.$$.XXXXXX") || exit 73
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

THERE = """\
there() {
  if [ -e "$1" ]; then return 0; fi
  set -- "$1" "$(LC_ALL=C stat -c . -- "$1" 2>&1 >/dev/null)"
  case $2 in
    '') return 0;;
    *': No such file or directory' | *': Not a directory') return 1;;
  esac
  printf '%s (as %s)\\n' "$2" "$(id -un)" >&2
  return 2
}
"""
"""Shell function `there PATH`: 0 when something is there, 1 when nothing is, 2 with the cause on standard error when that
cannot be told. `there X || { [ $? = 1 ]; return; }` ends a function well where X is absent, and badly where it is unknown."""

GONE = """\
gone() { printf '%s\\n' "$1" | grep -viE '^(error: |error response from daemon: )*no such (object|container|image): ' >&2 && return 1; true; }
"""
"""Shell function `gone TEXT`: an engine complains of nothing but things that are there no more; otherwise it says of what."""

INSPECT = f"""\
{GONE}
# Between a list and a look at what it names, something of it may have gone: that is no failure. Anything else is one.
inspect() {{
  f=$1; shift
  [ $# -gt 0 ] || return 0
  {{ c=$(docker inspect --format "$f" "$@" 2>&1 >&3); }} 3>&1 || gone "$c"
}}
"""
"""Shell function `inspect FORMAT ID...`: `docker inspect` of those that are still there."""


def quote(value: object) -> str:
    """One shell word."""
    return shlex.quote(str(value))


def words(*values: object) -> str:
    """Several shell words."""
    return " ".join(quote(value) for value in values)
