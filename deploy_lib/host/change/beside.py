"""Shell functions that make a service's new containers beside its old ones, and wait until they are healthy.

They take `$service`, `$unproven` (its health check says nothing), and `$wanted`: services and the hashes of their configuration in
the files in place, one a line. What goes wrong because the engine does is told apart from what would go wrong again.
"""

from __future__ import annotations

from deploy_lib.compose import labels
from deploy_lib.compose.command import BESIDE
from deploy_lib.compose.container import PORTS, WELL
from deploy_lib.compose.project import Project
from deploy_lib.host.change.signs import ILL
from deploy_lib.host.prove.health import CRASH_LOOP, PATIENCE, STEADY
from deploy_lib.host.stack import HostStack
from deploy_lib.shell import quote, words

ENGINE = 4
"""Exit status within the script: the engine has failed, so it is worth another attempt."""

AT_ONCE = 3
"""Exit status within the script: there cannot be two containers, as in an earlier release that publishes a port itself."""

ATTEMPTS = 3
"""How often it is begun, where the engine fails meanwhile; `$attempt` has the number, from 1 on."""


def of_service(project: Project, variable: str, *, stopped: bool = True) -> str:
    """The call that lists the containers of the service that a shell variable names."""
    options = "-a --no-trunc" if stopped else "--no-trunc --filter status=running"
    return (
        f"docker ps {options} {project.filters} {labels.NO_ONE_OFF} {labels.of_service_in(variable)} --format"
    )


