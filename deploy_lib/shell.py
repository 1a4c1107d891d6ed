"""Shell text that several scripts share. Everything here is POSIX sh with GNU or busybox tools."""

from __future__ import annotations

import shlex
from enum import IntEnum, unique
from pathlib import PurePosixPath

from deploy_lib.layout import MEMORY, STATE, TEMPORARY


@unique
class ScriptExit(IntEnum):
    """Exit statuses of the scripts that run on hosts, each with one meaning, whichever script ends with it.

    1, and other programs' statuses, are failures that standard error explains.

    Attributes:
        NOT_OURS: another user could change what was to be written.
        NO_MEMORY: there is no directory in memory that can be written.
        HELD: somebody else holds the deployment lock.
        BUSY: a switch still runs.
        LAPSED: the owner's session has ended, or somebody else now holds the deployment lock.
        LOGIN_FAILED: a registry refused the login, or did not answer.
        NOT_BEGUN: the history cannot be written, so nothing was begun.
        NO_VALUES: a secret has no value.
        NO_OLD_VALUES: the current value of a secret cannot be read, so nothing could go back to it.
        NO_LOG: the switch's log cannot be written.
        NO_PLACE: there is no place in the host's memory that is this user's alone.
        ENDED: no switch waits for a verdict.
        NOTHING_THERE: the scraping stack was never deployed.
        CHANGED: a kept file's content is not what its name says.
        NO_BACKUP: a backup could not be made, or is not whole; standard error says why.
        EXPOSED: a container could reach the backups.
        TRUNCATED: the script did not arrive whole.
    """

    NOT_OURS = 72
    NO_MEMORY = 73
    HELD = 74
    BUSY = 75
    LAPSED = 76
    LOGIN_FAILED = 77
    NOT_BEGUN = 78
    NO_VALUES = 79
    NO_OLD_VALUES = 80
    NO_LOG = 81
    NO_PLACE = 82
    ENDED = 83
    NOTHING_THERE = 84
    CHANGED = 85
    NO_BACKUP = 86
    EXPOSED = 87
    TRUNCATED = 125


TRUST = """\
me=$(id -u)
# look PATH: sets $a to the type and permissions of what lies there, $u and $n to its owner; a link is not followed.
look() { a=$(stat -c '%A %u %U' "$1" 2>/dev/null) && n=${a#* } && a=${a%% *} u=${n%% *} n=${n#* }; }
# own PATH [HINT]: nothing where this is a directory that this user alone can change. Otherwise a line that says why it is
# not, and after a tab what fixes it. HINT: what to do about one of somebody else.
own() (
  look "$1" || { printf '%s cannot be looked at\\tls -ld %s\\n' "$1" "$1"; return; }
  r=; [ "$u" = "$me" ] || r='as root: '
  case $a in d*) ;; *) printf '%s, which %s has made, is no directory\\t%srm %s\\n' "$1" "$n" "$r" "$1"; return;; esac
  [ "$u" = "$me" ] || {
    printf "%s belongs to %s, and not to %s, who deploys\\t%s\\n" "$1" "$n" "$(id -un)" "${2:-as root: rm -rf $1}"
    return
  }
  case $a in ?????w*|????????w*) printf '%s can be changed by others (%s)\\tchmod go-w %s\\n' "$1" "$a" "$1";; esac
)
# way PATH: the same for all that leads there, the last included: what is this user's or root's, and what of it others may
# add to, they may not take away from.
way() (
  p=$1
  while [ -n "$p" ]; do
    # What is not there yet is looked at by whoever makes it.
    if look "$p"; then
      [ "$u" = 0 ] || [ "$u" = "$me" ] ||
        printf '%s belongs to %s, who could change what lies there\\tas root: chown root %s\\n' "$p" "$n" "$p"
      case $a in
        # A link that leads round in a circle leads nowhere.
        l*) if [ -e "$p" ]; then l=$(readlink "$p"); case $l in /*) way "$l";; *) way "${p%/*}/$l";; esac; fi;;
        ?????w???[!tT]*|????????w[!tT]*) printf '%s can be changed by others (%s)\\tchmod go-w %s\\n' "$p" "$a" "$p";;
      esac
    fi
    p=${p%/*}
  done
)
"""
"""Functions that say who else could change what lies at a path. Root always can, and counts as this user."""

FIND_MEMORY = f"""\
{TRUST}\
m=
for d in {" ".join(MEMORY)}; do
  if [ "$(stat -f -c %T "$d/" 2>/dev/null)" = tmpfs ] && [ -w "$d" ] && [ -z "$(way "$d")" ]; then m=$d; break; fi
done
"""
"""Sets `$m` to a writable directory that is really memory and in which nobody takes away what others made, or to nothing."""

SCRATCH_FD = 7
"""A script's file descriptor of its directory in memory, by which others know that it is in use."""

