"""Gathering the facts of a host: one script."""

from __future__ import annotations

import time
from collections.abc import Mapping

from deploy_lib import layout
from deploy_lib.compose import command, publisher
from deploy_lib.compose.container import containers_function
from deploy_lib.host.change.history import read_command
from deploy_lib.host.files import borrow, pack
from deploy_lib.host.look import blank, machine, others
from deploy_lib.host.look.directory import functions as directory_functions
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.reading import read_again, read_facts
from deploy_lib.host.look.shape import SHAPE
from deploy_lib.host.stack import HostStack
from deploy_lib.release.files import Entry
from deploy_lib.shell import FIND_MEMORY, PATIENT, SCRATCH, THERE, ours, quote, words
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace

PROVEN_LINES, NEWEST_LINES = 40, 6
"""Lines of history read with the facts: the newest releases, more where more are kept, and what happened last. Those that rollbacks
would go to are read as well, however old they are."""

TIMEOUT = 60.0
"""Seconds until the host must have answered."""

WEIGHING = 15
"""Seconds in which the engine must have counted the files in the containers' own layers."""


def gather(
    session: Session,
    stack: HostStack,
    files: Mapping[str, Entry],
    env: Mapping[str, str],
    *,
    weigh: bool = False,
    known: Facts | None = None,
) -> Facts:
    """Asks the host, read-only.

    Args:
        files: those that Compose reads, which the host's Compose renders in memory; none: nothing is rendered.
        env: what stands for each secret in them.
        weigh: how much lies in the containers' own layers is asked, too.
        known: the facts so far: only what another command may have changed meanwhile is asked.

    Raises:
        RemoteError: the script could not be run to its end.
    """
    again = known is not None
    script = facts_script(stack, render=bool(files) and not again, weigh=weigh, again=again)
    if known is not None:
        said = session.run(script, timeout=TIMEOUT, step="gathering facts").stdout
        return read_again(said, stack.node.name, known).without_health_of(stack.settings.unproven)
    session.open()
    began = time.time()
    result = session.run(script, env=env, stdin=pack(files), timeout=TIMEOUT, step="gathering facts")
    found = read_facts(result.stdout, stack.node.name).without_health_of(stack.settings.unproven)
    return replace(found, asked=(began, time.time()))


TOOLS = (
    *("docker", "flock", "setsid", "timeout", "tar", "sha256sum"),
    *(
        "base64",
        "cut",
        "find",
        "grep",
        "mktemp",
        "readlink",
        "sed",
        "sort",
        "stat",
        "sync",
        "tail",
        "tr",
        "truncate",
        "xargs",
    ),
)
"""Programs that the scripts call."""

_MACHINE = tuple(part for part in machine.PARTS if part not in ("published", "locked", "offers"))
"""The parts that `ask_machine` asks of `machine`, one after the other: they share what Docker says of itself."""


