"""The switch: files into place and containers replaced, by one script that outlives the session that began it.

When it has done that, the script waits for its owner's verdict: that the release is proven, that it is to go back to the
one before, or that things are to be left as they are. An owner whose session has ended can give none; then the host goes
back by itself. So nobody has to come back to a host for it to be in a good state, and the secret values that ran before
are never anywhere but in this script's memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Literal

from deploy_lib import layout
from deploy_lib.compose.command import compose_command, down_command, remove_half_created, up_command
from deploy_lib.compose.container import containers_function
from deploy_lib.config import OneOff, Reload
from deploy_lib.host.change import place, values
from deploy_lib.host.change.history import Event, append_function
from deploy_lib.host.change.lock import owned
from deploy_lib.host.change.place import Placement
from deploy_lib.host.programs import apply
from deploy_lib.host.programs.apply import Changeable
from deploy_lib.host.stack import HostStack
from deploy_lib.shell import FIND_MEMORY, NO_MEMORY, quote, words

INTERVAL = 1
"""Seconds between two looks at the containers."""

ENGINE_TIMEOUT = 120
"""Seconds to wait for an engine that is being restarted."""

BUSY, LAPSED, NOT_BEGUN, NO_VALUES, NO_OLD_VALUES = 75, 76, 78, 79, 80
"""Exit statuses of a switch that changed nothing: another one still runs; its lock was no longer its own; the history
could not be written; a secret has no value; the value of one that is to be changed in a program's data cannot be read,
so that nothing could go back to it."""

ENDED = 77
"""Exit status of a verdict that nobody waits for."""

BEGUN = "=== begun"
"""What a switch says as soon as it would hear a verdict."""

_NOW = "@now@"

Word = Literal["proven", "revert", "leave"]


@dataclass(frozen=True)
class Switch:
    """What is to be done, all of it decided beforehand.

    Attributes:
        token: the lock owner's; another one in the lock's file stops the switch before it begins.
        forward: the files of the new release.
        back: those of the release before; None when there was none, and the stack is taken down again.
        one_offs: commands of the new images that come first.
        staged: all files of the new release, for `one_offs`, and to be removed where nothing ran before.
        reloads: what to do for services whose container stays although its files changed.
        places: where the secrets that run now are to be read, so that they can be restored.
        secrets: names of the secrets that the new release needs.
        keep_values: the secrets that run now are used, not ones that the script is given.
        applies: secrets that are changed in a program's own data, too.
        secret_files, back_secret_files: see `Release.secret_files`, of the new release and of the one before.
        started: the events that the history gets first.
        abandoned: the event that it gets when the host went back because its owner was gone.
        stuck: the event that it gets when the host could not do so.
        prune: shell text that is run after everything, when the release was proven.
    """

    token: str
    forward: Placement
    back: Placement | None
    started: Sequence[Event]
    abandoned: Event
    stuck: Event
    one_offs: Sequence[OneOff] = ()
    staged: Placement = field(default_factory=Placement)
    reloads: Sequence[Reload] = ()
    places: values.Places = field(default_factory=dict)
    secrets: Sequence[str] = ()
    keep_values: bool = False
    applies: Sequence[Changeable] = ()
    secret_files: Mapping[str, str] = field(default_factory=dict)
    back_secret_files: Mapping[str, str] = field(default_factory=dict)
    prune: str = ":"


def switch_script(stack: HostStack, switch: Switch) -> str:
    """The detached script. Secret values come in its environment; its arguments and its output hold none."""
    directory, project = stack.directory, stack.project
    verdict = quote(directory / layout.VERDICT)
    return f"""\
rm -f -- "$0"
exec </dev/null 9>>{quote(directory / layout.SWITCH_LOCK)}
flock -n 9 || {{ echo 'another switch is still running'; exit {BUSY}; }}
owned() {{ {owned(directory, switch.token)}; }}
owned || {{ echo 'the lock has lapsed'; exit {LAPSED}; }}
rm -f -- {verdict}
echo {quote(BEGUN)}
{append_function(directory)}
{containers_function(project)}
{values.capture(stack, switch.places)}
{values.restore(switch.secrets) if switch.keep_values else ":"}
{values.have_values(switch.secrets)} || {{ echo 'a secret has no value'; exit {NO_VALUES}; }}
{apply.functions(project.name, switch.applies)}
{apply.wake(switch.applies)}
{apply.remember(switch.applies)} || {{ echo 'a secret that runs cannot be read'; exit {NO_OLD_VALUES}; }}
engine() {{
  n=0
  until docker version >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt {ENGINE_TIMEOUT} ] || return 1; sleep 1; done
}}
up() {{ engine && {remove_half_created(project)} && timeout -k 10 {int(stack.settings.switch_timeout)} {up_command(project)}; }}
# There is nothing behind going back: what the engine refuses once under load it does the next time.
up_at_last() {{
  up; r=$?
  case $r in 0|124|137) return $r;; esac
  sleep 1
  up
}}
forward() {{
{values.deliver(switch.secret_files)} || return
{_one_offs(stack, switch)}
{place.remember(project, switch.reloads)}
{place.place(directory, switch.forward)} || return
# What a program has in its data is changed while it runs; connections that it has stay.
{apply.forward(switch.applies)}
up || return
{place.tell(project, switch.reloads)}
{apply.prove(switch.applies)}
}}
back() {{
{_back(stack, switch)}
}}
# Looks at the containers until there is a verdict; without an owner there will be none.
await() {{
  decided=gone
  while owned; do
    case $(head -n 1 {verdict} 2>/dev/null) in {quote(switch.token)}' '*)
      decided=$(head -n 1 {verdict})
      decided=${{decided#* }}
      # A release that cannot be recorded is not kept.
      tail -n +2 {verdict} | append || [ "$decided" != proven ] || decided=revert
      rm -f -- {verdict}
      return;;
    esac
    echo '=== containers'
    containers
    echo '=== .'
    sleep {INTERVAL}
  done
}}
{_append(switch.started, f" || {{ echo 'the history cannot be written'; exit {NOT_BEGUN}; }}")}
forward
echo "=== switched $?"
await
case $decided in
  proven)
    echo '=== done proven'
    {{ {values.sweep(stack, switch.secret_files)}
    }}
    {{ {switch.prune}
    }} || echo '=== not pruned';;
  leave) echo '=== done leave';;
  *)
    gone=$decided
    if back; then
      {{ {values.sweep(stack, switch.back_secret_files)}
      }}
      echo '=== back 0'
      [ "$gone" = gone ] || await
      [ "$decided" != gone ] || {_append_now(switch.abandoned)}
    else
      echo "=== back $?"
      [ "$gone" = gone ] || await
      [ "$decided" != gone ] || {_append_now(switch.stuck)}
    fi
    echo '=== done revert';;