SCRATCH = f"""\
umask 077
for s in "$m"/{TEMPORARY}.*; do
  p=${{s#"$m"/{TEMPORARY}.}}
  p=${{p%%.*}}
  [ -d "$s" ] && [ ! -L "$s" ] && [ -O "$s" ] || continue
  # Another program may have that number by now: whoever made the directory has it open, or has not put anything into it yet.
  # It is opened before anything is put into it, so what was empty just now is asked once more.
  if kill -0 "$p" 2>/dev/null; then
    o=/proc/$p/fd/{SCRATCH_FD}
    if [ "$o" -ef "$s" ] || [ -z "$(ls -A "$s")" ] || [ "$o" -ef "$s" ]; then continue; fi
  fi
  rm -rf "$s"
done
t=$(mktemp -d "$m/{TEMPORARY}.$$.XXXXXXXXXX") && exec {SCRATCH_FD}<"$t" || exit {ScriptExit.NO_MEMORY}
trap 'rm -rf "$t"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
# A reader that has gone away must not prevent the clean-up.
trap 'exit 141' PIPE
export TMPDIR="$t"
"""
"""Makes `$t`, a directory in memory that is gone when the script ends, and sweeps those of scripts that were killed.

Its name cannot be foreseen, it is made or the script ends, and it lets nobody else in.
"""

IN_MEMORY = f"""\
{FIND_MEMORY}\
if [ -z "$m" ]; then echo 'neither /run nor /dev/shm is a writable tmpfs' >&2; exit {ScriptExit.NO_MEMORY}; fi
{SCRATCH}"""
"""Both, for a script that cannot do without."""

THERE = """\
there() {
  if [ -e "$1" ]; then return 0; fi
  set -- "$1" "$(LC_ALL=C stat -c . -- "$1" 2>&1 >/dev/null)"
  case $2 in
    '') return 0;;
    *': No such file or directory' | *': Not a directory') return 1;;
    # As uutils has it.
    *': No such file or directory (os error 2)' | *': Not a directory (os error 20)') return 1;;
  esac
  # Where a directory on the way lets this user not pass, that is the cause, and not what lies below it.
  set -- "$2" "$(
    p=$1
    while case $p in */*) ;; *) false;; esac; do
      p=${p%/*}
      if [ -d "$p" ] && [ ! -x "$p" ]; then echo "$p: Permission denied"; fi
    done | tail -n 1
  )"
  printf '%s (as %s)\\n' "${2:-$1}" "$(id -un)" >&2
  return 2
}
"""
"""Shell function `there PATH`: 0 when something is there, 1 when nothing is, 2 with the cause on standard error when that
is unknown. `there X || { [ $? = 1 ]; return; }` lets a function succeed where X is absent, and fail where it is unknown."""

PATIENCE = 15
"""Seconds that an engine has to say its version or to list containers: it does that at once, or is in trouble."""

PATIENT = f"""\
# docker: with a limit, for an engine may take calls and never answer. Where $silent names a file, no call waits after one that
# has waited in vain.
docker() {{
  case $1 in
    compose|context) command docker "$@"; return;;
    version|ps) set -- {PATIENCE} "$@";;
    inspect|info|image|images|network|volume) set -- 25 "$@";;
    exec|restart|start|rmi|pull|run) set -- 600 "$@";;
    # A container may take as long as it has asked for.
    stop) set -- $((600 + ${{grace:-0}})) "$@";;
    *) set -- 60 "$@";;
  esac
  limit=$1 limit_from= limit_to=; shift
  {{ read -r limit_from _ </proc/uptime; }} 2>/dev/null
  if [ -n "${{silent:-}}" ] && [ -e "$silent" ]; then limit_from= limit=124; else timeout -k 2 "$limit" docker "$@"; set -- "$limit" $?; limit=$2; fi
  case $limit in 124|137) ;; *) return "$limit";; esac
  # A command in a container may end so by itself, as when the kernel kills it: that is no engine's silence.
  {{ read -r limit_to _ </proc/uptime; }} 2>/dev/null
  [ -n "$limit_from" ] && [ $((${{limit_to%%.*}} - ${{limit_from%%.*}})) -lt "$1" ] && return "$limit"
  echo 'Docker does not answer' >&2
  [ -z "${{silent:-}}" ] || true >"$silent"
  return "$limit"
}}
"""
"""Shell function `docker`, for scripts that must end whatever the engine does. `docker` in a pipe of `timeout` or `xargs` is none of it."""

GONE = """\
gone() { printf '%s\\n' "$1" | grep -viE '^(error: |error response from daemon: )*no such (object|container|image): ' >&2 && return 1; true; }
"""
"""Shell function `gone TEXT`: 0 when the engine's complaints are only of things that no longer exist; otherwise it prints them."""

INSPECT = f"""\
{GONE}
# What was listed may be gone by the time that it is inspected: that is no failure. Anything else is one.
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


def strangers(directory: PurePosixPath) -> str:
    """Shell function `strangers`: who else than this user and root could change a stack's directory, in the lines of `own`."""
    home, state = quote(directory), quote(directory / STATE)
    hint = f'"log in as $n (User in ssh_config), or as root: chown -R $(id -un) {directory}"'
    return f"""\
strangers() (
  look {home} || return 0
  # One that is a link leads elsewhere, too.
  if [ -L {home} ]; then way {home}; own {home}/. {hint}; else way {quote(directory.parent)}; own {home} {hint}; fi
  if [ -e {state} ] || [ -L {state} ]; then look {state}; own {state} {hint}; fi
)
"""


def ours(directory: PurePosixPath) -> str:
    """Shell function `ours`: fails where another user could have put into a stack's directory what is about to be read.

    That could be a pipe, or lead anywhere.
    """
    return f"""\
ours() {{
  for d in {words(directory, directory / STATE)}; do
    [ ! -e "$d" ] || [ -O "$d" ] || {{ echo "$d belongs to another user" >&2; return 1; }}
  done
}}
"""
