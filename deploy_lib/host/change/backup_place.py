"""The place of a host's backups: it lets in its owner alone, and no container reaches it."""

from __future__ import annotations

from deploy_lib import layout
from deploy_lib.host.stack import HostStack
from deploy_lib.shell import INSPECT, ScriptExit, quote


def existing(stack: HostStack) -> str:
    """Shell text: the place is in `$d`, or the script ends where somebody else could have changed what lies there.

    It has the functions `fail WHAT`, which ends the script with what a program has said into `$t/said`, and
    `ended STATUS SECONDS`, which says how one has ended. It takes `$t` and `own` of `shell.IN_MEMORY`.
    """
    return f"{_place(stack)}\n{_OWN}"


def prepared(stack: HostStack) -> str:
    """The same for a script that makes backups, under the lock: the place is made where there is none, what a script that was
    killed has left is removed, and the script ends where a container reaches the place.
    """
    return f"""\
{_place(stack)}
if [ ! -e "$d" ] && [ ! -L "$d" ]; then mkdir -m 700 "$d" || fail 'there is no place for backups'; fi
{_OWN}
# Only now: nothing is removed where others may have made it.
trap 'rm -f "$d"/*.new; rm -rf "$t"' EXIT
chmod 700 "$d" || exit
{_EXPOSED}
w=$(exposed) || fail 'it is unknown which containers could reach the backups'
[ -z "$w" ] || {{ printf '%s\\n' "$w" >&2; exit {ScriptExit.EXPOSED}; }}
# What a script that was killed has left.
rm -f "$d"/*.new
for x in "$d"/*.data; do [ ! -e "$x" ] || [ -e "${{x%.data}}.json" ] || rm -f -- "$x"; done"""


def _place(stack: HostStack) -> str:
    return f"d={quote(stack.directory / layout.BACKUPS)}\n{_FAIL}"


_OWN = f"""\
w=$(own "$d")
[ -z "$w" ] || {{ printf '%s\\n' "$w" >&2; exit {ScriptExit.NOT_OURS}; }}"""

_FAIL = f"""\
: >"$t/said"
fail() {{
  {{ printf '%s\\n' "$1"; tail -n 5 "$t/said"; }} >&2
  set -- $({{ df -Pk "$d" 2>/dev/null || df -Pk "${{d%/*}}"; }} | tail -n 1)
  [ "${{4:-9999}}" -ge 1024 ] || echo "there is no room left on the disk of $d" >&2
  exit {ScriptExit.NO_BACKUP}
}}
ended() {{ case $1 in 124|137) echo "it did not end in $2 s";; *) echo "exit status $1";; esac; }}"""
"""An empty `$t/said`, and the shell functions `fail` and `ended`; see `existing`."""

_MOUNTS = "{{$n := .Name}}{{range .Mounts}}{{println .RW $n .Source}}{{end}}"
_DEVICES = '{{$n := .Name}}{{with .Options}}{{with index . "device"}}{{println "true" $n .}}{{end}}{{end}}'

_EXPOSED = f"""\
{INSPECT}
# exposed: a line for each container or volume by which a container could reach the backups. The whole file system, to be read
# only, does not count: who has that, reads all of the host anyway.
exposed() {{
  a=$(docker ps -aq --no-trunc) && m=$(inspect {quote(_MOUNTS)} $a) && a=$(docker volume ls -q) || return
  v=
  [ -z "$a" ] || v=$(docker volume inspect --format {quote(_DEVICES)} $a 2>"$t/said") ||
    ! grep -viE 'no such volume' "$t/said" >&2 || return
  e=$(cd "$d" && pwd -P) || return
  printf '%s\\n%s\\n' "$m" "$v" | while read -r rw name source; do
    case $source in /*) ;; *) continue;; esac
    [ "$rw" = true ] || ! [ / -ef "$source" ] || continue
    at=
    p=$e
    while [ -n "$p" ] && [ -z "$at" ]; do [ ! "$p" -ef "$source" ] || at=1; p=${{p%/*}}; done
    [ ! / -ef "$source" ] || at=1
    case $(readlink -f "$source") in "$e"/*) at=1;; esac
    [ -z "$at" ] || echo "${{name#/}} has $source of the host, so that a container could reach the backups in $d"
  done
}}"""
