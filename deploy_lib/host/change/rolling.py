"""Containers replaced without losing a request: the new one beside the old one, healthy, sent requests; the old one drained, stopped.

It is a part of the switch, before Compose is told to bring all services to the files in place, and it leaves nothing to do for
these. It looks at what is there and goes on from that, in either direction: after an engine's restart, after a script that
was killed, and on the way back. What Compose's own hash says is of the release in place is new, all others are old.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from deploy_lib.compose.command import beside_commands, deployed_hashes_command, shown
from deploy_lib.compose.project import Project
from deploy_lib.host.change import beside, gate, in_turn
from deploy_lib.host.change.beside import AT_ONCE, ATTEMPTS, ENGINE
from deploy_lib.host.change.in_turn import Turn
from deploy_lib.host.change.signs import NOTE
from deploy_lib.host.change.step import Step
from deploy_lib.host.gateways import Gateway
from deploy_lib.host.stack import HostStack
from deploy_lib.shell import quote, words

GRACE = 120
"""Seconds that are allowed for for making a container, and for stopping one, besides what else it takes."""


class Roll(Struct, frozen=True):
    """A service that is to be rolled.

    Attributes:
        gateway: its table in deploy.toml.
        count: how many containers it is to have.
        unproven: its health check says nothing.
    """

    gateway: Gateway
    count: int = 1
    unproven: bool = False

    @property
    def named(self) -> str:
        """For people."""
        return self.gateway.service

    @property
    def lost(self) -> str:
        """What may come of it where it is not rolled."""
        return "requests may be lost"

    def shown(self, project: Project, env: str) -> list[str]:
        """The calls that a dry run shows: one round, and with several containers there is one for each, unless they come at once."""
        service, old = self.gateway.service, f"OLD_{self.gateway.service.upper()}"
        number = self.count * 2 if self.gateway.at_once else self.count + 1
        calls = [env + shown(call) for call in beside_commands(project, service, number)]
        return [*calls, f"docker stop {old}", f"docker rm {old}"]


Rolls = Sequence[Roll | Turn]
"""What is not replaced all at once, in its order."""


def longest(stack: HostStack, rolls: Rolls) -> float:
    """Seconds that it may take."""
    each = stack.settings.healthy_timeout + GRACE
    took = 0.0
    for roll in rolls:
        if isinstance(roll, Turn):
            took += 2 * each * roll.rounds
        else:
            took += (each + roll.gateway.drain_timeout) * (roll.count + 1)
    return took


def forward_steps(project: Project, rolls: Rolls, env: str) -> list[Step]:
    """The steps before `up`, in a shell function that ends with the first one that fails; none without rolling services.

    Args:
        env: what a dry run shows before each command.
    """
    return [
        Step(f"roll_{number} || return", tuple(roll.shown(project, env))) for number, roll in enumerate(rolls)
    ]


def settled(rolls: Rolls) -> list[Step]:
    """The steps after `up`: gateways send to what they find by themselves again."""
    return [Step(f"settle_{number}") for number, _ in enumerate(rolls)]


def back(rolls: Rolls) -> str:
    """Shell text of the way back, before `up`, which does it at once where it cannot be done so."""
    return "".join(
        f"roll_{number} || {{ echo {quote(f'{NOTE}{roll.named} is taken back at once: {roll.lost}')}; keep_{number}; }}\n"
        for number, roll in enumerate(rolls)
    )


def settled_back(rolls: Rolls) -> str:
    """Shell text of the way back, after `up`."""
    return "".join(f"\n{step.text}" for step in settled(rolls))


def functions(stack: HostStack, project: Project, rolls: Rolls) -> str:
    """Shell functions `roll_N`, `keep_N` and `settle_N` for each of these; take `engine`, `some`, `up` and `compose_up`."""
    if not rolls:
        return ""
    parts = [beside.functions(stack, project)]
    if any(isinstance(roll, Roll) for roll in rolls):
        parts += [gate.functions(project), _roll(project)]
    if any(isinstance(roll, Turn) for roll in rolls):
        parts.append(in_turn.functions(stack, project))
    for number, roll in enumerate(rolls):
        if isinstance(roll, Turn):
            parts += [roll.functions(number), _attempts(number, "turn", roll.named)]
            parts.append(f"keep_{number}() {{ true; }}\nsettle_{number}() {{ true; }}\n")
        else:
            parts += [_about(number, roll), _attempts(number, "roll", roll.named)]
            parts.append(f"keep_{number}() {{ ( about_{number}; keep ); true; }}\n")
            parts.append(f"settle_{number}() {{ ( about_{number}; settle ); true; }}\n")
    return "".join(parts)


def _about(number: int, roll: Roll) -> str:
    table = roll.gateway
    return f"""\
