"""Which services Compose starts in a switch, and when: what has done its work is not started again before it changes.

Compose would start such one-shot services each time. On the way back, also in a rollback, those of the earlier release come last,
and their failure is none of the switch. Whether a service has changed only Compose can say, once the files are in their places,
so the script asks it for its hash of the configuration and compares that with the container's.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from deploy_lib.compose import labels
from deploy_lib.compose.command import (
    SOME,
    deployed_hashes_command,
    remove_left_behind,
    shown,
    up_command,
    up_commands,
)
from deploy_lib.compose.project import Project
from deploy_lib.host.change.one_off import one_off_name
from deploy_lib.host.change.step import Step
from deploy_lib.host.stack import HostStack
from deploy_lib.shell import quote, words


class Runs(Struct, frozen=True):
    """Which services Compose starts.

    Attributes:
        services: these in any case; none of the three: all services at once, as Compose itself would.
        done: these when their configuration is another one than their containers': they have done their work.
        later: these after the others, and their failure is no failure of the switch.
        changed_later: the same for those of `done` that have changed.
        stopped: on the way back, these are made and not started: somebody had stopped them.
        only: where all are started at once, and no service waits until another one has done its work: all of them. Those of
            them that do not run afterwards are started by themselves.
        early: those of `done` and what they depend on, in the order in which they come: such a one is made anew by itself, and
            before the others, when its configuration is another one. In the same call Compose 2.26 makes anew what depends on
            it, too: what has done its work would do that again, and what runs would be interrupted for nothing.
        known: those of `early` of which that is known beforehand.
    """

    services: Sequence[str] = ()
    done: Sequence[str] = ()
    later: Sequence[str] = ()
    changed_later: bool = False
    stopped: Sequence[str] = ()
    only: Sequence[str] = ()
    early: Sequence[str] = ()
    known: Sequence[str] = ()

    @property
    def all(self) -> bool:
        """Whether all services are started at once."""
        return not (self.services or self.done or self.later or self.stopped)


def functions(stack: HostStack, project: Project) -> str:
    """Shell functions `up`, `lean SERVICE...`, `some SERVICE...`, `at_last COMMAND...`, `changed SERVICE...`,
    `among LIST NAME...`, `unstarted SERVICE...` and `start_later SERVICE...`; take `engine`."""
    make, begin = (words(*options) for options in SOME)
    limit = f"timeout -k 10 {int(stack.settings.switch_timeout)}"
    hashed = f'{{{{.Label "{labels.CONFIG_HASH}"}}}}'
    listed = f'{{{{.State}}}} {{{{.Label "{labels.SERVICE}"}}}} {{{{.Status}}}}'
    state = f"docker ps -a {project.filters} {labels.NO_ONE_OFF} --format {quote(listed)}"
    one = f"docker ps -a {project.filters} {labels.of_service_in('1')} {labels.NO_ONE_OFF} --format {quote(hashed)}"
    label = quote(labels.template(labels.SERVICE))
    never = f"docker ps -a --filter status=created {project.filters} {labels.NO_ONE_OFF} --format {label}"
    return f"""\
