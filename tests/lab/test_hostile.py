"""Another user of the host, while somebody who is not root deploys: nothing that it plants is run, followed, read or changed."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy_lib.layout import KEEP
from lab import docker as build
from lab import hosts
from lab.layout import Lab

from .conftest import FIRST, SECOND, Host, Outcome, command
from .faults import until
from .trail import own_secrets, put

full = pytest.mark.full

HOME = "/opt/ktrdr-hostile"
BASE = "/tmp/mallory"
MALLORY = (Path(__file__).parent / "mallory.pl").read_bytes()
KINDS = ("file", "open", "directory", "link", "nest", "dangling", "hard", "fifo", "socket")
WATCHED = ("/dev/shm", "/run", "/tmp", "/var/tmp")

COMPOSE = {
    "name": "ktrdr-hostile",
    "services": {
        "holder": {
            "image": "${IMAGE_REGISTRY}/ktrdr-backend:${IMAGE_TAG}",
            "entrypoint": ["sleep", "1000"],
            "init": True,
            "secrets": ["precious"],
            "healthcheck": {"test": ["CMD", "true"], "interval": "1s"},
        }
    },
    "secrets": {"precious": {"environment": "PRECIOUS"}},
}

TOML = """
[secrets.PRECIOUS]
field = "precious"

[stacks.hostile]
compose = "compose/hostile.yml"
env_file = "compose/.env.hostile"
delivery = "compose"

[environments.lab.nodes.H]
host = "ktrdr-core.internal"
stack = "hostile"
directory = "/opt/ktrdr-hostile"
"""

USERS = f"""
useradd -m -p '*' -s /bin/sh -G docker deployer && useradd -m -p '*' mallory
install -d -o deployer -g deployer -m 700 /home/deployer/.ssh
install -o deployer -m 600 /etc/lab/authorized_keys /home/deployer/.ssh/authorized_keys
printf 'Match User deployer\\nAuthorizedKeysFile .ssh/authorized_keys\\n' > /etc/ssh/sshd_config.d/deployer.conf
pkill -HUP -o -x sshd
install -d -o deployer {HOME}
install -d -o mallory -m 777 {BASE} {BASE}/caught
for x in loot events rounds; do install -o mallory -m 666 /dev/null {BASE}/$x; done
for x in /home/deployer/canary /dev/shm/.canary /tmp/.canary; do
  echo sings > $x; chown deployer $x; chmod 644 $x
done
install -d -o deployer /home/deployer/nest /home/deployer/nest/ktrdr-hostile
for x in log switch.sh PRECIOUS docker-compose.yml; do
  echo sings | tee /home/deployer/nest/$x > /home/deployer/nest/ktrdr-hostile/$x
