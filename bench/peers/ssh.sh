#!/bin/bash
# Plain ssh, a connection for each command, or one for all: ssh.sh (plain|cm) NODE...
# The values go over standard input, as a careful person would have it: as fast, and in no process list.
# shellcheck disable=SC1090,SC2029
mode=$1
shift
S=$BENCH_WORK/checkout/.lab/ssh_config
one() {
  . "$BENCH_WORK/nodes/$1.sh"
  opts=(-F "$S")
  [ "$mode" = plain ] || opts+=(-o ControlMaster=auto -o "ControlPath=$BENCH_WORK/cp/$1" -o ControlPersist=60)
  env="export DOCKER_CONFIG=/run/bench-docker"
  for x in $SECRETS; do env+=" $x='${!x}'"; done
  scp -q "${opts[@]}" -r "$FILES/." "$HOST:$DIR/" &&
    printf %s "$TOKEN" | ssh "${opts[@]}" "$HOST" "DOCKER_CONFIG=/run/bench-docker docker login -u lab --password-stdin $REGISTRY" >/dev/null 2>&1 &&
    ssh "${opts[@]}" "$HOST" bash -s <<<"$env; cd $DIR && $COMPOSE pull -q" 2>/dev/null &&
    ssh "${opts[@]}" "$HOST" bash -s <<<"$env; cd $DIR && $COMPOSE up -d --wait --quiet-pull </dev/null && $AFTER" 2>/dev/null &&
    ssh "${opts[@]}" "$HOST" "$HEALTH"
  r=$?
  [ "$mode" = plain ] || ssh "${opts[@]}" -O exit "$HOST" 2>/dev/null
  return $r
}
pids=()
for n in "$@"; do one "$n" & pids+=($!); done
r=0
for p in "${pids[@]}"; do wait "$p" || r=1; done
exit $r
