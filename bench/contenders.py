"""Who takes part, and how each of them deploys a release."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy_lib.errors import DeployError

from . import process
from .described import describe
from .place import HERE, Place, execute

NAMES: Mapping[str, str] = {
    "floor": "bare commands, on the host",
    "ours": "this project",
    "ssh-cm": "ssh, ControlMaster",
    "ssh": "ssh, plain",
    "dockerhost": "DOCKER_HOST=ssh://",
    "fabric": "plain Fabric",
    "pyinfra": "pyinfra",
    "ansible": "Ansible",
    "bare-invoke": "Invoke with one empty task",
    "fab": "fab --list",
}
"""By contender, what it is called in tables and in the chart."""

PEERS = HERE / "peers"
"""The others' scripts, and the project whose lock file has the others' packages."""

THEIRS = PEERS / ".venv" / "bin"

INSTALLED = ("fabric", "pyinfra", "ansible")
"""The contenders that are packages."""

_ANSIBLE = """\
[defaults]
host_key_checking = true
stdout_callback = minimal
forks = 50
interpreter_python = /usr/bin/python3
retry_files_enabled = false
[ssh_connection]
pipelining = true
ssh_args = -F {work}/checkout/.lab/ssh_config -o ControlMaster=auto -o ControlPersist=600s
control_path_dir = {work}/cp
"""

_ANSIBLE_NEEDS = "python3 python3-requests"
"""Debian packages that its Docker modules need on each host."""


def install(root: Path, say: Callable[[str], None]) -> bool:
    """Installs the others as their lock file says, with byte code; gives whether they are there."""
    found = [shutil.which("uv"), *sorted(map(str, root.glob(".tools/uv-*/bin/uv")))]
    uv = next((each for each in found if each), None)
    if uv is None:
        say("warning: there is no uv, with which the other tools would be installed")
        return False
    command = [uv, "sync", "--frozen", "--quiet", "--compile-bytecode", "--project", str(PEERS)]
    # It must not take this project's own environment, in which this runs.
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        say(f"warning: the other tools could not be installed: {done.stderr.strip()[-500:]}")
    return not done.returncode


def prepare(place: Place, who: Sequence[str]) -> None:
    """Makes what contenders need beyond the lab.

    Raises:
        DeployError: a package could not be installed on a host.
    """
    wrapper = place.folder / "bin" / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F "{place.ssh_config}" "$@"\n')
    wrapper.chmod(0o755)
    if "dockerhost" in who:
        # This machine's own engine may have no Compose, or another one than the hosts.
        plugins = place.folder / "cli-plugins"
        plugins.mkdir()
        plugin = plugins / "docker-compose"
        plugin.write_bytes(place.ssh("core", "cat /usr/libexec/docker/cli-plugins/docker-compose"))
        plugin.chmod(0o755)
    if "ansible" in who:
        (place.folder / "ansible.cfg").write_text(_ANSIBLE.format(work=place.folder))
        for machine in place.lab.machines:
            place.say(f"installing {_ANSIBLE_NEEDS} on {machine.name}, for Ansible")
            quiet = "DEBIAN_FRONTEND=noninteractive apt-get -qq"
            install = f"{quiet} update && {quiet} install -y --no-install-recommends {_ANSIBLE_NEEDS}"
            execute(
                place,
                machine.node,
                f"python3 -c 'import requests' 2>/dev/null || ({install}) >/dev/null 2>&1",
            )


def clean_up(place: Place, who: Sequence[str]) -> None:
    """Removes from the hosts what `prepare` has put there, and ends the connections that contenders keep."""
    for socket in (place.folder / "cp").glob("*"):
        subprocess.run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "any"], capture_output=True)
    if "ansible" in who:
        purge = f"apt-get -qq purge -y --autoremove {_ANSIBLE_NEEDS} >/dev/null 2>&1; rm -rf /var/lib/apt/lists/* /root/.ansible"
        for machine in place.lab.machines:
            execute(place, machine.node, f"{purge}; true")


def deploy(place: Place, who: str, nodes: Sequence[str], tag: str) -> process.Took:
    """Takes nodes to a release, as this contender does it.

    Raises:
        DeployError: there is no such contender, or the host is not reached.
    """
    if who == "floor":
        return floor(place, nodes, tag)
    describe(place, tag)
    env = {**place.env, "BENCH_NODES": " ".join(nodes)}
    if who == "ours":
        task = "deploy-core" if list(nodes) == ["core"] else "deploy-all"
        command: list[str | Path] = [*place.ours(task, "--tag", tag)]
    elif who in ("ssh", "ssh-cm"):
        command = ["bash", PEERS / "ssh.sh", "plain" if who == "ssh" else "cm", *nodes]
    elif who == "dockerhost":
        command = ["bash", PEERS / "dockerhost.sh", *nodes]
    elif who == "fabric":
        command = [THEIRS / "python", PEERS / "plain_fabric.py", *nodes]
    elif who == "pyinfra":
        scripts = [PEERS / name for name in ("pyinfra_inventory.py", "pyinfra_deploy.py")]
        command = [THEIRS / "pyinfra", "-y", *scripts]
    elif who == "ansible":
        command = [THEIRS / "ansible-playbook", "-i", _inventory(place, nodes), PEERS / "ansible.yml"]
    else:
        raise DeployError(f"there is no contender {who!r}")
    return process.run(command, place.checkout if who == "ours" else place.folder, env, place.log)


def floor(place: Place, nodes: Sequence[str], tag: str) -> process.Took:
    """The bare commands on each host, by the host's own clock; the files lie there already.

    Raises:
        DeployError: one of them failed.
    """
    describe(place, tag)
    script = (PEERS / "host.sh").read_text()
    running = []
    for node in nodes:
        own = place.lab.project.environment.nodes[node]
        place.ssh(node, f"tar -xf - -C {own.directory}", _packed(place.files(node, tag)))
        text = f"set -a\n{(place.folder / 'nodes' / f'{node}.sh').read_text()}set +a\n{script}"
        command = ["ssh", "-F", str(place.lab.ssh_config), own.host, "bash -s"]
        process_ = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append((process_, text))
    for process_, text in running:
        if process_.stdin is not None:
            process_.stdin.write(text)
            process_.stdin.flush()
    begins, ends = [], []
    for process_, _ in running:
        out, err = process_.communicate(timeout=process.TIMEOUT)
        with place.log.open("a") as log:
            log.write(f"\n# the bare commands\n{out}{err}")
        span = next((line.split()[1:] for line in out.splitlines() if line.startswith("span ")), None)
        if span is None:
            raise DeployError(f"the bare commands failed: {out.strip()} {err.strip()}")
        begins.append(int(span[0]))
        ends.append(int(span[1]))
    return process.Took((max(ends) - min(begins)) / 1e6, 0.0, 0.0, 0)


def _packed(folder: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    return packed.getvalue()


def _inventory(place: Place, nodes: Sequence[str]) -> Path:
    described = json.loads((place.folder / "nodes.json").read_text())
    inventory = {"all": {"hosts": {described[n]["host"]: {"n": described[n]} for n in nodes}}}
    path = place.folder / f"inventory-{''.join(nodes)}.json"
    path.write_text(json.dumps(inventory))
    return path
