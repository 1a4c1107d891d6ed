"""Who else can change what lies on a host for a stack: other users, below its directory and in the host's memory."""

from __future__ import annotations

from deploy_lib import layout
from deploy_lib.host.stack import HostStack
from deploy_lib.shell import quote, strangers, words

_ONE_USER = 'two users cannot both deploy with delivery = "memory" on one host: docs/security.md'


def functions(stack: HostStack) -> str:
    """Shell function `others`, for the part "strangers" of the facts: what `strangers` prints, and the same for the files below and
    for where secrets lie in memory.

    It prints a line for each fault, with what to do after a tab. It takes `$m` and the functions of `shell.FIND_MEMORY`, and `loose`
    of `directory`.
    """
    directory = stack.directory
    state = quote(directory / layout.STATE)
    places = words(*stack.secret_places)
    wanted = f"""\
  for d in {places}; do
    case $d in "$m"/*) for x in "${{d%/*}}" "$d"; do
      if [ -e "$x" ] || [ -L "$x" ]; then own "$x" {quote(_ONE_USER)}; fi
    done;; esac
  done
"""
    return f"""\
{strangers(directory)}
# found ARGUMENTS: what `find` finds is in f; a file that goes away meanwhile makes it fail, so that it looks again.
found() {{
  for i in 1 2 3; do f=$(find "$@" 2>&1) && return; done
  return 1
}}
# within PATH HINT: whether anything there is of another user, HINT says what to do then, or can be changed by one.
within() {{
  found "$1" ! -user "$me" ! -user 0 || {{ printf '%s cannot be searched\\tls -lR %s\\n' "$1" "$1"; return; }}
  [ -z "$f" ] || printf '%s is, in part, of another user\\t%s\\n' "$1" "$2"
  found "$1" ! -type l -perm /022 || {{ printf '%s cannot be searched\\tls -lR %s\\n' "$1" "$1"; return; }}
  [ -z "$f" ] || printf '%s can be changed by others, in part\\tchmod -R go-w %s\\n' "$1" "$1"
}}
others() {{
  strangers
  loose
  # What another user has put there must not become this one's: a release's files are taken from there. Where all of it is
  # another user's, `strangers` has said so; and nothing here may advise to delete an earlier user's history.
  x={state}
  if [ -d "$x" ] && look "$x" && [ "$u" = "$me" ]; then
    within "$x" "as root: find $x ! -user $(id -un) ! -user root -ls, then chown what an earlier user deployed, and remove the rest"
  fi
  # Where no memory was found, this may be why.
  [ -n "$m" ] || for d in {words(*layout.MEMORY)}; do [ ! -w "$d" ] || way "$d"; done
{wanted if stack.settings.delivery == "memory" else ""}}}
"""