esac
# One that came too late is nobody's.
rm -f -- {verdict}
"""


def _back(stack: HostStack, switch: Switch) -> str:
    directory, project = stack.directory, stack.project
    if switch.back is None:
        return f"""\
cd / || return
engine && timeout -k 10 {int(stack.settings.switch_timeout)} {down_command(project)} || return
{place.place(directory, Placement(dropped=sorted({*switch.forward.files, *switch.staged.files})))}"""
    return f"""\
{values.restore(switch.places)}
{values.deliver(switch.back_secret_files)} || return
{place.remember(project, switch.reloads)}
{place.place(directory, switch.back)} || return
{apply.back(switch.applies)}
up_at_last || return
{apply.back_later(switch.applies)}
{place.tell(project, switch.reloads)}"""


def one_off_command(stack: HostStack, one_off: OneOff, *, alone: bool) -> str:
    """The call that runs a one-off command on the staged files.

    Args:
        alone: the services that it depends on are left as they are; where nothing runs yet, they are started.
    """
    options = ("--rm", "--name", _one_off_name(stack), *(("--no-deps",) if alone else ()), "-T")
    return compose_command(
        stack.project,
        *("run", *options, one_off.service, *one_off.command),
        files_in=stack.directory / layout.STAGED,
    )


def _one_off_name(stack: HostStack) -> str:
    """One name for all: what a crash or a time limit leaves behind is found by it."""
    return f"{stack.project_name}-before-switch"


def _one_offs(stack: HostStack, switch: Switch) -> str:
    """They run on the new files, which are not in their places yet, and outlive the session as the switch does."""
    if not switch.one_offs:
        return ":"
    directory = stack.directory
    staged = directory / layout.STAGED
    # A command that does not end in time, or that the host's end has cut short, goes on in its container, or waits there.
    clear = f"docker rm -f {quote(_one_off_name(stack))} >/dev/null 2>&1"
    lines = [clear, f"rm -rf {quote(staged)}", f"{place.place(directory, switch.staged, staged)} || return"]
    for one_off in switch.one_offs:
        run = one_off_command(stack, one_off, alone=switch.back is not None)
        lines.append(f"echo {quote(f'=== one-off {one_off.service}: {words(*one_off.command)}')}")
        lines.append(
            f"engine && timeout -k 10 {int(one_off.timeout)} {run} || {{ r=$?; {clear}; rm -rf {quote(staged)}; return $r; }}"
        )
    return "\n".join([*lines, f"rm -rf {quote(staged)}"])


def _append(events: Sequence[Event], otherwise: str = "") -> str:
    lines = "".join(f"{event.line()}\n" for event in events)
    return f"append <<'=EVENTS='{otherwise}\n{lines}=EVENTS="


def _append_now(event: Event) -> str:
    """An event that was made beforehand happens when it is written."""
    line = replace(event, at=_NOW).line()
    return f"sed \"s/{_NOW}/$(date -u +%FT%TZ)/\" <<'=EVENTS=' | append\n{line}\n=EVENTS="


def launcher(project: str, detached: str) -> str:
    """Starts the detached script, and passes on its output until it ends."""
    name = quote(f"{layout.TEMPORARY}-{project}")
    return f"""\
{FIND_MEMORY}
[ -n "$m" ] || exit {NO_MEMORY}
umask 077
# The log outlives this channel: whoever takes over may want to read it.
log=$m/{name}.log
run=$m/{name}.sh
rm -f "$log" "$run"
: >"$log"
cat >"$run" <<'=SCRIPT='
{detached}
=SCRIPT=
setsid sh "$run" </dev/null >>"$log" 2>&1 &
tail -n +1 -s 0.1 -f --pid=$! "$log" 2>/dev/null
wait $!
r=$?
# The outcome does not hang on what tail has seen last.
echo; grep -a '^=== done' "$log" | tail -n 1
echo "=== end $r"
"""


def verdict_script(directory: PurePosixPath, token: str, word: Word, events: Sequence[Event]) -> str:
    """Tells the switch that waits what becomes of it, and what to write into the history."""
    path = quote(directory / layout.VERDICT)
    return f"""\
{owned(directory, token)} || exit {LAPSED}
! flock -n {quote(directory / layout.SWITCH_LOCK)} true || exit {ENDED}
umask 077
cat > {path}.new <<'=EVENTS=' && mv {path}.new {path} || {{ rm -f {path}.new; exit 1; }}
{token} {word}
{"".join(f"{event.line()}" + chr(10) for event in events)}=EVENTS=
"""
