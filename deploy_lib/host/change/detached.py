"""The script of a switch, which outlives the session that began it.

When it has put the files into place and replaced the containers, it waits for its owner's verdict: "proven", "revert" (back to
the release before) or "leave" (as it is). An owner whose session has ended can give none; then the host goes back by itself. So
a host ends in a good state without anybody's help, and the secret values that ran before are only ever in this script's memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.compose.container import containers_function, happening
from deploy_lib.compose.override import delivered_in
from deploy_lib.config import OneOff
from deploy_lib.host.change import (
    apply,
    backup,
    keeper,
    place,
    prune,
    rejoin,
    restore,
    revive,
    rolling,
    start,
    values,
)
from deploy_lib.host.change.history import append_function, append_now, append_text
from deploy_lib.host.change.launch import log_directory
from deploy_lib.host.change.lock import owned
from deploy_lib.host.change.place import Placement
from deploy_lib.host.change.signs import (
    BACK,
    BEGUN,
    DONE,
    LOOK,
    LOOK_END,
    MARK,
    NOT_PRUNED,
    SAME,
    SWITCHED,
    UNKNOWN,
)
from deploy_lib.host.change.step import script_of
from deploy_lib.host.change.switch import Switch, back_text, forward_steps
from deploy_lib.host.programs import Program
from deploy_lib.host.stack import HostStack
from deploy_lib.shell import PATIENT, TRUST, ScriptExit, quote

INTERVAL = 1
"""Seconds after which the containers are looked at again, although nothing has happened to them."""

ENGINE_TIMEOUT = 120
"""Seconds to wait for an engine that is being restarted."""

_MARGIN = 60
"""Seconds beside all those that have a limit of their own."""


SHOW = f"""\
# show: prints the containers, or that they are those in $shown. A look that cannot be written whole, as where the memory is full,
# has no end and is none; the next one has it all.
show() {{
  # What was cut short has left a line without an end.
  {{ [ "$shown" != - ] || echo; }} && echo "{LOOK} $u" && {{ x=$(containers) || x='{UNKNOWN}'; }} &&
    if [ "$x" = "$shown" ]; then echo '{SAME}'; else printf '%s\\n' "$x"; fi && echo '{LOOK_END}' && shown=$x && return
  shown=-
}}
"""
"""Shell function `show`; takes `containers`, and in `$u` when that is."""


def switch_script(stack: HostStack, switch: Switch) -> str:
    """The detached script. Secret values come in its environment; its arguments and its output hold none."""
    directory, project = stack.directory, switch.project or stack.project
    verdict = quote(directory / layout.VERDICT)
    return f"""\