about_{number}() {{
  service={quote(table.service)} gateway={quote(table.gateway)} count={roll.count} drain={int(table.drain_timeout)}
  at_once={1 if table.at_once else ""} unproven={1 if roll.unproven else ""}
{table.functions}
}}
"""


def _attempts(number: int, function: str, named: str) -> str:
    """In a shell of its own each, with names of its own."""
    return f"""\
roll_{number}() {{
  for attempt in {words(*range(1, ATTEMPTS + 1))}; do
    ( about_{number}; {function} ); r=$?
    case $r in
      {ENGINE}) ;;
      {AT_ONCE}) echo {quote(f"{NOTE}there cannot be two containers of {named}: it is replaced at once")}; return 0;;
      *) return $r;;
    esac
    echo {quote(f"{named} is looked at again: the engine did not do what it was told")}
    engine || return
  done
  return 1
}}
"""


def _roll(project: Project) -> str:
    return f"""\
roll() {{
  wanted=
  have || return
  # Where none runs, no request can be lost.
  [ -n "$runs" ] && [ $count -gt 0 ] || return 0
  wanted=$({deployed_hashes_command(project)}) || down 1 || return
  have || return
  missing=$((count - $(number_of $new))) leaving=
  [ -n "$old" ] || [ $missing != 0 ] || return 0
  stopped=
  for id in $old; do
    case " $runs " in *" $id "*) ;; *) stopped="$stopped $id" old=$(without "$id" $old);; esac
  done
  # From now on the gateway does not look for itself: it would find a new container before that is healthy.
  well=$(fit $new)
  [ "$(number_of $well)" -ge $count ] || well="$well$(fit $old)"
  at_gate send_to ${{well:-$old $new}} || return
  [ -n "$gate" ] || {{ echo "{NOTE}$gateway, the gateway of $service, does not run: $service is replaced at once"; return 0; }}
  # They would be started with the others.
  for id in $stopped; do away "$id" || return; done
  if [ $missing -le 0 ]; then
    [ "$(number_of $(running_of $new))" = "$(number_of $new)" ] || beside 0 || return
    take_in || return
  fi
  while [ $missing -gt 0 ]; do
    step=1
    [ -z "$at_once" ] || step=$missing
    beside $step || return
    missing=$((missing - step))
    take_in || return
    for old_one in $old; do
      [ -z "$at_once" ] || break
      retire "$old_one" || return
      old=$(without "$old_one" $old)
      break
    done
  done
  # More than are wanted: those that came last go.
  while [ $missing -lt 0 ]; do
    for last in $new; do break; done
    old="$old $last" new=$(without "$last" $new) missing=$((missing + 1))
  done
  for old_one in $old; do retire "$old_one" || return; done
}}
# keep: where all that are to be there run, the others go: Compose might choose to replace one of those that answer.
keep() {{
  wanted=$({deployed_hashes_command(project)}) && have || return
  [ "$(number_of $(running_of $new))" -ge $count ] || return
  for id in $old; do away "$id"; done
}}
# take_in: the new containers get requests once they are healthy.
take_in() {{
  ready $new || return
  at_gate send_to $(fit $old) $new || return
  at_gate reached $new || return
  echo "$service: $(number_of $new) of $count new containers are healthy, and get requests"
}}
# retire ID: it gets no more requests, answers those that it has, and goes.
retire() {{
  leaving="$leaving $1" stay=
  for id in $new $(fit $old); do case " $leaving " in *" $id "*) ;; *) stay="$stay $id";; esac; done
  at_gate send_to $stay || return
  at= quiet=0 drain_by=$(($(now) + drain))
  # One that shares no network with the gateway has got no requests; where that is unknown, it may have some.
  [ -z "$gate" ] || at=$(addresses "$1") || return {ENGINE}
  # What was sent to it a moment ago may not be counted yet, so it is asked twice.
  while [ -n "$gate" ] && [ -n "$at" ]; do
    if gate_quiet "$at" >/dev/null 2>&1; then quiet=$((quiet + 1)); else quiet=0; fi
    [ $quiet -lt 2 ] || break
    [ "$(now)" -lt $drain_by ] || {{ echo "{NOTE}an old container of $service is stopped although it has not answered all after $drain s"; break; }}
    nap
    # A gateway that is gone has nothing that is answered; one of which the engine does not say that may have.
    find_gate || true
  done
  away "$1"
}}
"""
