"""Lab up, down and status, step by step."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from deploy_lib.errors import UsageError

from . import credentials, engine, hosts, images, storage
from .layout import MIRROR, Lab, alone, copies, copies_of, create, load, prefix_of
from .project import DIRECTORY

Say = Callable[[str], None]


def up(root: Path, say: Say, releases: Mapping[str, str] = MappingProxyType({})) -> Lab:
    """Brings the lab up, from nothing or from whatever is left of it.

    Args:
        say: gets a line about everything that is changed.
        releases: by node, another Debian release than the project's: {"C": "sid"}.

    Raises:
        DeployError: with what is missing on this machine, or what failed.
    """
    with alone(root):
        lab = create(root, say)
        engine.programs({"ssh": "openssh-client"}, say)
        engine.ensure(lab.directory, say)
        credentials.make(lab)
        origins = images.obtain(lab.project, say)
        for release in sorted({*(host.release for host in lab.machines), *releases.values()}):
            images.make_host(release, root, say)
        hosts.remove_strangers(lab, say)
        hosts.start_registries(lab, say)
        hosts.start_hosts(lab, say, releases)
        hosts.await_ready(lab)
        hosts.trust_registry(lab)
        storage.share(lab)
        images.publish(lab, origins, say, credentials.registry_password(lab))
        return lab


def down(root: Path, say: Say) -> None:
    """Removes the lab, and those that tests used beside it: all but cached images and the engine."""
    for copy in copies_of(root):
        remove(copy, say)
    remove(root, say)
    shutil.rmtree(copies(root), ignore_errors=True)


def remove(root: Path, say: Say) -> None:
    """Removes the lab of this checkout alone."""
    with alone(root):
        directory = root.resolve() / DIRECTORY
        if engine.answers():
            hosts.remove(prefix_of(root), say)
        else:
            say("no Docker Engine answers: containers that it may hold stay until lab.down is run with it")
        # The log belongs to an engine that may go on running, and copies of the checkout have labs of their own.
        for path in directory.iterdir():
            if path.is_dir() and path != copies(root):
                shutil.rmtree(path)
            elif path.is_file() and path.name != "dockerd.log":
                path.unlink()


def status(root: Path) -> dict[str, Any]:
    """The lab for JSON; "running" says whether a host answers.

    Raises:
        UsageError: there is no lab in this folder.
    """
    lab = load(root)
    if not engine.answers():
        raise UsageError("no Docker Engine answers, so the lab is down", hint="invoke lab.up")
    host, port = lab.project.registry
    return {
        "nodes": {node: _node(lab, node) for node in lab.project.hosts},
        "registry": {
            "name": f"{host}:{port}",
            "port": lab.ports["registry"],
            "username": lab.project.environment.registry.username,
            "mirror": MIRROR,
            "mirror_port": lab.ports["mirror"],
        },
        "images": images.origins_of(lab),
    }


def _node(lab: Lab, node: str) -> dict[str, Any]:
    host = lab.host(node)
    ports = {str(port): lab.ports.get(f"{host.node}:{port}") for port in host.ports}
    return {
        "host": host.name,
        "ssh_port": lab.port(node, 22),
        "container": lab.container(node),
        "running": hosts.host_answers(lab, node),
        "ports": {port: local for port, local in ports.items() if local is not None},
    }
