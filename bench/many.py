"""Many hosts without Docker: how much time of this machine each further host takes.

All are sshd processes in one container of the lab's image of a host, on the loopback of this machine, with a program in the
place of `docker` that answers as an engine with nothing on it.
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from deploy_lib.errors import DeployError
from lab import docker, images
from lab.layout import free_ports
from lab.settings import RELEASE

from . import process
from .contenders import THEIRS
from .place import HERE, Place

COUNTS = (1, 4, 16, 48)

_SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {work}/host
AuthorizedKeysFile {work}/authorized
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
MaxStartups 200
MaxSessions 50
SetEnv PATH={work}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
Subsystem sftp internal-sftp
"""

_CLIENT = """\
Host n{number}
  HostName 127.0.0.1
  Port {port}
  HostKeyAlias n{number}
  User root
  IdentityFile {work}/id
  IdentitiesOnly yes
  UserKnownHostsFile {work}/known
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
"""

_STACK = """\
[stacks.one]
compose = "compose.yml"

[environments.many]
image_registry = "registry.invalid/x"
default_tag = "latest"
ssh_config = "ssh_config"
"""

_NODE = """
[environments.many.nodes.n{number}]
host = "n{number}"
stack = "one"
directory = "{work}/hosts/{number}"
"""

_FABRIC = """\
import sys
from fabric import Config, ThreadingGroup
hosts = [f"n{i}" for i in range(int(sys.argv[1]))]
ThreadingGroup(*hosts, config=Config(runtime_ssh_path="ssh_config")).run("true", hide=True, in_stream=False)
"""

_PYINFRA = """\
import os
from pathlib import Path
_data = {"ssh_config_file": str(Path("ssh_config").resolve()), "ssh_strict_host_key_checking": "no"}
hosts = [(f"n{i}", _data) for i in range(int(os.environ["BENCH_HOSTS"]))]
"""


class Hosts:
    """As many hosts as the largest case needs; started once, and ended with the benchmark."""

    def __init__(self, place: Place) -> None:
        self.work = place.folder / "many"
        self._container = f"{place.lab.prefix}-bench-{secrets.token_hex(3)}"
        ports = free_ports(max(COUNTS), set(place.lab.ports.values()))
        self._write(ports)
        start = f"mkdir -p /run/sshd; for f in {self.work}/sshd/*; do /usr/sbin/sshd -f $f || exit; done; sleep 7200"
        options = ("--rm", "--init", "--network", "host", "-v", f"{self.work}:{self.work}")
        image = f"{images.HOST}:{RELEASE}"
        docker.run("run", "-d", "--name", self._container, *options, "--entrypoint", "sh", image, "-c", start)
        _await(ports[-1])

    def end(self) -> None:
        """Removes the container."""
        subprocess.run([docker.docker(), "rm", "-f", self._container], capture_output=True)

    def _write(self, ports: list[int]) -> None:
        work = self.work
        for name in ("bin", "sshd", "hosts"):
            (work / name).mkdir(parents=True)
        for name in ("host", "id"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(work / name)], check=True
            )
        shutil.copy(work / "id.pub", work / "authorized")
        shutil.copy(HERE / "stub_docker.sh", work / "bin" / "docker")
        (work / "bin" / "docker").chmod(0o755)
        key = " ".join((work / "host.pub").read_text().split()[:2])
        known, client = [], []
        for number, port in enumerate(ports):
            (work / "hosts" / str(number)).mkdir()
            (work / "sshd" / str(number)).write_text(_SSHD.format(port=port, work=work))
            client.append(_CLIENT.format(number=number, port=port, work=work))
            known.append(f"n{number} {key}\n")
        (work / "known").write_text("".join(known))
        (work / "ssh_config").write_text("".join(client))
        nodes = "".join(_NODE.format(number=number, work=work) for number in range(len(ports)))
        (work / "deploy.toml").write_text(_STACK + nodes)
        compose = {"name": "one", "services": {"web": {"image": "registry.invalid/x/web"}}}
        (work / "compose.yml").write_text(json.dumps(compose))
        (work / "tasks.py").write_text(
            "from pathlib import Path\nfrom deploy_lib import collection\nns = collection(Path(__file__).parent)\n"
        )
        (work / "group.py").write_text(_FABRIC)
        (work / "inventory.py").write_text(_PYINFRA)


def _await(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise DeployError("the hosts without Docker do not come up") from None
            time.sleep(0.2)


_started: dict[Path, Hosts] = {}


def end(place: Place) -> None:
    """Ends the hosts, if they were started."""
    if hosts := _started.pop(place.folder, None):
        hosts.end()


def asked(count: int) -> Callable[[Place, str], process.Took]:
    """A run that looks at so many hosts: `invoke status`; the others run `true`, which is all that they offer in one call."""

    def run(place: Place, who: str) -> process.Took:
        hosts = _started.get(place.folder)
        if hosts is None:
            hosts = _started[place.folder] = Hosts(place)
        env = {**place.env, "DEPLOY_ENV": "many", "BENCH_HOSTS": str(count)}
        command: list[str | Path]
        if who == "ours":
            chosen = [word for number in range(count) for word in ("--node", f"n{number}")]
            command = [*place.ours("status"), *chosen]
        elif who == "fabric":
            command = [THEIRS / "python", "group.py", str(count)]
        else:
            command = [THEIRS / "pyinfra", "-y", "inventory.py", "exec", "--", "true"]
        return process.run(command, hosts.work, env, place.log)

    return run
