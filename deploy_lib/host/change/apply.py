"""Apply: changing a secret where a program keeps its own copy of it, and proving that the change worked.

Everything here is shell text for the switch (`host/change/detached.py`), which has the old values in `$old_NAME` and the new
ones in `$NAME`. A file of `host/programs/` has what is the program's own: of that, three functions are made for each step,
`copy_NAME`, `change_NAME VALUE` and `takes_NAME VALUE`. Values go into a container on standard input, in base64, one to a
line; the command lines are always the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from deploy_lib.compose import labels
from deploy_lib.config import Apply
from deploy_lib.host.programs import REFUSED, Program
from deploy_lib.secrets.value import Secret
from deploy_lib.shell import quote

TIMEOUT = 30
"""Seconds that one call into a container may take."""


def changeable(steps: Sequence[Apply], changed: Collection[str]) -> list[Program]:
    """Those of a stack's steps that these changed secrets take."""
    return [step for step in steps if step.secret in changed and isinstance(step, Program)]


def environment(steps: Sequence[Program], values: Mapping[str, Secret]) -> dict[str, Secret]:
    """What the script needs besides the values: a program may get something else than the value itself, such as a hash."""
    return {f"APPLY_{step.secret}": step.hand(values[step.secret]) for step in steps}


def functions(project: str, steps: Sequence[Program]) -> str:
    """The steps' functions."""
    if not steps:
        return ":"
    own = f"{labels.of_project(project)} {labels.of_service_in('1')}"
    shared = f"""\
feed() {{ for v; do printf %s "$v" | base64 | tr -d '\\n'; echo; done; }}
running() {{ docker ps -q --no-trunc {own} | head -n 1; }}
stopped() {{
  docker ps -aq --no-trunc {own} --filter status=exited | head -n 1
}}
# inside SERVICE SHELL PROGRAM [ARGUMENT]
inside() {{
  c=$(running "$1")
  [ -n "$c" ] || {{ echo "$1 does not run"; return 3; }}
  shift; s=$1 p=$2; shift 2
  timeout -k 5 {TIMEOUT} docker exec -i "$c" "$s" -c "$p" - "$@"
}}
# answer COMMAND: 1 is a refusal alone.
answer() {{ "$@"; case $? in 0) ;; {REFUSED}) return 1;; *) return 2;; esac; }}
"""
    return shared + "\n".join(_functions(step) for step in steps)


def _functions(step: Program) -> str:
    name = step.secret
    # Going back sets the variable of that name to its old value; it still needs the new one, which the program may have.
    return f"""\
new_{name}="${name}"
copy_{name}() (
{step.keeps()}
)
change_{name}() (
{step.change()}
)
tries_{name}() (
{step.takes()}
)
takes_{name}() {{ answer tries_{name} "$1"; }}
# It has the old value alone, so there is nothing to take back, although it does not take the copy: as it has not taken the new one.
unchanged_{name}() {{
  takes_{name} "$old_{name}" >/dev/null || return
  [ "$old_{name}" = "$new_{name}" ] && return
  takes_{name} "$new_{name}" >/dev/null
  [ $? = 1 ]
}}"""


def wake(steps: Sequence[Program]) -> str:
    """Shell text that starts the programs which are stopped, as a host that went down in the middle of `up` leaves them."""
    return "\n".join(_wake(step) for step in steps) or ":"


def _wake(step: Program) -> str:
    # Containers in state "created" do not count: the program in them has never run.
    return f"""\
if [ -z "$(running {quote(step.service)})" ]; then
  c=$(stopped {quote(step.service)})
  [ -z "$c" ] || docker start "$c" >/dev/null
  t=$(($(date +%s) + {int(step.timeout)}))
  until copy_{step.secret} >/dev/null 2>&1 || [ "$(date +%s)" -ge $t ] || [ -z "$c" ]; do sleep 1; done
fi"""


def remember(steps: Sequence[Program]) -> str:
    """Shell condition: the copies that going back needs are known, and kept in `$copy_NAME`."""
    return (
        " && ".join(
            f'[ -n "${{has_{step.secret}:-}}" ] && copy_{step.secret}=$(copy_{step.secret}) && [ -n "$copy_{step.secret}" ]'
            for step in steps
        )
        or "true"
    )


def forward(steps: Sequence[Program]) -> str:
    """Shell text for `forward`, before the containers are replaced."""
    return (
        "\n".join(
            f'change_{step.secret} "$APPLY_{step.secret}" || '
            f"{{ echo {quote(f'{step.service} did not change {step.secret}')}; return 1; }}"
            for step in steps
        )
        or ":"
    )


def prove(steps: Sequence[Program]) -> str:
    """Shell text for `forward`, after the containers have been replaced: proves that the new value is accepted and the old one refused."""
    return "\n".join(_prove(step) for step in steps) or ":"


def _prove(step: Program) -> str:
    name, service = step.secret, step.service
    # A refusal is final. Programs may count them: after five Grafana lets nobody in for a while.
    return f"""\
t=$(($(date +%s) + {int(step.timeout)}))
until said=$(takes_{name} "${name}"); do
  [ $? -ne 1 ] && [ "$(date +%s)" -lt $t ] || {{ echo {quote(f"{service} does not take the new {name}")}"${{said:+: $said}}"; return 1; }}
  sleep 1
done
if [ "$old_{name}" != "${name}" ]; then
  said=$(takes_{name} "$old_{name}")
  case $? in
    1) ;;
    0) echo {quote(f"{service} still takes the old {name}")}; return 1;;
    *) echo {quote(f"{service} did not say whether it still takes the old {name}")}"${{said:+: $said}}"; return 1;;
  esac
fi"""


def back(steps: Sequence[Program]) -> str:
    """Shell text for `back`, before the containers are replaced; programs that do not run now follow in `back_later`."""
    tries = "\n".join(
        f'change_{s.secret} "$copy_{s.secret}" || unchanged_{s.secret} || later="$later {s.secret}"'
        for s in steps
    )
    return f"later=\n{tries}" if steps else ":"


def back_later(steps: Sequence[Program]) -> str:
    """Shell text for `back`, after the containers have been replaced."""
    return "\n".join(_back_later(step) for step in steps) or ":"


def _back_later(step: Program) -> str:
    name = step.secret
    return f"""\
case "$later " in *" {name} "*)
  t=$(($(date +%s) + {int(step.timeout)}))
  until change_{name} "$copy_{name}"; do
    if [ "$(date +%s)" -ge $t ]; then
      # Asked once alone: programs may count refusals.
      unchanged_{name} || {{ echo {quote(f"{step.service} did not change {name} back")}; return 1; }}
      break
    fi
    sleep 1
  done;;
esac"""
