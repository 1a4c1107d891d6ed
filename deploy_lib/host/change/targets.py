"""Prometheus's targets: one file on the scraping stack's host for each node whose containers it scrapes.

The file is no part of any release there, and changing it needs no lock: it is renamed into place in one step, and each
node's deployment writes no other file than its own. It follows from the containers that a node runs, so a release that
is taken back takes its targets along.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePosixPath

from msgspec import Struct

from deploy_lib.compose.container import Container
from deploy_lib.config import Node, Scrape
from deploy_lib.host.prove import roster
from deploy_lib.shell import TRUST, ScriptExit, quote
from deploy_lib.ssh.session import Session


def content(node: Node, scrape: Scrape, containers: Sequence[Container]) -> str:
    """The targets that a node's replicas are, and the services beside them, in Prometheus's file_sd format.

    A service that is no replica has its own name as its kind.
    """
    there = roster.published(node, containers)
    beside = {service: (service,) for service in scrape.services}
    groups = [
        {
            "targets": [roster.fill(scrape.address, member.values)],
            "labels": {"node": node.name, "kind": kind, "service": service},
        }
        for kind, services in {**node.stack.replicas, **beside}.items()
        for service in services
        for member in there
        if member.service == service
    ]
    return json.dumps(groups, indent=1) + "\n"


class Scraper(Struct, frozen=True):
    """Where a node's containers are scraped from.

    Attributes:
        session: with the host of the scraping stack, that of `host`.
    """

    session: Session
    host: Node
    scrape: Scrape

    def path(self, node: Node) -> PurePosixPath:
        """The node's file there."""
        return self.host.directory / self.scrape.directory / f"{node.name}.json"

    def follow(self, node: Node, containers: Sequence[Container]) -> bool:
        """Makes these containers the node's targets, and says whether they were not yet; raises as `put`."""
        return put(self.session, self.path(node), content(node, self.scrape, containers))


def put(session: Session, path: PurePosixPath, text: str) -> bool:
    """Gives the file this content, and says whether it had another; one that has it already is not touched.

    Args:
        session: with the host of the scraping stack, not with the node's own.

    Raises:
        RemoteError: that host does not answer, or its directory cannot be written.
    """
    result = session.run(targets_script(path), stdin=text.encode(), timeout=20, step="targets")
    return result.stdout.strip() == "changed"


def targets_script(path: PurePosixPath) -> str:
    """Puts standard input in the file's place, and says "changed" if that made a difference.

    Prometheus looks at *.json: it never sees the file that is being written.
    """
    file, new = quote(path), quote(path.with_name(f".{path.name}.new"))
    return f"""\
{TRUST}\
cd {quote(path.parent.parent)} || {{ echo 'the stack that scrapes is not deployed there' >&2; exit {ScriptExit.NOTHING_THERE}; }}
umask 022
mkdir -p {quote(path.parent)} || exit
w=$(way {quote(path.parent.parent)}; own {quote(path.parent)} 'as root: chown '"$(id -un) "{quote(path.parent)})
[ -z "$w" ] || {{ printf '%s\\n' "$w" >&2; exit {ScriptExit.NOT_OURS}; }}
cat > {new} || exit
if cmp -s {new} {file}; then rm {new}; else sync {new} && mv -f {new} {file} && echo changed; fi
"""
