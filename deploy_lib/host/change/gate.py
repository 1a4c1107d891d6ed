"""Shell functions that tell a gateway where requests go, while it runs.

They take `$service` and `$gateway`, and the functions of the gateway's own file (`host/gateways/`).
"""

from __future__ import annotations

from deploy_lib.compose.container import ADDRESSES
from deploy_lib.compose.project import Project
from deploy_lib.host.change.beside import ENGINE, of_service
from deploy_lib.shell import quote

ANSWER = 10
"""Seconds for one call of a gateway: on a host that is overloaded, it may take long to come to its turn."""

TOLD = 30
"""Seconds for a gateway to do what it is told, and to find by itself what it was told."""


def functions(project: Project) -> str:
    """Shell functions `at_gate`, `send_to`, `reached` and `settle`; take those of `beside.py` and of the gateway itself.

    An engine that refuses once does not say that there is no gateway: `$gate` stays what it was.
    """
    return f"""\
told() {{
  timeout -k 2 {ANSWER} docker exec -i "$gate" "$@"; g=$?
  case $g in 124|137) echo 'it has not answered within {ANSWER} s';; esac
  return $g
}}
find_gate() {{ found=$({of_service(project, "gateway", stopped=False)} '{{{{.ID}}}}') || return {ENGINE}; gate=${{found%%[!0-9a-f]*}}; }}
# at_gate COMMAND...: does it as soon as the gateway answers. Nobody comes through one that does not run, so it is told nothing.
at_gate() {{
  answer_by=$(($(now) + {TOLD})) why=
  while :; do
    find_gate || return
    if [ -n "$gate" ]; then
      if why=$("$@" 2>&1); then return 0; fi
    else
      # One that was never made is not about to come back.
      found=$({of_service(project, "gateway")} '{{{{.ID}}}}') || return {ENGINE}
      [ -n "$found" ] || return 0
    fi
    [ "$(now)" -lt $answer_by ] || break
    nap
  done
  [ -n "$gate" ] || return 0
  down 1 || {{ r=$?; [ $r != {ENGINE} ] || return $r; }}
  echo "$gateway, the gateway of $service, does not do what it is told: $why"
  return 1
}}
# addresses ID...: where the gateway reaches them: in the first network that both have. It fails where Docker does not say that of all.
addresses() {{
  found=$(docker inspect --format {quote(f'{{{{println "=" .ID}}}}{ADDRESSES}')} "$gate" "$@" 2>/dev/null); of_all=$?
  # Docker 29 and later say "invalid IP" where there is none.
  printf '%s\n' "$found" | sed 's/invalid IP//g' | {{
    nets=' ' of= met=
    while read -r net at or; do
      case $net in =) of=$at met=; continue;; esac
      if [ "$of" = "$gate" ]; then nets="$nets$net "; continue; fi
      case $nets in *" $net "*) ;; *) continue;; esac
      [ -z "$at" ] || [ -n "$met" ] || {{ echo "$at"; met=1; }}
    done
  }}
  return $of_all
}}
send_to() {{
  set -- $(addresses "$@")
  [ $# -gt 0 ] || {{ echo "it shares no network with $service"; return 1; }}
  gate_sends "$@"
}}
reached() {{
  at=$(addresses "$@") || {{ echo "Docker does not say where the containers of $service are"; return 1; }}
  gate_takes $at
}}
# settle: the gateway goes by what it finds again, as soon as that is what runs.
settle() {{
  settle_by=$(($(now) + {TOLD}))
  while :; do
    if find_gate; then
      [ -n "$gate" ] || return 0
      gate_told_any >/dev/null 2>&1 || [ $? != 1 ] || return 0
      at=$(addresses $({of_service(project, "service", stopped=False)} '{{{{.ID}}}}'))
      if [ -n "$at" ] && gate_finds $at >/dev/null 2>&1 && gate_forgets >/dev/null 2>&1; then return 0; fi
    fi
    [ "$(now)" -lt $settle_by ] || break
    nap
  done
  echo "$gateway does not say that it finds the containers of $service by itself yet, and keeps to those that it was told"
}}
"""
