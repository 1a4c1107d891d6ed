"""Hosts as they are: each deploys, fails, goes back and is rolled back, or is refused by name before anything is changed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import hosts
from lab.layout import Lab

from .changes import until
from .conftest import FIRST, SECOND, Outcome
from .projects import HEAD, HOST, NODE, Project, project

full = pytest.mark.full

STACK = """
become = {become}

[secrets.PRECIOUS]
field = "precious"

[stacks.shape]
compose = "compose.yml"
env_file = "shape.env"
healthy_timeout = 20
"""

COMPOSE = """\
name: shape
services:
  web:
    image: "${{IMAGE_REGISTRY}}/ktrdr-backend:${{IMAGE_TAG}}"
    entrypoint: [{entrypoint}]
    stop_grace_period: 1s
    healthcheck: {{ test: [CMD, "true"], interval: 1s }}
    environment: {{ WORD: "${{WORD}}" }}
    secrets: [precious]
secrets:
  precious:
    environment: PRECIOUS
"""

DROP_IN = "/etc/ssh/sshd_config.d/shape.conf"

USER = """
id op >/dev/null 2>&1 || useradd -m -p '*' -s /bin/sh op
install -d -o op -m 700 /home/op/.ssh
install -o op -m 600 /etc/lab/authorized_keys /home/op/.ssh/authorized_keys
install -d -o op /opt/shape
"""

GONE = f"""
rm -f {DROP_IN}; pkill -HUP -o -x sshd
[ ! -e /usr/bin/docker.away ] || mv /usr/bin/docker.away /usr/bin/docker
if id op >/dev/null 2>&1; then
  pkill -KILL -u op; pkill -KILL -x rootlesskit
  until ! pgrep -u op >/dev/null; do sleep 0.1; done
  rm -rf --one-file-system /run/op /home/op/.local /home/op/.docker
  userdel -r op >/dev/null 2>&1
