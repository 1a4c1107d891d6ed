# shellcheck shell=bash disable=SC2154
# The bare commands, on the host itself, each timed by its own clock. The variables of a node come before this text.
export DOCKER_CONFIG=/run/bench-docker
compose() { $COMPOSE "$@"; }
login() { printf %s "$TOKEN" | docker login -u lab --password-stdin "$REGISTRY" >/dev/null 2>&1; }
pull() { compose pull -q 2>/dev/null; }
up() { compose up -d --wait --quiet-pull >/dev/null 2>&1; }
after() { eval "$AFTER"; }
health() { eval "$HEALTH"; }
timed() {
  t=$EPOCHREALTIME
  "$@" || { echo "FAILED $*"; exit 1; }
  u=$EPOCHREALTIME
  echo "part $1 $((${u/./} - ${t/./}))"
}
cd "$DIR" || exit
b=$EPOCHREALTIME
timed login
timed pull
timed up
timed after
timed health
e=$EPOCHREALTIME
echo "span ${b/./} ${e/./}"
