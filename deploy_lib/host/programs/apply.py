"""Apply: changing a secret where a program keeps its own copy of it, and proving that the change took.

Everything here is shell text for the switch (`operations/switch.py`), which has the old values in `$old_NAME` and the new
ones in `$NAME`. For each step it defines two functions: `change_NAME VALUE` changes the program's copy, and
`takes_NAME VALUE` tells whether it accepts a value: status 0, or 1 when it refuses it, or another one when it does not
answer. Values go into a container on standard input, in base64, one to a line; the command lines are always the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence

from deploy_lib.compose import labels
from deploy_lib.config import Apply, GrafanaAdmin, Immutable, PostgresRole
from deploy_lib.secrets.scram import SALT_BYTES, verifier
from deploy_lib.secrets.value import Secret
from deploy_lib.shell import quote

TIMEOUT = 30
"""Seconds that one call into a container may take."""

_REFUSED = 41
"""Exit status of a program's refusal inside its container. `docker exec` has 1 for a container that is gone or stopped by
then, which is no refusal."""

_GET = """\
get() { IFS= read -r l && v=$(printf %s "$l" | base64 -d && echo x) && v=${v%x}; }
"""
"""In a container: the next value into `$v`, byte for byte."""

_PSQL = f"""\
{_GET}get; export PGUSER="$v" PGDATABASE=postgres PGCONNECT_TIMEOUT=5
psql() {{ command psql -wqAtX -v ON_ERROR_STOP=1 -v VERBOSITY=terse "$@"; }}
"""

_COPY = "SELECT coalesce(quote_literal(rolpassword), 'NULL') FROM pg_authid WHERE rolname = current_user"
POSTGRES_READ = f"""{_PSQL}\
echo {quote(_COPY)} | psql
"""

POSTGRES_CHANGE = f"""{_PSQL}\
get
printf '%s;\\n' "SET log_statement = 'none'" 'SET log_min_error_statement = panic' \\
  'SET log_min_duration_statement = -1' 'SET log_min_duration_sample = -1' 'SET log_transaction_sample_rate = 0' \\
  'SET pg_stat_statements.track_utility = off' "SET pgaudit.log = 'none'" \\
  "ALTER ROLE CURRENT_USER PASSWORD $v" | psql
"""
"""The value is an SQL literal of the verifier, or NULL. Whatever could write the statement down is told not to."""

POSTGRES_TAKES = f"""{_PSQL}\
get; export PGPASSWORD="$v"
# Not by way of 127.0.0.1, from where the image lets anybody in.
set -- $(hostname -i)
echo 'SELECT 1' | psql -h "$1" >/dev/null 2>&1 && exit 0
pg_isready -q -h "$1" && exit {_REFUSED}
exit 2
"""

GRAFANA_CHANGE = f"""{_GET}\
get; printf '%s\\n' "$v" | grafana cli admin reset-admin-password --password-from-stdin >/dev/null
"""

GRAFANA_TAKES = f"""{_GET}\
get
exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 2
printf 'GET /api/user HTTP/1.0\\r\\nHost: localhost\\r\\nAuthorization: Basic %s\\r\\n\\r\\n' \\
  "$(printf %s "$v" | base64 | tr -d '\\n')" >&3
