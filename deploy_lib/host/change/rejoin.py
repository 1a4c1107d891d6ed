"""Containers that have another one's network, processes or memory: they lose it when that one is started again, and Docker
leaves them running."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.compose import labels
from deploy_lib.compose.container import LIVES_IN, STARTED
from deploy_lib.compose.project import Project
from deploy_lib.host.stack import HostStack
from deploy_lib.shell import quote, words


def function(stack: HostStack, project: Project, services: Sequence[str]) -> str:
    """Shell function `rejoin`: starts the running containers of these services again where what they are part of was started
    after them; takes `inspect`."""
    if not services:
        return "rejoin() { :; }\n"
    running = f"docker ps -q --no-trunc {project.filters} {labels.NO_ONE_OFF} {labels.of_service_in('x')}"
    names = words(*services)
    # One that was started again may have others that are part of it, so everything is looked at until nothing is to be done.
    return f"""\
# overtaken ID: 0 where it lives in a container that runs and was started after it, 1 where it does not, 2 where that is unknown.
# One that is gone, or that crashes, is none.
overtaken() (
  own=$(inspect {quote(STARTED)} "$1") && modes=$(inspect {quote(LIVES_IN)} "$1") || return 2
  for m in $modes; do
    case $m in container:*) ;; *) continue;; esac
    other=$(inspect {quote(STARTED)} "${{m#container:}}") || return 2
    case $other in 'running '*) other=${{other#* }};; *) continue;; esac
    other=${{other%Z}} before=${{own#* }}
    before=${{before%Z}}
    [ "$(printf '%s\\n' "$before" "$other" | LC_ALL=C sort | tail -n 1)" = "$before" ] || return 0
  done
  return 1
)
rejoin() (
  rejoined_by=$(($(date +%s) + {int(stack.settings.switch_timeout)}))
  for round in {names}; do
    again=
    for x in {names}; do
      found=$({running}) || return
      for c in $found; do
        overtaken "$c"
        case $? in 0) ;; 1) continue;; *) return 1;; esac
        again=1 left=$((rejoined_by - $(date +%s)))
        [ "$left" -gt 0 ] || return 124
        timeout -k 10 "$left" docker restart "$c" >/dev/null || return
      done
    done
    [ -n "$again" ] || return 0
  done
)
"""
