"""The switch of one node under way: proven and recorded, taken back, or left as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence

from deploy_lib.compose.container import Container
from deploy_lib.errors import DeployError
from deploy_lib.host.change import watch
from deploy_lib.host.change.switch_faults import LostError, SwitchError
from deploy_lib.node import proof
from deploy_lib.node.outcome import Outcome
from deploy_lib.node.site import Site
from deploy_lib.plan.decision import Decision
from deploy_lib.release.history import Event, Kind
from deploy_lib.release.release import Release
from deploy_lib.values import replace

Happens = Callable[..., Event]
"""Makes an event of the new release: its kind, and further fields."""


def take_back(
    site: Site,
    started: watch.Watch,
    happens: Happens,
    kinds: tuple[Kind, Kind],
    reason: str,
    await_back: Callable[[], Sequence[Container]],
) -> Sequence[Container]:
    """Gives a switch the verdict to go back, waits until that is done and proven, and has it recorded.

    Args:
        kinds: of the events: for a failure, also of going back, and for a host that is as it was before.
        reason: why, for the history.
        await_back: waits, and gives the containers.

    Raises:
        NotBegunError: there was nothing to take back.
        LostError: the session ended; the host goes back by itself.
        DeployError: going back failed.
    """
    failed, reverted = kinds
    started.conclude("revert", [happens(failed, detail=reason)])
    containers: Sequence[Container] = ()
    problem: DeployError | None = None
    try:
        containers = await_back()
    except LostError:
        raise
    except DeployError as error:
        problem = error
    # The first line: what follows it may be lines of a container's log, which have no place in the history.
    said = "" if problem is None else problem.what.partition("\n")[0]
    detail = site.console.redactor.clean(said)
    started.conclude("leave", [happens(failed if problem else reverted, detail=detail or reason)])
    started.await_end("revert")
    if problem is not None:
        raise problem
    return containers


class Switching:
    """A switch that has been started, and waits for its verdict once the containers have been replaced.

    Args:
        started: the switch.
        happens: makes events for the history.

    Attributes:
        recorded: what has become of the node once that is recorded.
    """

    recorded = Outcome.DEPLOYED

    def __init__(self, site: Site, decision: Decision, started: watch.Watch, happens: Happens) -> None:
        self._site = site
        self._decision = decision
        self._watch = started
        self._happens = happens

    def prove(self) -> Sequence[Container]:
        """Waits until the containers have been replaced, and proves the new release.

        Raises:
            NotBegunError: nothing was changed.
            DeployError: the switch failed, or the release is not proven; the verdict is awaited.
        """
        self._site.say("switch", self._decision.plan.subject)
        if aside := self._decision.plan.aside:
            self._site.say("switch", f"left as it is, which is not as recorded: {', '.join(aside)}")
        try:
            self._watch.finish()
        except SwitchError as error:
            if not self._watch.ill:
                raise
            # Only here, where values are masked: the script prints no line of a container's log.
            said = proof.explain(self._site.session, *self._watch.ill)
            raise SwitchError(f"{error.what}{said}", node=self._site.node.name, step=error.step) from None
        finally:
            self._note()
        for step in self._decision.applies:
            self._site.say("apply", f"{step.service} takes the new {step.secret}, and refuses the old one")
        release = self._decision.plan.desired.release
        # What an earlier release does once, it may have done to data that is newer by now.
        tolerated = one_shots(release) if self._decision.keep_values else ()
        return self._prove(release, self._site.follow, tolerated)

    def record(self, containers: Sequence[Container]) -> None:
        """Records the proven release as the current one, and prunes what no rollback could need.

        Raises:
            LostError: the host could not record it, or the session ended.
        """
        plan = self._decision.plan
        recorded = plan.before.hashes if plan.before else {}
        hashes = {c.service: c.config_hash for c in containers if c.service not in plan.aside}
        hashes |= {name: mark for name, mark in recorded.items() if name in plan.aside}
        self._watch.conclude("proven", [self._happens("proven", hashes=hashes, before=plan.next_before)])
        if not self._watch.await_end("proven"):
            raise LostError("the host could not record the release, and goes back", node=self._site.node.name)
        self._site.say("done", f"release {plan.desired.release.id} is proven")

    def go_back(self, reason: str) -> Sequence[Container]:
        """Takes the host back to the release before, and proves that one.

        Args:
            reason: why, for the history.

        Raises:
            NotBegunError: there was nothing to take back.
            LostError: the session ended; the host goes back by itself.
            DeployError: going back failed.
        """
        back = self._decision.plan.back.release if self._decision.plan.back else None
        to = f"to {back.title}, release {back.id}" if back else "to nothing: the stack is taken down"
        self._site.say("back", to)
        kinds: tuple[Kind, Kind] = ("failed", "reverted")
        containers = take_back(
            self._site, self._watch, self._happens, kinds, reason, lambda: self._await_back(back)
        )
        if back is None and self.left:
            self._site.say("back", f"its volumes stay: {', '.join(self.left)}")
        self._site.say("back", f"release {back.id} is proven again" if back else "the host is empty again")
        return containers

    @property
    def left(self) -> Sequence[str]:
        """The volumes that stay where going back has taken the stack down."""
        return self._watch.left

    def leave(self, reason: str) -> Sequence[Container]:
        """Leaves a release that failed in place, to be looked at.

        Args:
            reason: why, for the history.
        """
        containers: Sequence[Container] = ()
        with contextlib.suppress(SwitchError):  # an engine that is silent must not keep the verdict back
            containers = next(self._watch.looks())
        self._watch.conclude("leave", [self._happens("failed", detail=reason)])
        self._watch.await_end("leave")
        rolled = {table.service for table in self._site.node.stack.rolled}
        for service in [name for name in self._watch.ill if name in rolled][:1]:
            self._site.say(
                "rolling",
                f"{service}: what answered goes on; the new container that is not healthy stays beside it",
            )
        return containers

    def _note(self) -> None:
        """Says what the switch has noted: where requests may have been lost after all."""
        while self._watch.notes:
            self._site.say("rolling", self._watch.notes.pop(0))

    def _await_back(self, back: Release | None) -> Sequence[Container]:
        try:
            self._watch.await_back()
        finally:
            self._note()
        if back is not None:
            return self._prove(back, self._site.follow_back, {*one_shots(back), *self._decision.plan.ill})
        containers = next(self._watch.looks())
        self._site.follow_back(containers)
        return containers

    def _prove(
        self,
        release: Release,
        follow: Callable[[Sequence[Container]], object],
        tolerated: Collection[str],
    ) -> Sequence[Container]:
        site, looks = self._site, self._watch.looks()
        release = without(release, self._decision.plan.aside)
        return proof.prove(
            site.session,
            site.node,
            release,
            looks,
            self._watch.look,
            site.say,
            follow,
            tolerated,
            clock=self._watch.clock,
        )


def one_shots(release: Release) -> list[str]:
    """The services that must end; one that only may (`on-failure`) may be what everybody needs, and has to be well."""
    return [name for name, how in release.ends.items() if how == "must"]


def without(release: Release, aside: Collection[str]) -> Release:
    """What is to be proven of a release where some services stay as they are, which is not as recorded."""
    probes = release.probes
    return replace(
        release,
        replicas={name: number for name, number in release.replicas.items() if name not in aside},
        images={name: image for name, image in release.images.items() if name not in aside},
        probes=None if probes is None else tuple(p for p in probes if not {*p.services} & {*aside}),
    )
