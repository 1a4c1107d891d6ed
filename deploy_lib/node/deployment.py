"""One node's deployment: look, check, lock, look again, decide, stage, switch, prove, and record or go back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from deploy_lib.compose.container import Container
from deploy_lib.config import Backup
from deploy_lib.errors import DeployError, ExitCode, PreflightError
from deploy_lib.host.change import apply, watch
from deploy_lib.host.change.backup import BackupError
from deploy_lib.host.change.backup_place import pruned_after
from deploy_lib.host.change.following import NotBegunError
from deploy_lib.host.change.history import event, write_event
from deploy_lib.host.change.stage import stage
from deploy_lib.host.look.containers import ask_containers
from deploy_lib.host.look.registry import Login
from deploy_lib.node import backup, proof, pruning, restoring
from deploy_lib.node.before import judged_by_what_was
from deploy_lib.node.deciding import Deciding
from deploy_lib.node.outcome import Outcome, final_outcome
from deploy_lib.node.preflight import (
    Values,
    needed_values,
)
from deploy_lib.node.restoring import Restoration, Restoring
from deploy_lib.node.restoring import final as final_restore
from deploy_lib.node.shipping import deliver
from deploy_lib.node.switching import Switching
from deploy_lib.output.timings import TIMINGS, phase
from deploy_lib.plan.plan import Plan
from deploy_lib.plan.steps import due_backups, make_staging, make_switch
from deploy_lib.release.backup import BackupFile
from deploy_lib.release.history import Event, Kind
from deploy_lib.release.release import Release


@dataclass
class Deployment(Deciding):
    """One node on its way from one release to another; `fleet` calls the steps in their order.

    Only its own methods change it.

    Attributes:
        containers: those that this command saw last, since the facts.
        backups: those that this command has made.
        restoration: what a restore puts back, once that is decided.
        known: after a failure, whether the host has said what runs; None: it was not asked again.
        left: the volumes that stay where a first deployment was taken down.
    """

    containers: Sequence[Container] = ()
    backups: Sequence[BackupFile] = ()
    restoration: Restoration | None = None
    known: bool | None = None
    left: Sequence[str] = ()
    _switching: Switching | None = None
    _restoring: Restoring | None = None
    _began: float = field(default_factory=time.monotonic)

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

    @phase("backup")
    def back_up_now(self) -> None:
        """Makes all of the stack's backups, and removes old ones.

        Raises:
            DeployError: one could not be made.
        """
        release = pruning.require_record(self.node, self.facts, "backup").release
        self.outcome = Outcome.UNTOUCHED
        prune = pruned_after(self.site.stack, pruning.needed(self.facts))
        wanted = self.node.stack.backups
        self.backups = backup.make(
            self.site, self.facts, wanted, release, self._token(), why="asked for", prune=prune
        )
        self.outcome = Outcome.BACKED_UP

    def choose_backup(self, file: BackupFile) -> None:
        """Decides how a backup is put back, and proves that it is whole.

        Raises:
            PreflightError: it cannot be put back here.
            BackupError: it is not as it was when it was made.
        """
        self._recall_interruption()
        self.restoration = restoring.choose(self.site, self.facts, file)
        if said := self.restoration.other_release:
            self.site.say("restore", said)
        restoring.check_whole(self.site, self.restoration)
        if self.request.dry_run:
            self.outcome = Outcome.PLANNED

    @phase("restore")
    def restore(self) -> None:
        """Makes a backup of the data that are there, puts the chosen one in their place, and proves the release with it; the
        host then waits for `record` or `go_back`.
        """
        what = self.restoration
        if what is None:
            raise RuntimeError("a backup is chosen before it is put back")
        self.outcome = Outcome.UNTOUCHED
        self._make_backups(
            [what.backup],
            what.release,
            f"before the restore of {what.file.id}",
            needed="restores all the same",
        )
        self.restoration = what = replace(what, now=self.backups[0] if self.backups else None)
        prune = pruned_after(self.site.stack, pruning.needed(self.facts))
        self._restoring = Restoring(self.site, what, self._token(), prune, self._began)
        self.outcome = Outcome.SWITCHED
        try:
            self.containers = self._restoring.prove()
        except NotBegunError:
            self.outcome = Outcome.UNTOUCHED
            raise

    def _make_backups(self, due: Sequence[Backup], release: Release, why: str, *, needed: str) -> None:
        try:
            self.backups = backup.make(self.site, self.facts, due, release, self._token(), why=why)
        except BackupError as error:
            if not self.request.skip_validation:
                error.hint = error.hint or f"--skip-validation {needed}"
                raise
            self.site.say("backup", f"warning: {error.what}\n  -> there is no backup to go back to")

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
        self._switching = Switching(self.site, decision, started, self._event)
        self.outcome = Outcome.SWITCHED
        try:
            self.containers = self._switching.prove()
        except NotBegunError:
            self.outcome = Outcome.UNTOUCHED
            raise

    @phase("record")
    def record(self) -> None:
        """Records the proven release as the current one, and prunes what no rollback could need."""
        if self._switching is not None:
            self._switching.record(self.containers)
            self.outcome = Outcome.DEPLOYED
        if self._restoring is not None:
            self._restoring.record()
            self.outcome = Outcome.RESTORED

    @phase("going back")
    def go_back(self, reason: str) -> None:
        """Takes the host back to the release before, and proves that one.

        Args:
            reason: why, for the history.
        """
        going_back = self._switching or self._restoring
        if going_back is None:
            return
        self.outcome = Outcome.FAILED
        try:
            self.containers = going_back.go_back(reason)
        except NotBegunError:
            self.outcome = Outcome.UNTOUCHED
            raise
        finally:
            self.left = self._switching.left if self._switching else ()
        self.outcome = Outcome.REVERTED

    def leave(self, reason: str) -> None:
        """Leaves a failed release in place, to look at it."""
        if self._switching is not None:
            self.outcome = Outcome.FAILED
            self.containers = self._switching.leave(reason)

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

    @phase("pruning")
    def prune(self, on_removed: Callable[[str], object]) -> None:
        """Removes what no rollback could need; what runs is not touched.

        Args:
            on_removed: gets each file and image as soon as it is removed, even when this fails afterwards.

        Raises:
            PruneError: not everything could be removed.
        """
        self.outcome = Outcome.UNTOUCHED
        removed = pruning.prune(self.site, self.facts, self._token(), on_removed)
        self.outcome = Outcome.PRUNED if removed else Outcome.UNCHANGED

    def foresee_pruning(self, on_found: Callable[[str], object]) -> None:
        """Lists what `prune` would remove, and removes nothing.

        Raises:
            PruneError: the list is not complete.
        """
        pruning.foresee(self.site, self.facts, on_found)
        self.outcome = Outcome.PLANNED

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