fi
rm -rf /opt/tools /etc/sudoers.d/op; rm -f /run/other.sock /etc/nologin
true
"""


@dataclass(frozen=True)
class Shape:
    """One kind of host.

    Attributes:
        prepare: shell text that root runs on the host.
        needs: Debian's packages.
        sshd: lines of sshd_config, for whoever logs in.
        user: who logs in.
        become: see deploy.toml.
        shared: nothing can log in but a session that the operator has opened (ControlPath).
        docker: how the stack's engine is asked, by root on the host.
        refused: what is named, where nothing is deployed.
    """

    prepare: str = ":"
    needs: str = ""
    sshd: tuple[str, ...] = ()
    user: str = "op"
    become: bool = False
    shared: bool = False
    docker: str = "docker"
    refused: str = ""


GROUP = "usermod -aG docker op\n"
"""Docker without root."""

CHATTER = "echo '=== Welcome ==='; echo '{}'; echo oh >&2; printf 'no line end'"

ROOTLESS = """
mkdir -p /dev/net; [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200; chmod 666 /dev/net/tun
install -d -o op -m 700 /run/op
install -d -o op /home/op/.config /home/op/.config/docker
cp -r /etc/docker/daemon.json /etc/docker/certs.d /home/op/.config/docker/
cat > /home/op/engine <<'X'
export XDG_RUNTIME_DIR=/run/op HOME=/home/op PATH=/usr/share/docker.io/contrib:/usr/sbin:/usr/bin:/sbin:/bin
exec dockerd-rootless.sh >/home/op/engine.log 2>&1
X
setsid su op -s /bin/sh -c "sh /home/op/engine" </dev/null >/dev/null 2>&1 &
su op -s /bin/sh -c "docker context create rootless --docker host=unix:///run/op/docker.sock && docker context use rootless" >/dev/null
n=0; until su op -s /bin/sh -c "docker version" >/dev/null 2>&1; do
  n=$((n+1)); [ $n -lt 120 ] || { tail -5 /home/op/engine.log; exit 1; }; sleep 0.5
done
"""

CONTEXT = """
ln -s /var/run/docker.sock /run/other.sock; setfacl -m u:op:rw /var/run/docker.sock 2>/dev/null || usermod -aG docker op
su op -s /bin/sh -c "docker context create other --docker host=unix:///run/other.sock && docker context use other" >/dev/null
"""

BUSYBOX = """
mkdir -p /opt/tools; cp /usr/bin/busybox /opt/tools/busybox
for x in $(/opt/tools/busybox --list); do [ $x = busybox ] || ln -s busybox /opt/tools/$x; done
"""

SHAPES: dict[str, Shape] = {
    "a group, and an sshd that allows little": Shape(
        GROUP + f"printf '%s\\n' \"{CHATTER}\" > /home/op/.profile; echo 'exec bash --login -c \"$SSH_ORIGINAL_COMMAND\"' > /home/op/shell",
        sshd=("MaxSessions 3", "PermitTTY no", "Banner /etc/hostname", "AllowTcpForwarding no", "ForceCommand sh /home/op/shell"),
    ),
    "fish": Shape(GROUP + f"mkdir -p /home/op/.config/fish; printf '%s\\n' \"{CHATTER}\" > /home/op/.config/fish/config.fish; chsh -s /usr/bin/fish op", "fish"),
    "zsh": Shape(GROUP + f"printf '%s\\n' \"{CHATTER}\" > /home/op/.zshenv; chsh -s /usr/bin/zsh op", "zsh"),
    "csh": Shape(GROUP + "echo 'echo \"=== Welcome ===\"' > /home/op/.cshrc; chsh -s /usr/bin/tcsh op", "tcsh"),
    "sudo": Shape("chown root /opt/shape; echo 'op ALL=(root) NOPASSWD: ALL' > /etc/sudoers.d/op", "sudo", become=True),
    "rootless": Shape(ROOTLESS, "rootlesskit uidmap slirp4netns", docker="DOCKER_HOST=unix:///run/op/docker.sock docker"),
    "context": Shape(CONTEXT),
    "uutils": Shape(GROUP, "rust-coreutils", sshd=("SetEnv PATH=/usr/lib/cargo/bin/coreutils:/usr/bin:/bin",)),
    "a session that is open": Shape(GROUP, sshd=("MaxSessions 3",), shared=True),
    "outside of PATH": Shape(
        GROUP + "mkdir -p /opt/tools /opt/bin; cp /usr/bin/docker /opt/bin/docker; mv /usr/bin/docker /usr/bin/docker.away",
        sshd=("SetEnv PATH=/usr/bin:/bin",), docker="/opt/bin/docker",
    ),
    "no sshd of its own": Shape(GROUP),
    "MaxSessions 1": Shape(GROUP, sshd=("MaxSessions 1",), refused="MaxSessions"),
    "MaxSessions 2": Shape(GROUP, sshd=("MaxSessions 2",), refused="MaxSessions"),
    "BusyBox": Shape(BUSYBOX + GROUP, "busybox-static", sshd=("SetEnv PATH=/opt/tools:/usr/bin:/bin",), refused="BusyBox"),
    "BusyBox as login shell": Shape(
        BUSYBOX + GROUP + "usermod -s /opt/tools/sh op", "busybox-static",
        sshd=("SetEnv PATH=/opt/tools:/usr/bin:/bin",), refused="BusyBox",
    ),
    "Podman": Shape(
        GROUP + "mkdir -p /opt/tools; printf '#!/bin/sh\\nexec /usr/bin/podman \"$@\"\\n' > /opt/tools/docker; chmod 755 /opt/tools/docker",
        sshd=("SetEnv PATH=/opt/tools:/usr/bin:/bin",), refused="Podman",
    ),
    "snap": Shape(
        GROUP + "mkdir -p /opt/tools/snap/bin; cp /usr/bin/docker /opt/tools/snap/bin/",
        sshd=("SetEnv PATH=/opt/tools/snap/bin:/usr/bin:/bin",), refused="snap",
    ),
    "no group": Shape(refused="usermod -aG docker"),
    "a command that is forced": Shape(GROUP, sshd=("ForceCommand echo no",), refused="ForceCommand"),
    "a shell that lets nobody in": Shape(GROUP + "usermod -s /usr/sbin/nologin op", refused="chsh -s /bin/sh"),
    "transfers alone": Shape(GROUP, sshd=("ForceCommand internal-sftp",), refused="ForceCommand internal-sftp"),
    "sudo that asks": Shape("echo 'op ALL=(root) ALL' > /etc/sudoers.d/op", "sudo", become=True, refused="NOPASSWD"),
}  # fmt: skip

QUICK = ("a group, and an sshd that allows little", "MaxSessions 1")


@dataclass
class Trial:
    """The stack on a host of one shape."""

    project: Project
    shape: Shape

    def host(self, script: str, *, check: bool = True) -> str:
        return self.project.sh(script, check=check)

    def write(self, word: str, *, works: bool = True) -> None:
        entrypoint = "sleep, infinity" if works else '"false"'
        self.project.write(
            {"compose.yml": COMPOSE.format(entrypoint=entrypoint), "shape.env": f"WORD={word}\n"}
        )

    def run(self, *words: str) -> Outcome:
        return self.project.run(*words)

    def deploy(self) -> Outcome:
        return self.project.deploy("--tag", FIRST)

    def word(self) -> str:
        form = "{{range .Config.Env}}{{println .}}{{end}}"
        found = self.host(f"{self.shape.docker} inspect --format '{form}' shape-web-1 | sed -n s/^WORD=//p")
        return found.strip()

    def state(self) -> str:
        # Who last held the lock is noted beside it.
        return self.host(
            "docker ps -aq --no-trunc; find /opt/shape ! -name lock.owner | sort; docker images -q | sort"
        )


FEW = {
    "status": 1,
    "history": 1,
    "logs": 1,
    f"preflight --tag {SECOND}": 3,
    f"deploy-shape --tag {SECOND}": 3,
    f"deploy-shape --tag {SECOND} --skip-validation": 3,
    f"deploy-shape --tag {SECOND} --dry-run": 3,
    "rollback": 3,
    "rollback --skip-validation": 3,
    "rotate-secrets": 3,
    "prune": 2,
}
"""The sessions that commands need at once, at a host that sends logs and files to nobody else."""


def sshd(lab: Lab, *lines: str) -> None:
    text = "\n".join(["Match User op", "AuthorizedKeysFile .ssh/authorized_keys", *lines])
    hosts.execute(
        lab,
        NODE,
        "sh",
        "-c",
        f"cat > {DROP_IN} && sshd -t && pkill -HUP -o -x sshd",
        stdin=f"{text}\n".encode(),
    )


@contextmanager
def opened(directory: Path, config: str) -> Iterator[None]:
    """A session that the operator has opened; from then on ssh_config has no key."""
    own, path = directory / "ssh_config", directory / "open"
    command = ["ssh", "-F", str(own), "-MN", "-S", str(path), HOST]
    # sshd has just been told to read its configuration again, and for a moment it does not listen.
    login = ["ssh", "-F", str(own), HOST, "true"]
    until(lambda: subprocess.run(login, capture_output=True).returncode == 0, "op cannot log in")
    with subprocess.Popen(command) as master:
        until(path.exists, "ssh opened no session")
        text = re.sub("IdentityFile .*", f"IdentityFile none\n    ControlPath {path}", config)
        own.write_text(text)
        try:
            yield
            assert master.poll() is None, "the operator's session has ended"
        finally:
            master.terminate()


@pytest.fixture
def trial(lab: Lab, backend_image: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Trial]:
    shape = SHAPES[request.param]
    with project(lab, tmp_path, "shape") as made:
        made.value("precious")
        made.sh(GONE)
        if shape.needs:
            made.sh(
                f"dpkg -s {shape.needs} >/dev/null 2>&1 || {{ apt-get -qq update && apt-get -qq install -y --no-install-recommends {shape.needs}; }} >/dev/null"
            )
        made.sh(USER)
        config = lab.ssh_config.read_text().replace("User root", "User op")
        made.write({"ssh_config": config})
        made.configure(
            STACK.format(become=str(shape.become).lower()), HEAD.replace("{ssh_config}", "ssh_config")
        )
        trial = Trial(made, shape)
        trial.write("one")
        try:
            made.sh(f"set -e\n{shape.prepare}")
            sshd(lab, *shape.sshd)
            with opened(tmp_path, config) if shape.shared else nullcontext():
                yield trial
        finally:
            made.sh(GONE)


def parameters(*, refused: bool) -> list[object]:
    return [
        pytest.param(name, id=name, marks=[] if name in QUICK else [full])
        for name, shape in SHAPES.items()
        if bool(shape.refused) is refused
    ]


@pytest.mark.parametrize("trial", parameters(refused=False), indirect=True)
def test_it_deploys_fails_and_goes_back(trial: Trial) -> None:
    done = trial.deploy()
    assert done.code == 0, done.err
    assert trial.word() == "one"
    trial.write("broken", works=False)
    failed = trial.deploy()
    assert failed.code == 10, failed.err
    assert trial.word() == "one"
    trial.write("two")
    done = trial.deploy()
    assert done.code == 0, done.err
    assert trial.word() == "two"
    back = trial.run("rollback", "--json")
    assert back.code == 0, back.err
    assert trial.word() == "one"
    again = trial.run("status")
    assert again.code == 0, again.out + again.err


@pytest.mark.parametrize("trial", parameters(refused=True), indirect=True)
def test_it_is_refused_by_name_before_anything_is_changed(trial: Trial) -> None:
    before = trial.state()
    for words in (["preflight", "--tag", FIRST], ["deploy-shape", "--tag", FIRST]):
        refused = trial.run(*words)
        assert refused.code == 3, refused.err
        assert trial.shape.refused in refused.out + refused.err
    assert trial.state() == before


@full
@pytest.mark.parametrize("trial", ["no sshd of its own"], indirect=True)
def test_each_command_works_with_few_sessions_or_is_refused_by_the_settings_name(trial: Trial) -> None:
    for word in ("one", "two"):
        trial.write(word)
        done = trial.deploy()
        assert done.code == 0, done.err
    trial.write("three")
    trial.project.renew("precious")
    for allowed in (1, 2):
        sshd(trial.project.lab, f"MaxSessions {allowed}")
        before = trial.state()
        for words, needed in FEW.items():
            found = trial.run(*words.split())
            if needed <= allowed:
                assert found.code == 0, words + found.err
            else:
                assert found.code == 3, words + found.err
                assert "MaxSessions" in found.out + found.err, words
            assert trial.state() == before, words
    assert trial.word() == "two"
