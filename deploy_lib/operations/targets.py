"""Prometheus's targets: one file on the host of the scraping stack for each node whose containers it scrapes.

The file is no part of any release there, and changing it needs no lock: it is renamed into place in one step, and each
node's deployment writes no other file than its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from deploy_lib.operations.compose import Service
from deploy_lib.operations.shell import quote
from deploy_lib.ssh.session import Session
from deploy_lib.topology import Node, Scrape

HOST_VARIABLE = "WORKER_HOSTNAME"
"""The node's variable with the name under which other hosts reach it."""

STEP = "targets"


@dataclass(frozen=True)
class Written:
    """What `put` did.

    Attributes:
        before: the content that it replaced; None when there was no such file.
        changed: whether there was anything to do.
    """

    path: PurePosixPath
    before: str | None
    changed: bool


def path_of(scraper: Node, scrape: Scrape, node: Node) -> PurePosixPath:
    """The file of `node` on the host `scraper`."""
    return scraper.directory / scrape.directory / f"{node.name}.json"


def content(node: Node, services: Mapping[str, Service], replicas: Mapping[str, int]) -> str:
    """The targets that a node's replicas are, in Prometheus's file_sd format.

    Args:
        services: as the host's Compose renders them, with their published ports.
        replicas: by service, how many containers there are.
    """
    host = node.variables.get(HOST_VARIABLE, node.host)
    groups = [
        {
            "targets": [f"{host}:{services[service].ports[0]}"],
            "labels": {"node": node.name, "kind": kind, "service": service},
        }
        for kind, names in node.stack.replicas.items()
        for service in names
        if replicas.get(service)
    ]
    return json.dumps(groups, indent=1) + "\n"


def put(session: Session, path: PurePosixPath, new: str | None) -> Written:
    """Gives the file this content, or takes it away when that is None; one that has it already is not touched.

    Args:
        session: with the host of the scraping stack, not with the node's own.

    Raises:
        RemoteError: that host does not answer, or its directory cannot be written.
    """
    result = session.run(script(path, remove=new is None), stdin=(new or "").encode(), timeout=20, step=STEP)
    state, _, there = result.stdout.partition("\n")
    before = there if state == "present" else None
    return Written(path, before, changed=before != new)


def undo(session: Session, written: Written) -> None:
    """Takes back what `put` did.

    Raises:
        RemoteError: as `put`.
    """
    if written.changed:
        put(session, written.path, written.before)


def script(path: PurePosixPath, *, remove: bool) -> str:
    """Prints what is there, then puts standard input in its place.

    Prometheus looks at *.json: it never sees the file that is being written.
    """
    file, new = quote(path), quote(path.with_name(f".{path.name}.new"))
    put_there = (
        f"rm -f {file}"
        if remove
        else f"""\
umask 022
mkdir -p {quote(path.parent)}
cat > {new}
if [ -e {file} ] && cmp -s {new} {file}; then rm {new}; else mv -f {new} {file}; fi"""
    )
    return f"""\
set -e
if [ -e {file} ]; then echo present; cat {file}; else echo absent; fi
{put_there}
"""
