"""Replicas of a kind replaced one after the other: the next one only when the one before does its work.

As with `rolling`, it is a part of the switch before Compose is told to bring all services to the files in place, and it goes by
what is there, in either direction. The shell functions are those of `beside` and `start`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from deploy_lib.compose.command import deployed_hashes_command, shown, up_commands
from deploy_lib.compose.project import Project
from deploy_lib.host.change.beside import ENGINE
from deploy_lib.host.change.signs import ILL
from deploy_lib.host.stack import HostStack
from deploy_lib.shell import quote, words


class Turn(Struct, frozen=True):
    """Services that are replaced one after the other.

    Attributes:
        kind: what they are replicas of.
        services: in their order.
        log: what the log of a new container says once it does its work; "" where it is enough that it is healthy.
        unproven: those whose health check says nothing.
    """

    kind: str
    services: Sequence[str]
    log: str = ""
    unproven: Collection[str] = ()

    @property
    def named(self) -> str:
        """For people."""
        return f"the kind {self.kind}"

    @property
    def lost(self) -> str:
        """What may come of it where they are replaced at once."""
        return "for a while nobody may take their work"

    @property
    def rounds(self) -> int:
        """Containers that are waited for, one after the other."""
        return len(self.services)

    def shown(self, project: Project, env: str) -> list[str]:
        """The calls that a dry run shows."""
        return [env + shown(call) for service in self.services for call in up_commands(project, [service])]

    def functions(self, number: int) -> str:
        """Shell function `about_N`: what `turn` needs to know."""
        unproven = "".join(f"{quote(name)}) unproven=1;; " for name in self.unproven)
        return f"""\
about_{number}() {{
  services={quote(words(*self.services))} said={quote(self.log)}
  proves() {{ unproven=; case $service in {unproven}esac; }}
}}
"""


def functions(stack: HostStack, project: Project) -> str:
    """Shell function `turn`."""
    return f"""\
turn() {{
  wanted=$({deployed_hashes_command(project)}) || down 1 || return
  earlier=
  for service in $services; do
    proves
    have || return
    # Where none runs, nobody misses it; `up` comes after all of them.
    [ -n "$runs" ] || continue
    [ -n "$old" ] || {{ earlier="$earlier $service"; continue; }}
    # A switch before this one may have ended before what it had replaced was at its work.
    for one in $earlier; do
      ( service=$one; proves; have && at_work $new ) || return
    done
    earlier=
    was=" $new $old "
    some "$service" || again || return
    made || return
    # Where Compose has made none, those that run are as the files have them.
    at_work ${{new:-$old}} || return
    echo "$service: its new container does its work"
  done
}}
# at_work ID...: waits until each of them is healthy, and has said that it does its work.
at_work() {{
  ready "$@" || return
  [ -n "$said" ] || return 0
  ready_by=$(($(now) + {int(stack.settings.healthy_timeout)}))
  for id; do
    # What has run for hours has said it, and its log may not go back so far.
    found=$(docker ps --no-trunc --filter "id=$id" --format '{{{{.Status}}}}') || return {ENGINE}
    case $found in ''|*second*|*minute*) ;; *) continue;; esac
    until docker logs "$id" 2>&1 | grep -qF -- "$said"; do
      [ "$(now)" -lt $ready_by ] || {{
        down 1 || {{ r=$?; [ $r != {ENGINE} ] || return $r; }}
        echo "{ILL}$service $id"
        echo "a new container of $service has not said in its log: $said"
        return 1
      }}
      nap
    done
  done
}}
"""
