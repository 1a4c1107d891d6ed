#!/bin/bash
# DOCKER_HOST=ssh:// with Compose on this machine: dockerhost.sh NODE...   (files are read here, what is mounted lies on the host)
# shellcheck disable=SC1090,SC2029
export PATH="$BENCH_WORK/bin:$PATH"
one() {
  . "$BENCH_WORK/nodes/$1.sh"
  export DOCKER_HOST="ssh://$HOST" DOCKER_CONFIG="$BENCH_WORK/docker-$1"
  for x in $SECRETS; do export "${x?}"; done
  mkdir -p "$DOCKER_CONFIG"
  ln -sfn "$BENCH_WORK/cli-plugins" "$DOCKER_CONFIG/cli-plugins"
  c="docker compose -p $PROJECT --project-directory $DIR --env-file $FILES/$ENV_FILE --env-file $FILES/release.env -f $FILES/$COMPOSE_FILE -f $FILES/release.yml"
  { [ "$AFTER" = true ] || scp -qr "$FILES/monitoring" "$HOST:$DIR/"; } &&
    printf %s "$TOKEN" | docker login -u lab --password-stdin "$REGISTRY" >/dev/null 2>&1 &&
    $c pull -q 2>/dev/null && $c up -d --wait --quiet-pull 2>/dev/null &&
    { [ "$AFTER" = true ] || ssh "$HOST" "cd $DIR && $AFTER"; } &&
    ssh "$HOST" "$HEALTH"
}
pids=()
for n in "$@"; do one "$n" & pids+=($!); done
r=0
for p in "${pids[@]}"; do wait "$p" || r=1; done
exit $r
