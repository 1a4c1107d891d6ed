"""The switch: files into place and containers replaced, by one script that outlives the session that began it.

When it has done that, the script waits for its owner's verdict: "proven", "revert" (back to the
release before) or "leave" (as it is). An owner whose session has ended can give none; then the host goes back by itself. So a
host ends in a good state without anybody's help, and the secret values that ran before are only ever in this script's memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.compose.command import down_command
from deploy_lib.compose.container import containers_function, happening
from deploy_lib.compose.override import delivered_in
from deploy_lib.compose.project import Project
from deploy_lib.config import OneOff, Reload
from deploy_lib.host.change import apply, keeper, place, rolling, start, values
from deploy_lib.host.change.history import append_function
from deploy_lib.host.change.keeper import Keeper
from deploy_lib.host.change.launch import BEGUN, log_directory
from deploy_lib.host.change.lock import owned
from deploy_lib.host.change.one_off import one_off_steps
from deploy_lib.host.change.place import Placement
from deploy_lib.host.change.step import Step, script_of
from deploy_lib.host.programs import Program
from deploy_lib.host.stack import HostStack
from deploy_lib.release.history import Event
from deploy_lib.secrets.places import Place
from deploy_lib.secrets.value import MASK
from deploy_lib.shell import PATIENT, TRUST, ScriptExit, quote

INTERVAL = 1
"""Seconds after which the containers are looked at again, although nothing has happened to them."""

ENGINE_TIMEOUT = 120
"""Seconds to wait for an engine that is being restarted."""

VOLUMES = "=== volumes"
"""Begins the line with the names of the volumes that stay when a stack is taken down."""

UNKNOWN = "=== unknown"
"""What a switch prints in place of the containers when the engine does not list them."""

_NOW = "@now@"


@dataclass(frozen=True)
class Work:
    """What a switch does in place of a release's own steps: it changes data, and no file or container.

    Attributes:
        name: in the operator's words.
        forward: in a shell function that ends with the first one that fails.
        back: shell text for a function that undoes it.
        seconds: that either may take.
    """

    name: str
    forward: Sequence[Step]
    back: str
    seconds: float


@dataclass(frozen=True)
class Switch:
    """What is to be done, all of it decided beforehand.

    Attributes:
        token: the lock owner's; another one in the lock's file stops the switch before it begins.
        forward: the files of the new release.
        back: those of the release before; None when there was none, and the stack is taken down again.
        project, back_project: Compose's files, of the new release and of the one before; None: as deploy.toml has them.
        paths: every path that either release has.
        one_offs: commands of the new images that come first.
        reloads: what to do for services whose container stays although its files changed.
        staying: by service, the names of its containers that will stay, for a dry run.
        places: where the containers have their secrets now, from which these are read to be restored.
        marks: by service and secret, the fingerprint of the value that is read.
        secrets: names of the secrets that the new release needs.
        unused: names of declared secrets that no service has, of the new release and of the one before.
        kept_values: the secrets of which the values that run now are used, not ones that the script is given.
        applies: secrets that are changed in a program's own data, too.
        secret_files, back_secret_files: see `Release.secret_files`, of the new release and of the one before.
        started: the events that the history gets first.
        abandoned: the event for a host that went back because its owner was gone.
        stuck: the event for a host that could not go back.
        prune: shell text that is run after everything, when the release was proven.
        rolls, back_rolls: the services that are not replaced all at once, of the new release and of the one before.
        runs, back_runs: which services are started, of the new release and of the one before.
        work: what is done instead of going to another release.
        keeper: what keeps the values that only a shell had, of a project that is adopted.
        recalled: what keeps the values that are read back.
    """

    token: str
    forward: Placement
    back: Placement | None
    started: Sequence[Event]
    abandoned: Event
    stuck: Event
    one_offs: Sequence[OneOff] = ()
    project: Project | None = None
    back_project: Project | None = None
    paths: Sequence[str] = ()
    reloads: Sequence[Reload] = ()
    staying: Mapping[str, Sequence[str]] = field(default_factory=dict)
    places: Sequence[Place] = ()
    marks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    unused: Sequence[str] = ()
    kept_values: Sequence[str] = ()
    applies: Sequence[Program] = ()
    secret_files: Mapping[str, str] = field(default_factory=dict)
    back_secret_files: Mapping[str, str] = field(default_factory=dict)
    prune: str = ":"
    rolls: rolling.Rolls = ()
    back_rolls: rolling.Rolls = ()
    runs: start.Runs = field(default_factory=start.Runs)
    back_runs: start.Runs = field(default_factory=start.Runs)
    work: Work | None = None
    keeper: Keeper | None = None
    recalled: Sequence[Keeper] = ()


def longest_forward(stack: HostStack, switch: Switch) -> float:
    """Seconds until the containers must have been replaced, or that must have failed."""
    if switch.work is not None:
        return switch.work.seconds + ENGINE_TIMEOUT
    # A program that is given another value may be waited for before that and after it.
    extra = sum(step.timeout for step in switch.one_offs) + 2 * sum(step.timeout for step in switch.applies)
    extra += max(rolling.longest(stack, rolls) for rolls in (switch.rolls, switch.back_rolls))
    return stack.settings.switch_timeout + extra + ENGINE_TIMEOUT


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
{start.functions(stack, switch.project or project)}{rolling.functions(stack, switch.project or project, switch.rolls)}forward() {{
{script_of(forward_steps(stack, switch))}
}}
back() {{
{_back(stack, switch)}
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
# Looks at the containers until there is a verdict; without an owner there will be no other.
await() {{
  decided=gone
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
    echo "=== containers $u"
    containers || echo '{UNKNOWN}'
    echo '=== .'
    pause
  done
}}
{place.intact(directory, _placements(switch))} || exit {ScriptExit.CHANGED}
{_append(switch.started, f" || {{ echo 'the history cannot be written'; exit {ScriptExit.NOT_BEGUN}; }}")}
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
# Remove a verdict that arrived after the decision, and all but the log.
rm -f -- {verdict} "$event" "$asked"
"""


