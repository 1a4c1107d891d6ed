"""One node's host, as a command reaches it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from deploy_lib.compose.container import Container
from deploy_lib.config import Node
from deploy_lib.errors import RemoteError
from deploy_lib.host.change.ship import Delivery
from deploy_lib.host.change.targets import Scraper
from deploy_lib.host.stack import HostStack
from deploy_lib.output.console import Console
from deploy_lib.plan.decision import Job
from deploy_lib.source.offer import Offer
from deploy_lib.ssh.session import Session


class Site(Struct, frozen=True):
    """A node's part in a command, the session with its host, and the console.

    Attributes:
        scraper: the Prometheus that scrapes its containers, where there is one.
        offers: the images of the operator's own, for whichever nodes use them.
        deliveries: what the host gets of them.
    """

    job: Job
    session: Session
    console: Console
    scraper: Scraper | None = None
    offers: Sequence[Offer] = ()
    deliveries: Sequence[Delivery] = ()

    @property
    def node(self) -> Node:
        """The node."""
        return self.job.node

    @property
    def stack(self) -> HostStack:
        """The stack on its host."""
        return self.job.stack

    def say(self, step: str, text: str) -> None:
        """Shows a line about a step."""
        self.console.step(self.node.name, step, text)

    def detail(self, line: str) -> None:
        """Shows a line with --debug."""
        self.console.debug(self.node.name, line)

    def follow(self, containers: Sequence[Container]) -> None:
        """Lets Prometheus scrape these containers, and no others of this node."""
        if self.scraper is not None and self.scraper.follow(self.node, containers):
            self.say("targets", f"{len(containers)} for Prometheus")

    def follow_back(self, containers: Sequence[Container]) -> None:
        """The same for a host that goes back, which must not fail because Prometheus cannot be told."""
        try:
            self.follow(containers)
        except RemoteError as error:
            self.say("targets", f"Prometheus still has those of before: {error.what}")

    def close(self) -> None:
        """Ends the sessions."""
        self.session.close()
        if self.scraper is not None:
            self.scraper.session.close()