IFS= read -r -t 10 l <&3
case $l in HTTP/*' 200'*) exit 0;; HTTP/*' 401'*) exit {_REFUSED};; *) exit 2;; esac
"""
"""For bash, which Grafana's image has for its own entry point; there may be no curl."""

Changeable = PostgresRole | GrafanaAdmin


def changeable(steps: Sequence[Apply], changed: Collection[str]) -> list[Changeable]:
    """Those of a stack's steps that these changed secrets take."""
    return [step for step in steps if step.secret in changed and not isinstance(step, Immutable)]


def unfit(step: Changeable, value: Secret) -> str:
    """Why a program cannot take a value; "" when it can."""
    if isinstance(step, GrafanaAdmin) and any(c in value.reveal() for c in "\r\n"):
        return f"{step.secret} has a line break, and Grafana reads its password from one line"
    return ""


def environment(steps: Sequence[Changeable], values: Mapping[str, Secret]) -> dict[str, Secret]:
    """What the script needs besides the values: a program may be given something else than the value itself."""
    return {
        f"APPLY_{step.secret}": Secret(
            f"'{verifier(values[step.secret], secrets.token_bytes(SALT_BYTES)).reveal()}'"
        )
        for step in steps
        if isinstance(step, PostgresRole)
    }


def functions(project: str, steps: Sequence[Changeable]) -> str:
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
answer() {{ "$@"; case $? in 0) ;; {_REFUSED}) return 1;; *) return 2;; esac; }}
"""
    return shared + "\n".join(_functions(step) for step in steps)


def _functions(step: Changeable) -> str:
    name, service = step.secret, quote(step.service)
    match step:
        case PostgresRole(role=role):
            return f"""\
copy_{name}() {{ feed "${role}" | inside {service} sh {quote(POSTGRES_READ)}; }}
change_{name}() {{ feed "${role}" "$1" | inside {service} sh {quote(POSTGRES_CHANGE)}; }}
takes_{name}() {{ feed "${role}" "$1" | answer inside {service} sh {quote(POSTGRES_TAKES)}; }}
given_{name}() {{ printf %s "$APPLY_{name}"; }}"""
        case GrafanaAdmin(user=user, port=port):
            # Its copy cannot be had, but is made from the value.
            return f"""\
copy_{name}() {{ printf %s "$old_{name}"; }}
change_{name}() {{ feed "$1" | inside {service} sh {quote(GRAFANA_CHANGE)}; }}
takes_{name}() {{ feed {quote(user)}":$1" | answer inside {service} bash {quote(GRAFANA_TAKES)} {port}; }}
given_{name}() {{ printf %s "${name}"; }}"""


def wake(steps: Sequence[Changeable]) -> str:
    """Shell text that starts the programs which do not run: a host that went down in the middle of Compose's work leaves them so."""
    return "\n".join(_wake(step) for step in steps) or ":"


def _wake(step: Changeable) -> str:
    # What never came to more than being created is no program's container yet.
    return f"""\
if [ -z "$(running {quote(step.service)})" ]; then
  c=$(stopped {quote(step.service)})
  [ -z "$c" ] || docker start "$c" >/dev/null
  t=$(($(date +%s) + {int(step.timeout)}))
  until copy_{step.secret} >/dev/null 2>&1 || [ "$(date +%s)" -ge $t ] || [ -z "$c" ]; do sleep 1; done
fi"""


def remember(steps: Sequence[Changeable]) -> str:
    """Shell condition: everything that going back takes is known, and kept in `$copy_NAME`."""
    return (
        " && ".join(
            f'[ -n "${{has_{step.secret}:-}}" ] && copy_{step.secret}=$(copy_{step.secret}) && [ -n "$copy_{step.secret}" ]'
            for step in steps
        )
        or "true"
    )


def forward(steps: Sequence[Changeable]) -> str:
    """Shell text for `forward`, before the containers are replaced."""
    return (
        "\n".join(
            f'change_{step.secret} "$(given_{step.secret})" || '
            f"{{ echo {quote(f'{step.service} did not change {step.secret}')}; return 1; }}"
            for step in steps
        )
        or ":"
    )


def prove(steps: Sequence[Changeable]) -> str:
    """Shell text for `forward`, after the containers have been replaced: the new value is taken, and the old one is not."""
    return "\n".join(_prove(step) for step in steps) or ":"


def _prove(step: Changeable) -> str:
    name, service = step.secret, step.service
    # A refusal is final. Grafana counts them, too: after five it lets nobody in for a while.
    return f"""\
t=$(($(date +%s) + {int(step.timeout)}))
until takes_{name} "${name}"; do
  [ $? -ne 1 ] && [ "$(date +%s)" -lt $t ] || {{ echo {quote(f"{service} does not take the new {name}")}; return 1; }}
  sleep 1
done
if [ "$old_{name}" != "${name}" ]; then
  takes_{name} "$old_{name}"
  case $? in
    1) ;;
    0) echo {quote(f"{service} still takes the old {name}")}; return 1;;
    *) echo {quote(f"{service} did not say whether it still takes the old {name}")}; return 1;;
  esac
fi"""


def back(steps: Sequence[Changeable]) -> str:
    """Shell text for `back`, before the containers are replaced; what is not running now gets its turn in `back_later`."""
    tries = "\n".join(f'change_{s.secret} "$copy_{s.secret}" || later="$later {s.secret}"' for s in steps)
    return f"later=\n{tries}" if steps else ":"


def back_later(steps: Sequence[Changeable]) -> str:
    """Shell text for `back`, after the containers have been replaced."""
    return "\n".join(_back_later(step) for step in steps) or ":"


def _back_later(step: Changeable) -> str:
    name = step.secret
    return f"""\
case "$later " in *" {name} "*)
  t=$(($(date +%s) + {int(step.timeout)}))
  until change_{name} "$copy_{name}"; do
    [ "$(date +%s)" -lt $t ] || {{ echo {quote(f"{step.service} did not change {name} back")}; return 1; }}
    sleep 1
  done;;
esac"""