rm -f -- "$0"
began=$(date +%s)
exec </dev/null 9>>{quote(directory / layout.SWITCH_LOCK)}
flock -n 9 || {{ echo 'another switch is still running'; exit {ScriptExit.BUSY}; }}
owned() {{ {owned(directory, switch.token)}; }}
owned || {{ echo 'the lock has lapsed'; exit {ScriptExit.LAPSED}; }}
{_claim(switch)}
{PATIENT}\
rm -f -- {verdict}
# The log in memory has a name that nobody can foresee, so this link leads to it. Earlier logs are removed.
l=${{0%/*}}
for s in "${{l%/*}}"/{quote(log_directory(stack.project_name))}.*; do
  if [ "$s" != "$l" ] && [ -d "$s" ] && [ ! -L "$s" ] && [ -O "$s" ]; then rm -rf "$s"; fi
done
ln -sfn "$l/log" {quote(directory / layout.SWITCH_LOG)}
event=$l/event asked=$l/asked
# A switch that cannot write its log must not begin.
echo {quote(BEGUN)} || exit {ScriptExit.NO_LOG}
{append_function(stack)}
{containers_function(project)}
{script_of(revive.steps(switch.paused))}
{values.capture(stack, switch.places, switch.marks, always=bool(switch.recalled or switch.keeper))}
{keeper.recall(stack, switch.recalled)}
{keeper.keep(stack, switch.keeper)}
{values.restore(switch.kept_values)}
{values.have_values(switch.secrets)} || {{ echo 'a secret has no value'; exit {ScriptExit.NO_VALUES}; }}
{values.fill(switch.unused)}
{apply.functions(project.name, switch.applies)}
{apply.wake(switch.applies)}
{apply.remember(switch.applies)} || {{ echo 'a secret that changes cannot be read: does its service run?'; exit {ScriptExit.NO_OLD_VALUES}; }}
engine() {{
  n=$(($(date +%s) + {ENGINE_TIMEOUT}))
  until docker version >/dev/null 2>&1; do
    [ "$(date +%s)" -lt $n ] || {{ echo 'Docker does not answer (after {ENGINE_TIMEOUT} s)'; return 1; }}
    sleep 1
  done
}}
{rejoin.function(stack, project, switch.parts)}{start.functions(stack, project)}{rolling.functions(stack, project, switch.rolls)}forward() {{
{script_of(forward_steps(stack, switch))}
}}
back() {{
{back_text(stack, switch)}
}}
# Waits until something happens to a container, a look is asked for, a verdict comes, or the interval is over. What happens after
# `$t` counts, so that nothing is missed while the containers are looked at. An engine or a `date` that cannot do that, or a memory
# that is full, only takes longer.
pause() {{
  # Not `:`, which would end the script where the memory is full.
  {{ true >"$event"; }} 2>/dev/null
  # It may outlast this script by that long, and must not hold its lock.
  {{ timeout {INTERVAL} {happening(project)} 2>/dev/null | {{ grep -q . && [ -e "$event" ] && echo >"$event"; }}; }} 9>&- &
  n=0
  while [ $n -lt {INTERVAL}0 ] && [ ! -s "$event" ] && [ ! -e "$asked" ] && [ ! -e {verdict} ]; do
    sleep 0.1 2>/dev/null || sleep {INTERVAL}
    n=$((n + 1))
  done
}}
{SHOW}# Looks at the containers until there is a verdict; without an owner there will be no other.
await() {{
  decided=gone shown=-
  while :; do
    # A verdict that has come counts, however soon after it the session ended.
    alone=; owned || alone=1
    t=$(date +%s.%N)
    rm -f "$asked"
    case $(head -n 1 {verdict} 2>/dev/null) in {quote(switch.token)}' '*)
      decided=$(head -n 1 {verdict})
      decided=${{decided#* }}
      # A release that cannot be recorded is not kept.
      tail -n +2 {verdict} | append || [ "$decided" != proven ] || decided=revert
      rm -f -- {verdict}
      return;;
    esac
    [ -z "$alone" ] || return
    # When that is, whoever follows must not have to tell from when it arrives: after a stalled network, much comes at once.
    u=
    {{ read -r u _ </proc/uptime; }} 2>/dev/null
    show
    pause
  done
}}
{place.intact(directory, _placements(switch))} || exit {ScriptExit.CHANGED}
{append_text(switch.started, f" || {{ echo 'the history cannot be written'; exit {ScriptExit.NOT_BEGUN}; }}")}
forward
echo "{MARK}{SWITCHED} $?"
await
case $decided in
  proven)
    echo '{MARK}{DONE} proven'
    {{ {values.sweep(stack, switch.secret_files)}
    }}
    {{ {switch.prune}
    }} || echo '{MARK}{NOT_PRUNED}';;
  leave) echo '{MARK}{DONE} leave';;
  *)
    gone=$decided
    if back; then
      {{ {values.sweep(stack, switch.back_secret_files)}
      }}
      echo '{MARK}{BACK} 0'
      [ "$gone" = gone ] || await
      [ "$decided" != gone ] || {append_now(switch.abandoned)}
    else
      echo "{MARK}{BACK} $?"
      [ "$gone" = gone ] || await
      [ "$decided" != gone ] || {append_now(switch.stuck)}
    fi
    echo '{MARK}{DONE} revert';;
esac
# Remove a verdict that arrived after the decision, and all but the log.
rm -f -- {verdict} "$event" "$asked"
"""


def longest_forward(stack: HostStack, switch: Switch) -> float:
    """Seconds until the containers must have been replaced, or that must have failed."""
    if switch.work is not None:
        return switch.work.seconds + ENGINE_TIMEOUT
    return _one_way(stack, switch.one_offs, switch.applies, [switch.rolls, switch.back_rolls])


def longest(stack: HostStack, switch: Switch) -> float:
    """Seconds that a switch may take to the new release and back again, without what it waits for its verdict."""
    return 2 * longest_forward(stack, switch) + _MARGIN


def longest_unattended(stack: HostStack, rolls: Iterable[rolling.Rolls]) -> float:
    """Seconds that whatever an earlier command has left running on a host may take: a switch or a restore that goes back by itself,
    the pruning after it, or a backup.

    Args:
        rolls: those of each release that it may go to.
    """
    settings = stack.settings
    programs = [step for step in settings.apply if isinstance(step, Program)]
    ways = [
        _one_way(stack, settings.before_switch, programs, rolls),
        *(restore.longest(stack, each) + ENGINE_TIMEOUT for each in settings.backups),
    ]
    return max(2 * max(ways), backup.longest(settings.backups), prune.TIMEOUT) + _MARGIN


def _one_way(
    stack: HostStack, one_offs: Sequence[OneOff], applies: Sequence[Program], rolls: Iterable[rolling.Rolls]
) -> float:
    """Seconds of the way to a release, in whichever direction."""
    # Compose makes the containers in one call, and starts them in another; each has that long. So has it all together to start
    # again what lives in containers that were started (`rejoin.py`).
    seconds = 3 * stack.settings.switch_timeout + ENGINE_TIMEOUT + sum(step.timeout for step in one_offs)
    # A program that is given another value may be waited for before that and after it.
    seconds += 2 * sum(step.timeout for step in applies)
    return seconds + max((rolling.longest(stack, each) for each in rolls), default=0)


def _placements(switch: Switch) -> list[Placement]:
    """All that may be put into place, on the way to the new release and back."""
    return [switch.forward, *([switch.back] if switch.back else [])]


def _claim(switch: Switch) -> str:
    """Shell text that makes the directories for secret files, of both releases, or ends the script: nothing was changed yet."""
    found = sorted(
        {delivered_in(files) for files in (switch.secret_files, switch.back_secret_files) if files}
    )
    claims = (
        f"{values.claim(PurePosixPath(directory))} || exit {ScriptExit.NO_PLACE}" for directory in found
    )
    return "\n".join([TRUST, *claims])