def facts_script(stack: HostStack, *, render: bool, weigh: bool = False, again: bool = False) -> str:
    """The script; lines that begin with `=== ` separate its parts.

    Args:
        render: the stack's files come on standard input, and are rendered.
        weigh: the engine counts what is in the containers' own layers.
        again: only what may have changed since the first time.
    """
    own = ("files", "key", "history", "objects")
    beside = ("images",) if again else ("config", "blank")
    engine = words("containers", "layers") if again else words("containers", "layers", "images", "published")
    last = "layers" if again else "published"
    rest, end = ("ask_changing", "delivered") if again else ("ask_machine", "offers")
    directory = stack.directory
    home = quote(directory)
    key, objects = quote(directory / layout.KEY), quote(directory / layout.OBJECTS)
    rollbacks = stack.settings.keep_releases
    proven_lines = max(PROVEN_LINES, 2 * rollbacks)
    return f"""\
export LC_ALL=C
{FIND_MEMORY}
{THERE}
{PATIENT}
if [ -n "$m" ]; then
  {SCRATCH}
  e=$t/err silent=$t/silent
  {_unpack(stack) if render else ":"}
else
  e=/dev/null
fi
mine() {{ ours && "$1"; }}
part() {{
  name=$1; shift
  printf '=== %s\\n' "$name"
  "$@" 2>"$e"; r=$?
  printf '\\n=== %s exit %s\\n' "$name" "$r"
  [ "$r" = 0 ] || [ "$e" = /dev/null ] || sed 's/^/! /' "$e"
}}
# What is there is asked of PATH: `docker` is a function here.
tools() {{ ( unset -f docker; for x in {words(*TOOLS)}; do command -v "$x" >/dev/null && echo "$x"; done; shape ); }}
{SHAPE}directory() {{
  there {home}; r=$?
  [ $r != 2 ] || return
  [ $r = 0 ] || echo missing
  x={home}
  while [ ! -e "$x" ]; do x=$(dirname "$x"); done
  [ -d "$x" ] && [ -w "$x" ] && [ -x "$x" ] && echo writable; true
}}
{directory_functions(stack)}
{others.functions(stack)}
{ours(directory)}
# shown PATH COMMAND...: what the command prints about PATH; nothing where PATH is absent.
shown() {{ there "$1" || {{ [ $? = 1 ]; return; }}; shift; "$@"; }}
key() {{ shown {key} cat {key}; }}
history() {{ {read_command(directory, proven_lines, NEWEST_LINES, rollbacks)}}}
objects() {{ shown {objects} ls {objects}; }}
present() {{
  r=0
  for x in {words(*stack.expected)}; do
    there {home}/"$x"
    case $? in 0) printf '%s\\n' "$x";; 1) ;; *) r=1;; esac
  done
  return $r
}}
delivered() {{
  r=0
  for x in {words(*stack.secret_places)}; do
    # Only this user's own directory counts: it has put nothing into another's, and no other can remove its own.
    look "${{x%/*}}" && [ "$u" = "$me" ] && [ -d "${{x%/*}}" ] && [ ! -L "${{x%/*}}" ] || continue
    shown "$x" find "$x" -type f || r=1
  done
  return $r
}}
{(containers_function if again else publisher.functions)(stack.project)}
{machine.functions(directory, stack.settings.shared_storage)}
config() {{ {f'[ -z "$m" ] || rendered {command.render_command(stack.unpinned)}' if render else ":"}; }}
rendered() {{ echo {home}; "$@" >"$t/model" 2>"$t/said"; r=$?; cat "$t/said" >&2; {command.IN_PLACE} "$t/model"; return $r; }}
{_LAYERS if weigh else "layers() { :; }"}
{blank.function(stack) if render else "blank() { :; }"}
images() {{ docker images -a --digests --no-trunc --format '{{{{.Repository}}}} {{{{.Tag}}}} {{{{.Digest}}}} {{{{.ID}}}}'; }}
# `docker info` says both versions, and has met Compose among the plugins of Docker's client: to ask each by itself takes as long once more.
known() {{ about 2>/dev/null && x=$(printf '%s\n' "$about" | sed -n "$1") && [ -n "$x" ] && echo "$x"; }}
engine() {{
  # The kernel may have more bits than the engine and all that it runs.
  [ "$(getconf LONG_BIT 2>/dev/null)" = 64 ] && known 's#^engine \\(.* linux/\\)x86_64$#\\1amd64#p; s#^engine \\(.* linux/\\)aarch64$#\\1arm64#p' ||
    docker version --format '{{{{.Server.Version}}}} {{{{.Server.Os}}}}/{{{{.Server.Arch}}}}'
}}
version() {{ known 's/^compose v*//p' || {command.VERSION}; }}
ask_beside() {{ for x in {words(*beside)}; do part "$x" "$x"; done; }}
ask_engine() {{ for x in {engine}; do part "$x" "$x"; done; }}
ask_changing() {{
  part strangers others
  for x in {words(*own)}; do part "$x" mine "$x"; done
  part delivered delivered
}}
ask_machine() {{
  part memory echo "$m"
  part user id -un
  part tools tools
  part directory directory
  part strangers others
  for x in {words(*own, "locked")}; do part "$x" mine "$x"; done
  for x in {words("delivered", "present", *_MACHINE, "engine")}; do part "$x" "$x"; done
  part compose version
  # What the host has to offer is looked for in what Compose has rendered.
  [ -z "$compose" ] || wait "$compose"
  part offers offers
}}
# Most of the time is that of Docker's programs, which wait: so three go on at once, and no more, for the sake of small hosts.
# All answers wait in memory and go at once: each line by itself would be a message of SSH, which takes both sides as long as many lines.
compose=
if [ -n "$m" ]; then
  (e=$t/err1; ask_beside >"$t/said1") &
  compose=$!
  (e=$t/err2; ask_engine >"$t/said2") &
  {rest} >"$t/said3"
  wait
  # Where the memory is full, an answer that was to wait there is not whole.
  if grep -q '^=== {beside[-1]} exit ' "$t/said1" && grep -q '^=== {last} exit ' "$t/said2" && grep -q '^=== {end} exit ' "$t/said3"; then
    cat "$t/said1" "$t/said2" "$t/said3"
  else
    ask_beside; ask_engine; {rest}
  fi
else
  ask_beside; ask_engine; {rest}
fi
echo '=== end'
"""


def _unpack(stack: HostStack) -> str:
    """Shell text that puts the files that Compose reads into memory; what the checkout lacks is taken from the host itself."""
    borrowed = borrow(stack.directory, stack.borrowed)
    return f'f={command.mirror(stack.unpinned)}; mkdir -p "$f" && tar -xf - -C "$f"\n{borrowed}'


_LAYERS = f"""\
# The bytes in each container's own layer; `?` where the engine has not counted them in time. The containers were listed just now; one
# that is gone since then is no reason to know nothing of the others.
layers() {{
  [ -n "$ids" ] || return 0
  x=$(timeout {WEIGHING} docker inspect -s --format '{{{{.ID}}}} {{{{.SizeRw}}}}' $ids 2>/dev/null)
  for id in $ids; do
    case "
$x" in *"
$id "*) ;; *) x="$x
$id ?";; esac
  done
  printf '%s\n' "$x"
}}
"""