compose_up() {{
{scaled(project)}
  {limit} {up_command(project)} $scale "$@"
}}
up() {{ engine && {remove_left_behind(project, one_off_name(stack))} && compose_up "$@"; }}
# lean SERVICE...: `up` of all. Before Compose starts a service, it waits half a second or more for each one that this depends on,
# also where that runs as before and is well. So what does not run is started without those. Which services there are must be
# said, since Compose would start one of a profile that is not active as soon as it is named.
lean() {{
  up {make} || return
  listed=$({state}) || listed='(unhealthy)'
  case $listed in *'(health: starting)'*|*'(unhealthy)'*) compose_up; return;; esac
  idle=$(printf '%s\\n' "$listed" | sed -n '/^running /!s/^[a-z]* \\([^ ]*\\) .*/\\1/p' | sort -u)
  x=" $* "
  set --
  for y in $idle; do case $x in *" $y "*) set -- "$@" "$y";; esac; done
  [ $# = 0 ] || compose_up {begin} "$@"
}}
some() {{ up {make} "$@" && up {begin} "$@"; }}
# Going back is the last resort, so retry once: a loaded engine may refuse the first attempt.
at_last() {{
  "$@"; r=$?
  case $r in 0|124|137) return $r;; esac
  sleep 1
  "$@"
}}
hash_of() {{ {one} | head -n 1; }}
# changed SERVICE...: prints those whose containers were made from another configuration. What is unknown counts as changed.
changed() {{
  h=$({deployed_hashes_command(project)})
  for x; do case "
$h
" in *"
$x $(hash_of "$x")
"*) ;; *) printf '%s ' "$x";; esac; done
}}
# among LIST NAME...: prints the names that are in a list.
among() {{ list=" $1 "; shift; for x; do case $list in *" $x "*) printf '%s ' "$x";; esac; done; }}
# unstarted SERVICE...: prints those of which there is a container that was never started.
unstarted() {{ among "$({never} | tr '\n' ' ')" "$@"; }}
# Several in one call, so that one which waits until another has done its work is started then. What fails keeps nothing back.
start_later() {{
  if [ $# -gt 1 ] && up {make} "$@"; then
    ! up {begin} "$@" || return 0
    set -- $(unstarted "$@")
  fi
  for y; do some "$y" || echo "$y could not be started"; done
}}
"""


def scaled(project: Project) -> str:
    """Shell text that puts into `$scale` what Compose is to be told of the services that `$@` names, or of all."""
    lines = [
        f'  case " $* " in "  "|" {words(*SOME[0])} "|*" {service} "*) scale="$scale --scale {service}={number}";; esac'
        for service, number in project.scale
    ]
    return "\n".join(["  scale=", *lines])


def forward_steps(runs: Runs, project: Project, env: str) -> list[Step]:
    """The steps of the way to the new release; `$ran` then has those of `done` that were started.

    Args:
        env: what a dry run shows before each command.
    """
    if runs.all:
        how = f"lean {words(*runs.only)}" if runs.only else "up"
        return [Step(f"ran=; {how} || return", (env + shown(up_command(project)),))]
    some, done = words(*runs.services), words(*runs.done)
    alone = [env + shown(up_commands(project, [name])[0]) for name in runs.early if name in runs.known]
    told = [env + shown(call) for call in up_commands(project, runs.services)] if some else []
    make, begin = (words(*options) for options in SOME)
    begun = some if runs.changed_later else f"{some} $ran".strip()
    steps = [
        Step(_early(runs, f"up {make}", runs.done), tuple(alone)),
        Step(f'ran=$(among "$*" {done})' if done else "ran="),
        Step(
            f"""\
set -- {begun}
if [ $# != 0 ]; then
  up {make} "$@" || return
  {_again(runs)}
  up {begin} {begun} || return
fi""",
            tuple(told),
        ),
    ]
    later = f"{words(*runs.later)} {'$ran' if runs.changed_later else ''}".strip()
    if later:
        calls = [env + shown(call) for call in up_commands(project, runs.later)] if runs.later else []
        steps.append(Step(f"start_later {later}", tuple(calls)))
    return steps


def _early(runs: Runs, make: str, asked: Sequence[str] = ()) -> str:
    """Shell text that makes anew what comes early, and leaves in `$@` what has changed of that and of what else is asked for.

    What cannot be made is made once more with the others, and fails there, where that counts.
    """
    names = words(*dict.fromkeys([*runs.early, *asked]))
    if not names:
        return ":"
    each = f"""
for y in $(among {quote(words(*runs.early))} "$@"); do {make} "$y" || true; done"""
    # An engine that is just being restarted tells no hash, and what is unknown counts as changed.
    return f"engine || return\nset -- $(changed {names}){each if runs.early else ''}"


def _again(runs: Runs) -> str:
    """Shell text that adds to `$ran` what Compose has made anew all the same."""
    done = words(*runs.done)
    return f'ran=$(among "$ran $(unstarted {done})" {done})' if done else ":"


def back(runs: Runs) -> str:
    """Shell text of the way back: what was started again meanwhile comes later, too."""
    if runs.all:
        return "at_last up || return"
    make, _ = (words(*options) for options in SOME)
    made = f"at_last up {make} {words(*runs.stopped)} || return\n" if runs.stopped else ""
    some = f"at_last some {words(*runs.services)} || return" if runs.services else ":"
    early = _early(runs, f"at_last up {make}")
    return f"{early}\n{made}{some}\n{_again(runs)}\nstart_later {words(*runs.later)} $ran"
