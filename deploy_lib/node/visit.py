"""One node under a command: its lock, and what becomes of it there. The first of five files; see `deployment.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct, field

from deploy_lib.config import Node
from deploy_lib.errors import DeployError
from deploy_lib.host.change.detached import longest_unattended
from deploy_lib.host.change.lock import Lock, me
from deploy_lib.host.change.ship import Delivery
from deploy_lib.host.look.facts import Facts
from deploy_lib.node.outcome import Outcome
from deploy_lib.node.site import Site
from deploy_lib.output.console import Console
from deploy_lib.output.timings import phase
from deploy_lib.plan.decide import memory_of
from deploy_lib.plan.decision import Job
from deploy_lib.plan.drift import restore_problem
from deploy_lib.plan.patch import Patch
from deploy_lib.plan.rolls import rolls
from deploy_lib.release.history import Event
from deploy_lib.request import Request
from deploy_lib.source.checkout import Local
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace


class Visit(Struct):
    """A node that a command works on, and what becomes of it there.

    Attributes:
        facts: the newest.
        outcome: how far it came.
        error: why it failed on this node, or takes no part.
        without: how the same command is given without this node; "" where it is the only one.
    """

    site: Site
    facts: Facts = field(default_factory=Facts)
    outcome: Outcome = Outcome.NOT_STARTED
    error: DeployError | None = None
    without: str = ""
    _lock: Lock | None = None

    def fail(self, error: DeployError) -> None:
        """Keeps the error of this node; an earlier one stays in its text."""
        error.node = error.node or self.node.name
        if self.error is not None and self.error is not error:
            error.what = f"{error.what}\n  before that: {self.error.what}"
        self.error = error

    def skip(self) -> None:
        """Nothing is to be done on this node."""
        self.outcome = Outcome.UNCHANGED

    def leave_out(self, error: DeployError) -> None:
        """The node takes no part.

        Args:
            error: why it cannot.
        """
        self.error, self.outcome = error, Outcome.SKIPPED

    def tell_how_to_leave_out(self, how: str) -> None:
        """The same command can be given without this node.

        Args:
            how: for its error, should it be off.
        """
        self.without = how

    def leave_unscraped(self, off: Collection[str]) -> None:
        """The Prometheus that scrapes this node is not told of its containers where its own node is off.

        Args:
            off: the names of the nodes that are.
        """
        if self.site.scraper is not None and self.site.scraper.host.name in off:
            self.site = replace(self.site, scraper=None)

    def take_images(self, patches: Mapping[str, Patch], deliveries: Sequence[Delivery]) -> None:
        """Services of this node get images of the operator's own.

        Args:
            patches: by service.
            deliveries: what the host gets of them.
        """
        job = replace(self.job, patches=patches)
        self.site = replace(self.site, job=job, deliveries=deliveries)

    # --- the lock, and the end ------------------------------------------------------------------------------

    @phase("lock")
    def lock(self) -> None:
        """Takes the node's lock, and waits for a switch whose session has ended."""
        what = f"{self.request.command} {self.request.tag or ''}".strip()
        # A host without memory is refused for that, once it is looked at under the lock.
        delivery = memory_of(self.job, self.facts) if self.facts.memory else None
        self._lock = Lock(self.session, self.node.directory, me(what), delivery)
        self._lock.take(
            self.request.wait_lock,
            self._longest_switch(),
            lambda: self.site.say("lock", "waiting for a switch whose session has ended"),
        )

    @phase("releasing the lock")
    def release_lock(self) -> None:
        """Releases the lock, if it was taken, even after Ctrl-C."""
        self.session.stop = None
        if self._lock is not None:
            self._lock.release()

    def _longest_switch(self) -> int:
        """Seconds to wait for what an earlier command has left running."""
        rolled = [rolls(self.node.stack, event.release) for event in self.facts.history]
        return int(longest_unattended(self.site.stack, rolled))

    def _token(self) -> str:
        if self._lock is None:
            raise RuntimeError("the lock is taken before the switch")
        return self._lock.owner.token

    def _recall_interruption(self) -> None:
        if told := self._lock and restore_problem(self.facts):
            self.site.say("recover", told)
        started = self.facts.interrupted
        if started is None:
            return
        # Without the lock, whoever has it may be who began it.
        going_on = self._lock is None and self.facts.machine.locked
        self.site.say(
            "lock" if going_on else "recover",
            f"release {started.release.id} ({started.release.title}), begun by {started.who} on {started.origin} "
            f"at {started.at}, {'is still running' if going_on else 'was interrupted'}",
        )

    def close(self) -> None:
        """Ends the sessions."""
        self.site.close()

    # --- what it is about -----------------------------------------------------------------------------------

    @property
    def job(self) -> Job:
        """The node's part in the command."""
        return self.site.job

    @property
    def session(self) -> Session:
        """With the node's host."""
        return self.site.session

    @property
    def console(self) -> Console:
        """Where progress is shown."""
        return self.site.console

    @property
    def node(self) -> Node:
        """Where."""
        return self.job.node

    @property
    def local(self) -> Local:
        """What this checkout has of the node's stack."""
        return self.job.local

    @property
    def request(self) -> Request:
        """What was asked for."""
        return self.job.request

    @property
    def before(self) -> Event | None:
        """The release that ran before this command, as far as it was recorded."""
        return self.facts.proven
