"""A host with one service whose data are a file, and a `docker` that runs the commands of its containers right here."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from deploy_lib.config import Backup
from deploy_lib.host.change import backup
from deploy_lib.host.change.backup import Order
from deploy_lib.host.change.lock import lock_script, me
from deploy_lib.plan.steps import new_order
from deploy_lib.release.backup import BackupFile, read_backup
from deploy_lib.release.release import Release
from deploy_lib.values import replace
from tests.unit import build

RELEASE = Release("r1", "sha-0000001", None, {}, {})

DOCKER = """#!/bin/sh
echo "$*" >> "$FAKE/calls"
case "$1" in
  ps)
    case "$*" in
      *service=db*) [ -e "$FAKE/down" ] || echo db1;;
      *service=web*) case "$2" in -aq) echo web1;; *) [ -e "$FAKE/webdown" ] || echo web1;; esac;;
      *) echo db1;;
    esac;;
  inspect) cat "$FAKE/mounts" 2>/dev/null; true;;
  volume) case "$2" in ls) echo v1;; *) cat "$FAKE/devices" 2>/dev/null; true;; esac;;
  exec)
    shift
    while :; do case $1 in -i) shift;; -e) export "$2"; shift 2;; *) break;; esac; done
    shift
    exec "$@";;
esac
"""


class Keeper:
    """A directory that stands for a host, with a lock that a test holds."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.data = folder / "data"
        self.data.write_text("whole: one")
        self.entry = Backup(
            name="rows",
            service="db",
            command=("cat", str(self.data)),
            check=("grep", "-q", "whole"),
            restore=(
                "sh",
                "-c",
                f"cat > {self.data}.new && grep -q whole {self.data}.new && mv {self.data}.new {self.data}",
            ),
            keep=2,
            timeout=20,
        )
        self.tool("docker", DOCKER)
        self.env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "FAKE": str(folder)}
        self.owner = me("a test")
        self.holder = subprocess.Popen(
            ["sh", "-c", lock_script(self.stack.directory, self.owner, 0, 5)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.env,
        )
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "locked\n"

    @property
    def stack(self) -> Any:
        return build.stack(str(self.home), backups=(self.entry,))

    @property
    def directory(self) -> Path:
        return self.home / ".deploy/backups"

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def tool(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def given(self, **changes: Any) -> None:
        """Changes the entry of deploy.toml."""
        self.entry = self.entry.model_copy(update=changes)

    def order(self, identity: str = "") -> Order:
        order = new_order(
            self.stack, self.entry, RELEASE, why="it's a test", image="h/db:1", command="backup"
        )
        return replace(order, file=replace(order.file, id=identity)) if identity else order

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-c", script], env=self.env, capture_output=True, text=True, timeout=60)

    def make(self, *orders: Order, token: str = "", prune: str = ":") -> subprocess.CompletedProcess[str]:
        wanted = orders or (self.order(),)
        return self.run(backup.make_script(self.stack, wanted, token or self.owner.token, prune))

    def made(self, *orders: Order) -> BackupFile:
        done = self.make(*orders)
        assert done.returncode == 0, done.stderr
        line = done.stdout.splitlines()[-1]
        return read_backup(line.removeprefix("=== made "))

    def left(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir()) if self.directory.exists() else []

    def kinds(self) -> list[str]:
        path = self.home / ".deploy/history.jsonl"
        return [json.loads(line)["kind"] for line in path.read_text().splitlines()] if path.exists() else []