done
chown -R deployer /home/deployer/nest
"""

CANARIES = "cd /home/deployer && find nest canary /dev/shm/.canary /tmp/.canary -type f | sort | xargs sha256sum; find nest | sort"

GONE = f"""
docker compose -p ktrdr-hostile down -t 0
rm -rf {HOME} {BASE} /dev/shm/ktrdr-* /dev/shm/.canary /dev/shm/.bait /tmp/.canary /tmp/.bait
rm -f /etc/ssh/sshd_config.d/deployer.conf; pkill -HUP -o -x sshd
pkill -KILL -u deployer; pkill -KILL -u mallory
until ! pgrep -u deployer,mallory >/dev/null; do sleep 0.1; done
userdel -r deployer; userdel -r mallory
docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' {KEEP} | grep -- '-ktrdr-hostile[.]$' | xargs -r docker rmi
true
"""


@dataclass
class Hostile:
    """A stack that is deployed by a user who is not root, on a host that has another user."""

    root: Path
    core: Host
    values: dict[str, str]
    had: set[str] = field(default_factory=set)

    def run(self, *arguments: str) -> Outcome:
        return command("invoke", *arguments, "--node", "H", "--json", root=self.root)

    def deploy(self, tag: str) -> Outcome:
        return self.run("deploy-all", "--tag", tag)

    def rotate(self) -> Outcome:
        self.renew()
        return self.run("rotate-secrets")

    def renew(self) -> None:
        """Another value for the secret."""
        self.values["precious"] = f"precious-{secrets.token_hex(20)}"
        self.had.add(self.values["precious"])
        put(self.core.lab, self.values)

    def delivery(self, way: str) -> None:
        path = self.root / "deploy.toml"
        head, _, tail = path.read_text().partition("[stacks.hostile]")
        for other in ("compose", "memory"):
            tail = tail.replace(f'delivery = "{other}"', f'delivery = "{way}"')
        path.write_text(f"{head}[stacks.hostile]{tail}")

    def perl(self, user: str, *arguments: str) -> subprocess.Popen[str]:
        container = self.core.lab.container("core")
        line = [
            build.docker(),
            "exec",
            "-i",
            "-u",
            user,
            container,
            "perl",
            "/usr/local/bin/mallory",
            *arguments,
        ]
        return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @contextmanager
    def traced(self) -> Iterator[set[str]]:
        """The names that are made in what users share, while the block runs; they are there when it has ended."""
        names: set[str] = set()
        process = self.perl("root", "watch", *WATCHED)
        assert process.stdout is not None
        assert process.stdout.readline() == "watching\n"
        yield names
        names |= set(process.communicate("", timeout=30)[0].split("\n")) - {""}
        assert process.returncode == 0

    @contextmanager
    def planted(self, kind: str, names: set[str]) -> Iterator[None]:
        process = self.perl("mallory", "plant", kind, *sorted(names))
        assert process.stdout is not None
        assert process.stdout.readline().startswith("planted ")
        yield
        process.communicate("\n", timeout=30)

    @contextmanager
    def raced(self, names: set[str]) -> Iterator[None]:
        process = self.perl("mallory", "race", *sorted(names))
        yield
        process.communicate("", timeout=30)
        rounds = self.core.sh(f"tail -n 1 {BASE}/rounds")
        assert int(rounds) > 20, "it has hardly raced"

    def nothing_was_gained(self, canaries: str) -> None:
        events, loot = self.core.sh(f"cat {BASE}/events"), self.core.sh(f"cat {BASE}/loot")
        known = {value: name for name, value in self.values.items() if name != "db_username"}
        stolen = {known.get(v, "an older one") for v in (*self.had, *known) if v in loot or v in events}
        assert stolen == set(), "values were stolen"
        assert events == ""
        assert self.core.sh(f"ls {BASE}/caught") == ""
        assert self.core.sh(CANARIES) == canaries

    def runs(self, tag: str) -> None:
        """The release runs, with the newest value."""
        image, value = self.core.sh(
            "docker inspect -f '{{.Config.Image}}' ktrdr-hostile-holder-1; docker exec ktrdr-hostile-holder-1 cat /run/secrets/precious"
        ).split("\n")
        assert f":{tag}@" in image
        assert value == self.values["precious"]


@pytest.fixture
def hostile(checkout: Path, core: Host, lab: Lab, backend_image: str) -> Iterator[Hostile]:
    (checkout / "compose/hostile.yml").write_text(json.dumps(COMPOSE))
    (checkout / "compose/.env.hostile").write_text("")
    own = checkout / "deployer_config"
    own.write_text(lab.ssh_config.read_text().replace("User root", "User deployer"))
    path = checkout / "deploy.toml"
    path.write_text(path.read_text().replace(".lab/ssh_config", own.name) + TOML)
    core.sh(GONE)
    core.sh(USERS)
    hosts.execute(lab, "core", "sh", "-c", "cat > /usr/local/bin/mallory", stdin=MALLORY)
    login = ["ssh", "-F", str(own), "ktrdr-core.internal", "id -un"]
    until(lambda: subprocess.run(login, capture_output=True, text=True).stdout == "deployer\n", "no login")
    with own_secrets(lab) as values:
        hostile = Hostile(checkout, core, dict(values))
        hostile.renew()
        try:
            yield hostile
        finally:
            core.sh(GONE)


def names_of(hostile: Hostile) -> set[str]:
    """Every name that a deployment each way makes in what users share; the stack has its usual delivery in the end."""
    with hostile.traced() as names:
        for way, tag in (("memory", FIRST), ("compose", SECOND)):
            hostile.delivery(way)
            outcome = hostile.deploy(tag)
            assert outcome.code == 0, outcome.err
    found = {name for name in names if name.startswith("/dev/shm/")}
    assert "/dev/shm/ktrdr-secrets/ktrdr-hostile" in found, "the trace does not see what is made"
    return found


def refused(outcome: Outcome, *words: str) -> None:
    """Before a secret was sent anywhere: by the preflight, or by the script that takes the lock."""
    assert outcome.code == 3, outcome.err
    assert [word for word in words if word not in outcome.err] == []


def test_nothing_that_another_user_plants_gets_it_anything(hostile: Hostile) -> None:
    names = names_of(hostile)
    canaries = hostile.core.sh(CANARIES)
    with hostile.planted("file", names):
        outcome = hostile.deploy(FIRST)
    hostile.nothing_was_gained(canaries)
    assert outcome.code == 0, outcome.err
    hostile.runs(FIRST)
    with hostile.raced(names):
        for run, tag in (
            (lambda: hostile.deploy(SECOND), SECOND),
            (hostile.rotate, SECOND),
            (lambda: hostile.run("rollback"), FIRST),
        ):
            outcome = run()
            assert outcome.code == 0, outcome.err
            hostile.runs(tag)
        # Where a name is fixed, it is the other user's for the moment.
        hostile.delivery("memory")
        refused(hostile.deploy(FIRST), "/dev/shm/ktrdr-secrets")
    hostile.nothing_was_gained(canaries)
    hostile.runs(FIRST)

    # As it was found, so it is told; and what is told fixes it.
    with hostile.planted("nest", {"/dev/shm/ktrdr-secrets"}):
        outcome = hostile.deploy(FIRST)
        refused(outcome, "as root: rm /dev/shm/ktrdr-secrets")
    hostile.core.sh(f"chmod 775 {HOME} && chown mallory {HOME}/.deploy")
    outcome = hostile.deploy(FIRST)
    refused(outcome, f"chmod go-w {HOME}", f"{HOME}/.deploy belongs to mallory", f"chown -R deployer {HOME}")
    hostile.nothing_was_gained(canaries)


@full
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_thing_under_each_name_for_each_command(hostile: Hostile, kind: str) -> None:
    names = names_of(hostile)
    canaries = hostile.core.sh(CANARIES)
    for run, tag in (
        (lambda: hostile.deploy(FIRST), FIRST),
        (hostile.rotate, FIRST),
        (lambda: hostile.run("rollback"), SECOND),
    ):
        with hostile.planted(kind, names):
            outcome = run()
        assert outcome.code == 0, outcome.err
        hostile.runs(tag)
        hostile.nothing_was_gained(canaries)
    hostile.delivery("memory")
    with hostile.planted(kind, names):
        refused(hostile.deploy(SECOND), "/dev/shm/ktrdr-secrets")
    hostile.nothing_was_gained(canaries)
    hostile.runs(SECOND)
