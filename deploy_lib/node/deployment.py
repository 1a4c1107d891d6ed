"""One node's deployment: stage, back up, switch, prove, and record or go back.

It is the topmost of five files that make one object, each built on the one before: `visit.py` has the lock, `checking.py` what is
looked at and checked, `deciding.py` the decision, and `upkeep.py` the node's data and old files. A name with an underscore is that
object's own, in whichever of them it stands.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from deploy_lib.compose.container import Container
from deploy_lib.errors import DeployError, ExitCode, PreflightError
from deploy_lib.host.change import apply, watch
from deploy_lib.host.change.history import event, write_event
from deploy_lib.host.change.stage import stage
from deploy_lib.host.change.switch_faults import NotBegunError
from deploy_lib.host.look.containers import ask_containers
from deploy_lib.host.look.registry import Login
from deploy_lib.node import backup, proof
from deploy_lib.node.before import judged_by_what_was
from deploy_lib.node.outcome import Outcome, final_outcome
from deploy_lib.node.preflight import Values, needed_values
from deploy_lib.node.restoring import final as final_restore
from deploy_lib.node.shipping import deliver
from deploy_lib.node.switching import Switching
from deploy_lib.node.upkeep import Upkeep
from deploy_lib.output.timings import TIMINGS, phase
from deploy_lib.plan.plan import Plan
from deploy_lib.plan.steps import due_backups, make_staging, make_switch
from deploy_lib.release.history import Event, Kind


class Deployment(Upkeep):
    """One node on its way from one release to another; `fleet` calls the steps in their order.

    Only methods of it change it.

    Attributes:
        known: after a failure, whether the host has said what runs; None: it was not asked again.
        left: the volumes that stay where a first deployment was taken down.
    """

    known: bool | None = None
    left: Sequence[str] = ()

    # --- what becomes of it -------------------------------------------------------------------------------

    def conclude(self, recorded: Sequence[str] = ()) -> ExitCode:
        """The node's exit status; its error then says what state the host is in.

        Args:
            recorded: names of the nodes of the same command on which its release counts.
        """
        if self.restoration is not None:
            code, self.error = final_restore(self.outcome, self.error, self.site, self.restoration)
            return code
        if self.outcome is Outcome.NOT_STARTED and self.error is None:
            self.outcome = Outcome.UNTOUCHED
        code, self.error = final_outcome(
            self.outcome,
            self.error,
            node=self.node,
            # An adopted project is not recorded yet, and is gone back to all the same.
            before=self.plan.before if self.plan else self.before,
            no_rollback=self.request.no_rollback,
            rotated=self.plan is not None and bool(self.plan.applies),
            recorded=recorded,
            silent=self.known is False,
            left=self.left,
        )
        if self.error is not None and self.outcome not in (Outcome.NOT_STARTED, Outcome.UNTOUCHED):
            backup.mention(self.error, self.node, self.backups)
        return code

    # --- the change ---------------------------------------------------------------------------------------

    @phase("staging")
    def stage(self, logins: Sequence[Login]) -> None:
        """Brings files and images to the host, beside what runs; the running release is not touched."""
        decision = self._decided()
        plan = decision.plan
        if plan.nothing:
            return
        self.outcome = Outcome.UNTOUCHED
        if plan.pulls:
            self.site.say(
                "pull", f"{len(plan.pulls)} of {len(set(plan.desired.release.images.values()))} images"
            )
        deliver(self.site, self.site.deliveries, plan.ships)
        lacking = make_staging(decision, self.facts, self.site.stack)
        stage(self.session, self.site.stack, lacking, logins, decision.key)
        if self._guarded.again:
            # What the new images say of themselves has a say in what becomes of the data; nothing runs from them yet.
            try:
                self._guard(decision.plan, self._services, pulled=True)
                self._tell_accepted()
            except PreflightError:
                self.outcome = Outcome.NOT_STARTED
                raise

    @phase("backup")
    def back_up(self) -> None:
        """Makes the backups of the data that the switch may touch; nothing else has been changed yet.

        Raises:
            DeployError: one could not be made. Where failed checks are only warned of, so is this.
        """
        decision = self._decided()
        # A first deployment that failed and was left has data, too.
        running = decision.plan.before or self.facts.unsettled
        due = due_backups(decision, self.facts, self.node.stack)
        if decision.plan.nothing or running is None or not due:
            return
        why = f"before {decision.plan.desired.release.title}"
        otherwise = f"{self.request.command} goes on without a backup"
        self._make_backups(due, running.release, why, needed=otherwise)

    @phase("switch and proof")
    def switch(self, values: Values) -> None:
        """Puts the release into place and proves it; the switch then waits for `record`, `go_back` or `leave`.

        Args:
            values: the secrets; empty for a rollback, which keeps those that run.
        """
        decision = self._decided()
        if decision.plan.nothing:
            self._confirm(decision.plan)
            return
        self.decision = decision = judged_by_what_was(self.site, decision, self.facts)
        given = {
            name: value
            for name, value in needed_values(self.facts, values).items()
            if name not in decision.withheld
        }
        given |= apply.environment(decision.applies, values)
        env = {name: value.reveal() for name, value in given.items()}
        switch = make_switch(
            decision,
            self.facts,
            self.job,
            token=self._token(),
            happens=lambda kind, detail: self._event(kind, detail=detail),
        )
        started = watch.start(self.session, self.site.stack, switch, env, self.site.detail)
        self._prove(Switching(self.site, decision, started, self._event))

    @phase("record")
    def record(self) -> None:
        """Records what is proven: the release as the current one, after which what no rollback could need is pruned, or a restore."""
        if self._under_way is not None:
            self._under_way.record(self.containers)
            self.outcome = self._under_way.recorded

    @phase("going back")
    def go_back(self, reason: str) -> None:
        """Takes the host back to the release before, and proves that one.

        Args:
            reason: why, for the history.
        """
        going_back = self._under_way
        if going_back is None:
            return
        self.outcome = Outcome.FAILED
        try:
            self.containers = going_back.go_back(reason)
        except NotBegunError:
            self.outcome = Outcome.UNTOUCHED
            raise
        finally:
            self.left = going_back.left
        self.outcome = Outcome.REVERTED

    def leave(self, reason: str) -> None:
        """Leaves a failed release in place, to look at it."""
        if isinstance(self._under_way, Switching):
            self.outcome = Outcome.FAILED
            self.containers = self._under_way.leave(reason)

    def look_again(self) -> None:
        """Looks at what runs after a failure, for the report; what is unknown then is not what ran before."""
        try:
            self.containers, self.known = ask_containers(self.session, self.site.stack.project), True
        except DeployError as error:
            self.known = False
            self.site.detail(f"what runs now is unknown: {error}")

    @property
    def running(self) -> Sequence[Container] | None:
        """What runs, as this command saw it last; None where that is unknown."""
        if self.known is None:
            return self.containers or self.facts.containers
        return self.containers if self.known else None

    def abort(self, reason: str) -> None:
        """Writes into the history that this ended before the switch, if the host can still be reached."""
        if self._planned().nothing:
            return
        try:
            happened = self._event("aborted", detail=reason)
            write_event(self.session, self.site.stack, self._token(), happened)
        except DeployError as error:
            self.site.detail(f"this could not be written into the history: {error}")

    # --- the outcome ----------------------------------------------------------------------------------------

    @property
    def switched(self) -> bool:
        """Whether the host has been changed, and waits for a verdict."""
        return self.outcome is Outcome.SWITCHED

    @property
    def release_name(self) -> str | None:
        """The release that this node is being taken to, or the one that it stays at."""
        if self.plan is None:
            return self.restoration.release.id if self.restoration else None
        if self.plan.nothing and self.plan.before is not None:
            return self.plan.before.release.id
        return self.plan.desired.release.id

    # --- steps of steps ---------------------------------------------------------------------------------------

    def _confirm(self, plan: Plan) -> None:
        """Proves a host on which nothing had to be changed."""
        self.containers = self.facts.containers
        self.outcome = Outcome.UNTOUCHED
        self.site.follow(self.containers)
        with TIMINGS.span(self.node.name, "phase", "probes"):
            proof.probe_all(
                self.session, self.node, plan.desired.release, lambda: self.containers, self.site.say
            )
        self.outcome = Outcome.UNCHANGED
        self.site.say("done", f"nothing to change: {plan.desired.release.title} runs and is healthy")

    def _event(self, kind: Kind, **more: object) -> Event:
        plan = self._planned()
        return event(
            kind,
            plan.desired.release,
            command=self.request.command,
            seconds=round(time.monotonic() - self._began, 1),
            replaced=plan.before.release.id if plan.before else None,
            backups=tuple(file.id for file in self.backups),
            **more,
        )