def functions(stack: HostStack, project: Project) -> str:
    """They take `engine`, `up` and `compose_up` as well."""
    make, begin = (words(*options) for options in BESIDE)
    form = quote(f"{{{{.ID}}}} {{{{.State}}}} {labels.template(labels.CONFIG_HASH)}")
    needs = f'{{{{println (index .Config.Labels "{labels.DEPENDS_ON}")}}}}'
    found = quote(f"{{{{.State}}}} {labels.template(labels.CONFIG_HASH)}")
    return f"""\
now() {{ date +%s; }}
nap() {{ sleep 0.2 2>/dev/null || sleep 1; }}
number_of() {{ echo $#; }}
without() {{ w=$1; shift; for id; do [ "$id" = "$w" ] || printf ' %s' "$id"; done; }}
running_of() {{ for id; do case " $runs " in *" $id "*) printf ' %s' "$id";; esac; done; }}
# down STATUS: of a failure, whether it is the engine's.
down() {{ if docker version >/dev/null 2>&1; then return "$1"; fi; return {ENGINE}; }}
# is_wanted SERVICE HASH
is_wanted() {{ case "
$wanted
" in *"
$1 $2
"*) ;; *) return 1;; esac; }}
# have: the service's containers, those of the files in place in $new, others in $old, and all that run in $runs.
have() {{
  all=$({of_service(project, "service")} {form}) || return {ENGINE}
  new= old= runs=
  while read -r id state hash; do
    [ -n "$id" ] || continue
    if is_wanted "$service" "$hash"; then new="$new $id"; else old="$old $id"; fi
    [ "$state" != running ] || runs="$runs $id"
  done <<=LISTED=
$all
=LISTED=
}}
# made: the same, once Compose has made containers that were not in $was: those are new, whatever hash was foreseen. Of one that
# is part of another container, it has that one's id in it.
made() {{
  have || return
  while read -r id _ hash; do
    case $was in *" $id "*) ;; *) wanted="$wanted
$service $hash";; esac
  done <<=LISTED=
$all
=LISTED=
  have
}}
# how ID: its $state, $health, $restarts and exit $status.
how() {{
  h=$(docker inspect --format {quote(WELL)} "$1" 2>/dev/null) || return {ENGINE}
  state=${{h%% *}} h=${{h#* }}
  health=${{h%% *}} h=${{h#* }}
  restarts=${{h%% *}} status=${{h#* }}
  [ -z "$unproven" ] || health=none
}}
# fit ID...: those that may get requests.
fit() {{
  for id; do
    how "$id" || continue
    case "$state $health" in 'running healthy'|'running none') printf ' %s' "$id";; esac
  done
}}
# since WHAT: seconds since that was first asked.
since() {{
  case " $seen " in *" $1/"*) ;; *) seen="$seen $1/$(now)";; esac
  s=${{seen##*" $1/"}}
  echo_since=$(($(now) - ${{s%% *}}))
}}
# forget WHAT: it has not been asked for.
forget() {{
  s=
  for w in $seen; do case $w in "$1"/*) ;; *) s="$s $w";; esac; done
  seen=$s
}}
# ready ID...: waits until all of them are healthy, or says why one is not.
ready() {{
  ready_by=$(($(now) + {int(stack.settings.healthy_timeout)})) seen= known=
  while :; do
    waits=
    for id; do
      how "$id" || return
      # What one that is well did earlier does not count.
      case "$known $state $health" in
        *" $id="*) ;;
        *'running healthy'|*'running none') known="$known $id=$restarts";;
        *) known="$known $id=0";;
      esac
      b=${{known##*" $id="}}
      [ $((restarts - ${{b%% *}})) -lt {CRASH_LOOP} ] || {{ waits="it keeps crashing: $restarts restarts, last exit status $status" which=$id ready_by=0; break; }}
      case "$state $health" in
        # What was wrong earlier does not count once it is well.
        'running healthy') forget "$id"; continue;;
        # Without a check, it has to run for a while, with no restart between.
        'running none') since "$id-$restarts"; [ $echo_since -lt {int(STEADY)} ] || continue; waits="it has not run long enough";;
        'running starting') waits='it is starting';;
        *)
          waits='its health check fails'
          [ "$state" = running ] || waits="it is $state, exit status $status"
          # Its restart policy may bring it back.
          since "$id"; [ $echo_since -lt {int(PATIENCE)} ] || ready_by=0;;
      esac
      which=$id
    done
    [ -n "$waits" ] || return 0
    [ "$(now)" -lt $ready_by ] || break
    nap
  done
  down 1 || {{ r=$?; [ $r != {ENGINE} ] || return $r; }}
  echo "{ILL}$service $which"
  echo "the new container of $service is not healthy: $waits"
  return 1
}}
# beside NUMBER: so many more containers, started with what they need that is new as well.
beside() {{
  was=" $new $old " total=$(($(number_of $new $old) + $1)) needed=
  up {make} --scale "$service=$total" "$service" || again || {{
    r=$?
    [ $r != {ENGINE} ] || [ $attempt != {ATTEMPTS} ] || r={AT_ONCE}
    return $r
  }}
  made || return
  for id in $new; do
    case $was in *" $id "*) continue;; esac
    # Of one that is there at the next attempt, nobody would ask this again.
    found=$(docker inspect --format {quote(needs + PORTS)} "$id") || {{
      docker rm "$id" >/dev/null
      return {ENGINE}
    }}
    {{ read -r needed; read -r port; }} <<=MADE=
$found
=MADE=
    [ -z "$port" ] || {{
      docker rm "$id" >/dev/null
      return {AT_ONCE}
    }}
    needed=$(echo "$needed" | tr ',' '\\n' | cut -d: -f1)
  done
  needed=$(unmet $needed) || return
  [ -z "$needed" ] || compose_up --no-start $needed || again || return
  compose_up {begin} --scale "$service=$total" $needed "$service" || again || return
  have
}}
# again: an engine that was restarted meanwhile may be back by now, so what failed is done once more, unless it took too long.
again() {{ r=$?; case $r in 124|137) return $r;; esac; return {ENGINE}; }}
# away ID: it goes; also one that keeps crashing, which cannot be removed while it waits for its next start.
away() {{
  grace=$(docker inspect --format '{{{{.Config.StopTimeout}}}}' "$1" 2>/dev/null)
  case $grace in *[!0-9]*) grace=;; esac
  if {{ docker stop "$1" && docker rm "$1"; }} >/dev/null; then return 0; fi
  if docker inspect "$1" >/dev/null 2>&1 || ! docker version >/dev/null 2>&1; then return {ENGINE}; fi
}}
# unmet SERVICE...: those that have changed, or were never started.
unmet() {{
  for needs; do
    found=$({of_service(project, "needs")} {found}) || return {ENGINE}
    case $found in *created*|'') printf '%s ' "$needs"; continue;; esac
    read -r _ hash <<=FOUND=
$found
=FOUND=
    is_wanted "$needs" "$hash" || printf '%s ' "$needs"
  done
}}
"""
