"""A host with a rolling service behind HAProxy, for functions that are run in a real `sh`: a `docker` that keeps its containers
in a directory, and can be made to end whoever calls it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

DOCKER = """#!/bin/sh
# A container is a file: its service, state, hash, address, health and what it needs.
n=$(($(cat "$FAKE/number" 2>/dev/null || echo 0) + 1))
echo $n > "$FAKE/number"
echo "$*" >> "$FAKE/calls"
# Whoever runs this ends in the middle, this included.
[ "$n" != "${KILL_AT:-}" ] || kill -KILL -"$TOP" 0
if [ -s "$FAKE/refuse" ] && [ "$(cat "$FAKE/refuse")" = "$n" ]; then exit 1; fi
for last; do :; done
each() { for f in $(ls -r "$FAKE/c"); do id=$f; read -r service state hash ip health needs < "$FAKE/c/$f"; "$@"; done; }
put() { echo "$service $state $hash $ip $health $needs" > "$FAKE/c/$id"; }
listed() {
  case "$wanted" in ''|"$service") ;; *) return;; esac
  [ -z "$running" ] || [ "$state" = running ] || return
  case $last in
    *ID*State*Label*) echo "$id $state $hash";;
    *State*Label*) echo "$state $hash";;
    *State*) echo "$state";;
    *) echo "$id";;
  esac
}
make() {
  count=0
  counted() { [ "$service" != web ] || count=$((count + 1)); }
  each counted
  while [ $count -lt "$1" ]; do
    next=$(($(cat "$FAKE/next" 2>/dev/null || echo 10) + 1))
    echo $next > "$FAKE/next"
    id=c$next service=web state=created hash=$(cat "$FAKE/want") ip=10.0.0.$next health=none needs=db:service_started:false
    put
    count=$((count + 1))
  done
}
begin() {
  case " $names " in *" $service "*) ;; *) return;; esac
  [ "$state" = running ] || { state=running health=$(cat "$FAKE/health/$hash" 2>/dev/null || echo healthy); put; }
}
case $1 in
  version) exit 0;;
  ps)
    wanted= running=
    for a; do case $a in *service=*) wanted=${a##*service=};; status=running) running=1;; esac; done
    each listed;;
  inspect)
    form=$3
    shift 3
    for id; do
      [ -e "$FAKE/c/$id" ] || { missing=1; continue; }
      read -r service state hash ip health needs < "$FAKE/c/$id"
      case $form in
        *StopTimeout*) cat "$FAKE/grace" 2>/dev/null || echo '<nil>';;
        *depends_on*PortBindings*) printf '%s\\n' "$needs"; cat "$FAKE/port" 2>/dev/null;;
        *Networks*) printf '= %s\\nown-%s 172.16.0.1 \\nnet %s \\n\\n' "$id" "$id" "$ip";;
        *State.Status*)
          r=$(cat "$FAKE/restarts/$hash" 2>/dev/null || echo 0)
          echo "$state $health $r 7"
          # It goes on crashing.
          [ "$r" = 0 ] || echo $((r + 1)) > "$FAKE/restarts/$hash";;
      esac
    done
    [ -z "${missing:-}" ];;
  stop) id=$2; read -r service state hash ip health needs < "$FAKE/c/$id"; state=exited; put;;
  rm)
    read -r service state hash ip health needs < "$FAKE/c/$2"
    case $state in running|restarting) echo "cannot remove container: container is $state: stop it before"; exit 1;; esac
    rm "$FAKE/c/$2";;
  exec) FAKE=$FAKE sh "$FAKE/haproxy.sh";;
  compose)
    case "$*" in
      *'config --hash'*) printf 'web %s\\ndb d1\\ngateway g1\\n' "$(cat "$FAKE/want")";;
      *' up '*)
        names=${*##* up }
        t=${names##*--scale web=}; t=${t%% *}
        case $names in *--scale*--no-start*|*--no-start*--scale*) make "$t";; esac
        case $names in *--no-start*) ;; *) each begin;; esac;;
    esac;;
esac
"""

SCRIPT = """\
export TOP=$$
engine() { true; }
compose_up() { docker compose up -d "$@"; }
up() { compose_up "$@"; }
"""


class Rolled:
    """The host: "web" runs with the configuration "h1" as often as is said, behind a gateway with three free places."""

    def __init__(self, folder: Path, count: int = 1) -> None:
        self.folder = folder
        for name in ("c", "busy", "health", "refuses", "restarts"):
            (folder / name).mkdir()
        for number in range(count):
            self.container(f"c{number + 1}", "web", "running", "h1", f"10.0.0.{number + 1}")
        self.container("d1", "db", "running", "d1", "10.0.0.8")
        self.container("e1", "gateway", "running", "g1", "10.0.0.9")
        self.want("h1")
        (folder / "slots").write_text("".join(f"rolling r{n} 127.0.0.1 0 5\n" for n in range(1, 7)))
        (folder / "haproxy.sh").write_text((Path(__file__).parent / "gateways/haproxy.sh").read_text())
        (folder / "docker").write_text(DOCKER)
        (folder / "docker").chmod(0o755)

    def container(
        self, name: str, service: str, state: str, its_hash: str, address: str, health: str = "healthy"
    ) -> None:
        (self.folder / "c" / name).write_text(f"{service} {state} {its_hash} {address} {health} \n")

    def want(self, its_hash: str) -> None:
        """The files in place give "web" this configuration."""
        (self.folder / "want").write_text(its_hash)

    def tell(self, name: str, text: str = "") -> None:
        """Writes a file that its `docker` reads."""
        (self.folder / name).write_text(text)

    def run(
        self, functions: str, commands: str, shell: Sequence[str] = ("sh",), **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs these commands, with the functions, in a process group of their own."""
        (self.folder / "number").unlink(missing_ok=True)
        (self.folder / "calls").write_text("")
        given = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "FAKE": str(self.folder), **env}
        return subprocess.run(
            [*shell, "-c", f"{SCRIPT}\n{functions}\n{commands}"],
            env=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            start_new_session=True,
        )

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def containers(self, service: str = "web") -> dict[str, tuple[str, str]]:
        """By id: the hash of its configuration, and its state."""
        rows = {path.name: path.read_text().split() for path in sorted((self.folder / "c").iterdir())}
        return {name: (row[2], row[1]) for name, row in rows.items() if row[0] == service}

    def sends_to(self) -> list[str]:
        """The addresses that the gateway was told and sends to."""
        rows = [line.split() for line in (self.folder / "slots").read_text().splitlines()]
        return sorted(row[2] for row in rows if row[3] == "2" and row[4] == "4")

    def told(self) -> dict[str, str]:
        """By address that is no free place's: what the gateway was told of it."""
        rows = [line.split() for line in (self.folder / "slots").read_text().splitlines()]
        words = {"4": "ready", "12": "drain", "5": "maint"}
        return {row[2]: words[row[4]] for row in rows if row[2] != "127.0.0.1"}
