"""What is done for one node's data and disk: backups are made and put back, and old files and images are removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from msgspec import field

from deploy_lib.compose.container import Container
from deploy_lib.config import Backup
from deploy_lib.host.change.backup import BackupError
from deploy_lib.host.change.prune import pruned_after
from deploy_lib.host.change.switch_faults import NotBegunError
from deploy_lib.node import backup, pruning, restoration, restoring
from deploy_lib.node.before import held
from deploy_lib.node.deciding import Deciding
from deploy_lib.node.outcome import Outcome
from deploy_lib.node.restoration import Restoration
from deploy_lib.node.restoring import Restoring
from deploy_lib.node.switching import Switching
from deploy_lib.output.timings import phase
from deploy_lib.plan.outdated import outdated
from deploy_lib.release.backup import BackupFile
from deploy_lib.release.release import Release
from deploy_lib.values import replace


class Upkeep(Deciding):
    """A node with its data.

    Attributes:
        containers: those that this command saw last, since the facts.
        backups: those that this command has made.
        restoration: what a restore puts back, once that is decided.
    """

    containers: Sequence[Container] = ()
    backups: Sequence[BackupFile] = ()
    restoration: Restoration | None = None
    _under_way: Switching | Restoring | None = None
    _began: float = field(default_factory=time.monotonic)

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
        self.restoration = restoration.choose(self.site, self.facts, file)
        if said := self.restoration.other_release:
            self.site.say("restore", said)
        if said := outdated(self.node, self.facts, self.restoration.release, file):
            self.site.say("restore", f"warning: {said}")
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
        self.restoration = what = replace(
            what,
            now=self.backups[0] if self.backups else None,
            held=held(self.site, self.facts.containers, what.release),
        )
        prune = pruned_after(self.site.stack, pruning.needed(self.facts))
        self._prove(Restoring(self.site, what, self._token(), prune, self._began))

    def check_record(self) -> None:
        """Refuses to prune where a stack runs without a record.

        Raises:
            PreflightError: that is so here.
        """
        pruning.check_record(self.node, self.facts)

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

    def _make_backups(self, due: Sequence[Backup], release: Release, why: str, *, needed: str) -> None:
        try:
            self.backups = backup.make(self.site, self.facts, due, release, self._token(), why=why)
        except BackupError as error:
            if not self.request.skip_validation:
                error.hint = error.hint or f"--skip-validation {needed}"
                raise
            self.site.say("backup", f"warning: {error.what}\n  -> there is no backup to go back to")

    def _prove(self, started: Switching | Restoring) -> None:
        """Proves what was started, which then waits for its verdict."""
        self._under_way = started
        self.outcome = Outcome.SWITCHED
        try:
            self.containers = started.prove()
        except NotBegunError:
            self.outcome = Outcome.UNTOUCHED
            raise
