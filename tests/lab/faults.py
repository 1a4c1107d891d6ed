"""Faults: commands that are stopped half way, a host that is hurt from outside, and what must hold after all of it."""

from __future__ import annotations

import base64
import json
import re
import secrets
import signal
import subprocess
import threading
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deploy_lib.config import load
from deploy_lib.layout import METRICS
from lab import hosts

from .changes import restart_engine, until
from .conftest import ROOT, Host, Outcome, command, environment

SERVICES = {"db", "backend", "gateway", "prometheus", "node-exporter", "grafana", "jaeger", "nfs-server"}
HOME = "/opt/ktrdr-core"
NO_DATABASE = "sha-000000c"
"""An image that is healthy and fails its probe."""

SETTLED_SECONDS = 150
"""A lock that lapses, a switch that goes back, containers that turn healthy: all of it takes no longer."""


class Command:
    """A command under way, followed line by line."""

    def __init__(self, *arguments: str, root: Path = ROOT) -> None:
        self.process = subprocess.Popen(
            ["invoke", *arguments],
            cwd=root,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # Who runs the tests in the background has them ignore Ctrl-C, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.said = ""
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.said += line
                self._news.notify_all()

    def until(self, sign: str, times: int = 1) -> None:
        with self._news:
            seen = self._news.wait_for(lambda: self.said.count(sign) >= times, 120)
        assert seen, f"{sign!r} did not come: {self.said}"

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It does not go on meanwhile: from the last health to the verdict it takes less time than most faults do."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def end(self, seconds: float = 240) -> int:
        code = self.process.wait(seconds)
        self._reader.join(10)
        assert not re.search("^Traceback", self.said, re.MULTILINE), self.said
        return code


@dataclass
class Bench:
    """The core host with a row in its database, about to be hurt."""

    core: Host
    get: Callable[[int, str], Any]
    hurt: list[Callable[[], object]] = field(default_factory=list)

    # --- the host ------------------------------------------------------------------------------------------

    @contextmanager
    def stuck(self, words: str, program: str = "docker") -> Iterator[None]:
        """Holds calls of a program on the host whose arguments contain these, until the block ends."""
        self.core.sh(
            f"mkdir -p /tmp/fault && touch /tmp/fault/hold && cat > /tmp/fault/{program} <<'X'\n"
            f'#!/bin/sh\ncase " $* " in *" {words} "*)\n'
            "  if [ -e /tmp/fault/hold ]; then touch /tmp/fault/reached.$$; fi\n"
            "  while [ -e /tmp/fault/hold ]; do sleep 0.05; done;;\n"
            f'esac\nexec /usr/bin/{program} "$@"\nX\n'
            f"chmod +x /tmp/fault/{program} && ln -sf /tmp/fault/{program} /usr/local/bin/{program}"
        )
        try:
            yield
        finally:
            self.release()

    def reached(self, times: int = 1) -> None:
        """Waits until so many of these calls have come."""
        count = "ls /tmp/fault | grep -c reached; true"
        until(lambda: int(self.core.sh(count)) >= times, "it was not called so")

    def release(self) -> None:
        self.core.sh(
            "rm -f /tmp/fault/hold /tmp/fault/reached.*; find /usr/local/bin -lname '/tmp/fault/*' -delete"
        )

    def forget(self) -> None:
        """Removes the images that no container uses, so that there is something to pull."""
        self.core.sh(
            "used=$(docker ps -aq | xargs docker inspect -f '{{.Image}}' | sort -u)\n"
            "for i in $(docker images -q --no-trunc | sort -u); do\n"
            '  case "$used" in *$i*) ;; *) docker rmi -f $i;; esac\ndone >/dev/null'
        )

    def cut(self) -> None:
        """Ends the session on the host's side: the peer is told at once."""
        self.core.sh("pkill -KILL -f '^sshd-session: root' || pkill -KILL -f '^sshd: root'")

    def silence(self) -> None:
        """The network between the command and the host loses everything from now on; new connections work."""
        ports = self.core.sh("ss -Htn state established '( sport = :22 )' | awk '{print $4}' | sed 's/.*://'")
        assert ports.split()
        for port in ports.split():
            for chain, way in (("INPUT", "--sport"), ("OUTPUT", "--dport")):
                self.core.sh(f"iptables -w -I {chain} -p tcp {way} {port} -j DROP")
                self.hurt.append(
                    lambda c=chain, w=way, p=port: self.core.sh(f"iptables -w -D {c} -p tcp {w} {p} -j DROP")
                )

    def reboot(self) -> None:
        """As when the power fails and comes back."""
        name = self.core.lab.container("core")
        hosts.build.run("kill", name)
        hosts.build.run("start", name)
        until(lambda: hosts.host_answers(self.core.lab, "core"), "the host did not come back", 90)

    def restart_engine(self) -> None:
        restart_engine(self.core.sh)

    def free_ports(self) -> None:
        """Restarts an engine that holds a port for a container that is gone, as one that was killed sometimes does."""
        addresses = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        lost = self.core.sh(
            f"known=$(docker ps -q | xargs -r docker inspect -f '{addresses}')\n"
            "ps -eo args | sed -n 's/.*docker-proxy .*-container-ip \\([0-9.]*\\).*/\\1/p' | sort -u |\n"
            'while read -r address; do echo "$known" | grep -qwF "$address" || echo "$address"; done'
        )
        if lost.strip():
            self.restart_engine()

    @contextmanager
    def small(self, directory: str, size: str) -> Iterator[None]:
        """A directory with its content on a disk of this size; what it has in the end stays."""
        copy = "/tmp/fault-copy"
        self.core.sh(
            f"cp -a {directory} {copy} && mount -t tmpfs -o size={size} tmpfs {directory} && "
            f"cp -a {copy}/. {directory}/ && rm -rf {copy}"
        )
        try:
            yield
        finally:
            self.core.sh(
                f"cp -a {directory} {copy} && umount -l {directory} && find {directory} -mindepth 1 -delete && "
                f"cp -a {copy}/. {directory}/; rm -rf {copy}"
            )

    @contextmanager
    def stopped(self, *names: str) -> Iterator[None]:
        """Some of the lab's own containers, away."""
        containers = [self.core.lab.container(name) for name in names]
        hosts.build.run("stop", "-t", "1", *containers)
        try:
            yield
        finally:
            hosts.build.run("start", *containers)
            hosts.await_ready(self.core.lab)

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """One of the lab's own containers, which answers nothing."""
        hosts.build.run("pause", self.core.lab.container(name))
        try:
            yield
        finally:
            hosts.build.run("unpause", self.core.lab.container(name))

    # --- what it says ----------------------------------------------------------------------------------------

    def history(self) -> list[dict[str, Any]]:
        outcome = command("invoke", "history", "--json", "--node", "core", "--tail", "60")
        assert outcome.code == 0, outcome.err
        events: list[dict[str, Any]] = outcome.core["events"]
        return events

    def kinds(self, since: int) -> list[str]:
        """What happened after so many events."""
        return self.core.kinds(since)

    def count(self) -> int:
        return int(self.core.sh(f"cat {HOME}/.deploy/history.jsonl 2>/dev/null | wc -l"))

    def version(self) -> str:
        """What the API says it is; "" when it does not answer."""
        try:
            answer = self.get(8000, "/api/v1/health")
        except (urllib.error.URLError, OSError, ValueError):
            return ""
        return str(answer["version"]) if answer["database"] == "ok" else ""

    def settle(self) -> None:
        """Waits until nobody holds a lock on the host: a switch that is left to itself goes back."""
        locks = f"{HOME}/.deploy/lock", f"{HOME}/.deploy/switch.lock"
        free = " && ".join(f"{{ [ ! -e {lock} ] || flock -n {lock} true; }}" for lock in locks)
        until(lambda: "free" in self.core.sh(f"{free} && echo free", check=False), "locked", SETTLED_SECONDS)

    # --- what holds after every fault ------------------------------------------------------------------------

    def invariants(self, tag: str) -> None:
        """The host runs this release wholly and healthily, its record agrees, nothing is held, lost or left behind."""
        self.settle()
        events = self.history()
        aside = ("aborted", "backup", "restoring", "restored", "restore-failed", "restore-reverted")
        switches = [e["kind"] for e in events if e["kind"] not in aside]
        assert switches[-1] != "started", "a release has no end"
        recorded = [e for e in events if e["kind"] in ("proven", "adopted")][-1]["release"]
        assert recorded["tag"] == tag
        assert switches[-1] in ("proven", "reverted", "adopted")
        until(lambda: self.version() == tag, f"the API does not answer as {tag}", SETTLED_SECONDS)
        until(self.healthy, "not all containers turned healthy", SETTLED_SECONDS)
        ran = self.running()
        # What somebody else has started, and is as it is to be, keeps the name of its image.
        told = {**recorded["images"], **recorded.get("as_started", {})}
        assert {service: image for service, (image, _) in ran.items()} == told
        sums = self.core.sh(f"cd {HOME} && sha256sum {' '.join(recorded['files'])}").splitlines()
        assert {line.split("  ")[1]: line.split("  ")[0] for line in sums} == recorded["files"]
        looked = command("invoke", "status", "--node", "core", "--json")
        assert (looked.code, looked.core["drift"]) == (0, []), looked.err
        assert "before the fault" in self.core.sql("SELECT word FROM fault")
        self.clean()

    def measured(self) -> str:
        """The newest event, as the host's metrics tell it."""
        text = self.core.sh(f"grep '^deploy_last_outcome.* 1$' {HOME}/{METRICS}")
        (kind,) = re.findall(r'outcome="(\w+)"', text)
        return str(kind)

    def running(self) -> dict[str, tuple[str, str]]:
        """Image and health by service; no service may have two containers, and no one-off may be left."""
        shown = self.core.sh(
            "docker ps -aq --filter label=com.docker.compose.project=ktrdr-core | xargs -r docker inspect --format "
            """'{{index .Config.Labels "com.docker.compose.service"}} {{.Config.Image}} """
            """{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}'"""
        )
        lines = [line.split() for line in shown.splitlines()]
        found = {service: (image, health) for service, image, health in lines}
        assert len(found) == len(lines), shown
        return found

    def healthy(self) -> bool:
        found = self.running()
        return set(found) == SERVICES and {health for _, health in found.values()} == {"healthy"}

    def clean(self) -> None:
        """No secret lies about on the host, and nothing of ours in its memory but the log."""
        values = [v for k, v in json.loads(self.core.lab.secrets.read_text()).items() if k != "db_username"]
        planted = secrets.token_hex(16)
        self.core.sh(f"mkdir -p /tmp/fault && echo {planted} > /tmp/fault/planted")
        # As it is, in a URL, by itself in base64, and as Docker keeps a login.
        login = f"{load(ROOT, 'lab').registry.username}:"
        forms = {planted} | {
            form
            for v in values
            for form in (
                v,
                quote(v, safe=""),
                *(base64.b64encode(t.encode()).decode() for t in (v, login + v)),
            )
        }
        where = "grep -rlFf - / --exclude-dir=proc --exclude-dir=sys --exclude-dir=docker -s; true"
        patterns = ("\n".join(sorted(forms)) + "\n").encode()
        found = hosts.execute(self.core.lab, "core", "sh", "-c", where, stdin=patterns)
        assert found.split() == ["/tmp/fault/planted"]
        left = "find /run /dev/shm -path '*ktrdr*' ! -path '*/ktrdr-deploy-*' -o -path '*/ktrdr-deploy-*/*' ! -name log; ls /root/.docker 2>/dev/null; true"
        until(lambda: self.core.sh(left) == "", "something is left in memory")
        assert self.core.sh(f"ls -d {HOME}/.deploy/verdict 2>/dev/null; true") == ""


def again(*arguments: str, root: Path = ROOT) -> Outcome:
    """The same command once more, plainly."""
    outcome = command("invoke", *arguments, "--json", root=root)
    assert outcome.code == 0, outcome.err
    return outcome


def going_back(bench: Bench) -> Command:
    """A deployment whose image fails its probe, when `up` of the release before is about to run.

    To be called while `up` is held; both are then as the block has them.
    """
    command = Command("deploy-core", "--tag", NO_DATABASE)
    bench.reached()
    bench.core.sh("rm /tmp/fault/hold")
    command.until(" back ")
    bench.core.sh("touch /tmp/fault/hold; rm -f /tmp/fault/reached.*")
    bench.reached()
    return command


def edit(path: Path, old: str, new: str) -> None:
    """Changes a file of a checkout; what is to be changed has to be there."""
    text = path.read_text()
    assert old in text, f"{old!r} is not in {path}"
    path.write_text(text.replace(old, new))