def forward_steps(stack: HostStack, switch: Switch) -> list[Step]:
    """The steps that take a host to the new release, in a shell function that ends with the first one that fails."""
    if switch.work is not None:
        return [*switch.work.forward]
    project = switch.project or stack.project
    env = "".join(f"{name}={MASK} " for name in switch.secrets)
    reloaded = [
        place.act(reload, quote(container))
        for reload in switch.reloads
        for container in switch.staying.get(reload.service, ())
    ]
    return [
        Step(f"{values.deliver(switch.secret_files)} || return"),
        Step(place.remember(project, switch.reloads)),
        Step(f"{place.note(stack.directory, switch.paths)} || return"),
        Step(f"{place.place(stack.directory, switch.forward)} || return"),
        # They may read and mount any of the new files; those that are mounted already change for what runs, too.
        *one_off_steps(stack, project, switch.one_offs, env, alone=switch.back is not None),
        # A secret in a program's data is changed while the program runs; its open connections stay.
        Step(apply.forward(switch.applies)),
        *rolling.forward_steps(project, switch.rolls, env),
        *start.forward_steps(switch.runs, project, env),
        *rolling.settled(switch.rolls),
        Step(place.tell(project, switch.reloads), tuple(reloaded)),
        Step(apply.prove(switch.applies)),
    ]


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


def _back(stack: HostStack, switch: Switch) -> str:
    if switch.work is not None:
        return switch.work.back
    directory, project = stack.directory, switch.back_project or stack.project
    if switch.back is None:
        return f"""\
cd / || return
{_name_volumes(project)}
engine && timeout -k 10 {int(stack.settings.switch_timeout)} {down_command(project)} || return
{place.place(directory, Placement(dropped=sorted({*switch.forward.files, *switch.paths})))}"""
    return f"""\
{start.functions(stack, project)}{rolling.functions(stack, project, switch.back_rolls)}
{values.restore({*(n for place in switch.places for n in place.names), *(n for each in switch.recalled for n in each.names)})}
{values.deliver(switch.back_secret_files)} || return
{place.remember(project, switch.reloads)}
{place.place(directory, switch.back)} || return
{apply.back(switch.applies)}
{rolling.back(switch.back_rolls)}{start.back(switch.back_runs)}{rolling.settled_back(switch.back_rolls)}
{apply.back_later(switch.applies)}
{place.tell(project, switch.reloads)}"""


def _name_volumes(project: Project) -> str:
    """Shell text that names what taking a project down leaves behind: those without a name, too, which nobody would find."""
    mounted = '{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}'
    return f"""\
v=$({{ docker volume ls -q {project.filters}; docker ps -aq {project.filters} | xargs -r docker inspect --format {quote(mounted)}; }} 2>/dev/null)
echo '{VOLUMES}' $(printf '%s\\n' "$v" | sort -u)"""


def _append(events: Sequence[Event], otherwise: str = "") -> str:
    lines = "".join(f"{event.line()}\n" for event in events)
    return f"append <<'=EVENTS='{otherwise}\n{lines}=EVENTS="


def _append_now(event: Event) -> str:
    """An event that was made beforehand happens when it is written, and its command has taken until then."""
    line = replace(event, at=_NOW, seconds=0).line()
    spent = f"$(($(date +%s) - began + {int(event.seconds)}))"
    now = f'"s/{_NOW}/$(date -u +%FT%TZ)/"\';s/","seconds":0,/","seconds":\'"{spent}"\',/\''
    return f"sed {now} <<'=EVENTS=' | append\n{line}\n=EVENTS="
