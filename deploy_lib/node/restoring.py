"""Putting a backup back on one node: made whole, proven and recorded, or undone."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from deploy_lib.compose.container import Container
from deploy_lib.errors import DeployError, ExitCode, StoppedError
from deploy_lib.host.change import backup as backups
from deploy_lib.host.change import watch
from deploy_lib.host.change.history import event
from deploy_lib.host.change.lock import LAPSE
from deploy_lib.host.change.place import Placement
from deploy_lib.host.change.restore import restore_work
from deploy_lib.host.change.switch import Switch
from deploy_lib.host.change.switch_faults import LostError
from deploy_lib.node import proof
from deploy_lib.node.backup import restore_command
from deploy_lib.node.outcome import Outcome
from deploy_lib.node.restoration import Restoration
from deploy_lib.node.site import Site
from deploy_lib.node.switching import one_shots, take_back, without
from deploy_lib.release.history import Event, Kind
from deploy_lib.release.release import Release
from deploy_lib.values import replace


class Restoring:
    """A restore that has been started, and waits for its verdict once the data have been put back.

    Args:
        token: the lock owner's.
        prune: shell text that is run once it is proven.
        began: when the command did, by `time.monotonic`.

    Attributes:
        recorded: what has become of the node once that is recorded.
        left: see `Switching.left`: nothing is taken down.
    """

    recorded = Outcome.RESTORED
    left: Sequence[str] = ()

    def __init__(self, site: Site, restoration: Restoration, token: str, prune: str, began: float) -> None:
        self._site = site
        self._what = restoration
        self._began = began
        self._watch = watch.start(site.session, site.stack, self._switch(token, prune), {}, site.detail)

    def _switch(self, token: str, prune: str) -> Switch:
        what, alone = self._what, "its session had ended"
        return Switch(
            token=token,
            forward=Placement(),
            back=Placement(),
            started=[self._happens("restoring")],
            abandoned=self._happens("restore-reverted", detail=f"{alone}; the host undid it by itself"),
            stuck=self._happens(
                "restore-failed", detail=f"{alone}, and the host could not undo it by itself"
            ),
            secret_files=what.release.secret_files,
            back_secret_files=what.release.secret_files,
            prune=prune,
            parts=what.parts,
            work=restore_work(self._site.stack, what.backup, what.file, what.now, what.stop, what.left),
        )

    def prove(self) -> Sequence[Container]:
        """Waits until the data have been put back, and proves the release with them.

        Raises:
            NotBegunError: nothing was changed.
            DeployError: they could not be, or the release is not proven; the verdict is awaited.
        """
        what = self._what
        stopped = f"; stopped meanwhile: {', '.join(what.stop)}" if what.stop else ""
        self._site.say("restore", f"{what.file.id} into {what.backup.service}{stopped}")
        if what.aside:
            self._site.say("restore", f"not started, as it did not run before: {', '.join(what.aside)}")
        self._watch.finish()
        # A restore starts those that it has stopped, and no other.
        return self._prove(what.release, {*one_shots(what.release)} - {*what.stop})

    def record(self, _: Sequence[Container]) -> None:
        """Records that the data are in place; the containers are of the release that is recorded already.

        Raises:
            LostError: the host could not record it, or the session ended.
        """
        self._watch.conclude("proven", [self._happens("restored")])
        if not self._watch.await_end("proven"):
            raise LostError("the host could not record the restore, and undoes it", node=self._site.node.name)
        self._site.say("done", f"{self._what.release.title} is proven with the data of {self._what.file.id}")

    def go_back(self, reason: str) -> Sequence[Container]:
        """Puts back what was there before, and proves the release with that.

        Raises:
            NotBegunError: there was nothing to undo.
            LostError: the session ended; the host undoes it by itself.
            DeployError: that failed.
        """
        self._site.say(
            "back", f"to {self._what.now.id}" if self._what.now else "there is nothing to go back to"
        )

        what = self._what
        before = what.release if what.held is None else replace(what.release, probes=what.held)

        def await_back() -> Sequence[Container]:
            self._watch.await_back()
            return self._prove(before, {*one_shots(before), *what.ill})

        kinds: tuple[Kind, Kind] = ("restore-failed", "restore-reverted")
        containers = take_back(self._site, self._watch, self._happens, kinds, reason, await_back)
        unlike = f", but for what was not healthy before: {', '.join(what.ill)}" if what.ill else ""
        self._site.say("back", f"the data are those of before, and the release is proven with them{unlike}")
        return containers

    def _happens(self, kind: Kind, detail: str = "") -> Event:
        what = self._what
        return event(
            kind,
            what.release,
            command=self._site.job.request.command,
            seconds=round(time.monotonic() - self._began, 1),
            detail=detail or what.file.id,
            backups=(what.file.id, *([what.now.id] if what.now else [])),
            stopped=what.stop,
        )

    def _prove(self, release: Release, tolerated: Collection[str]) -> Sequence[Container]:
        site, started = self._site, self._watch
        return proof.prove(
            site.session,
            site.node,
            without(release, self._what.aside),
            started.looks(),
            started.look,
            site.say,
            site.follow,
            tolerated,
            clock=started.clock,
        )


def final(
    outcome: Outcome, error: DeployError | None, site: Site, restoration: Restoration
) -> tuple[ExitCode, DeployError | None]:
    """A restore's exit status, and its error with the state that the data are in."""
    node, now = site.node, restoration.now
    match outcome:
        case Outcome.RESTORED | Outcome.PLANNED:
            return ExitCode.DONE, None
        case Outcome.NOT_STARTED if error is not None:
            return error.exit_code, error
        case Outcome.NOT_STARTED | Outcome.UNTOUCHED if isinstance(error, StoppedError):
            return ExitCode.INTERRUPTED, error
        case Outcome.NOT_STARTED | Outcome.UNTOUCHED | Outcome.REVERTED:
            stopped = isinstance(error, StoppedError)
            hint = "run the command again" if stopped else "fix the cause, then run the command again"
            code = ExitCode.FAILED_REVERTED
            state = "the data are as they were before"
        case _:
            code = ExitCode.FAILED_INCONSISTENT
            back = restore_command(node, now.id if now else restoration.file.id)
            if isinstance(error, LostError):
                state = f"the host puts {now.id if now else 'nothing'} back by itself, within {LAPSE} s of the session's end"
                hint = f"when it can be reached again, see: {node.task('history')}"
            else:
                state = f"it is unknown what the data of {restoration.backup.service} are now"
                kept = (
                    f"as they were before the restore, they are in {now.shown}"
                    if now
                    else "no backup of them was made"
                )
                state, hint = f"{state}; {kept}", f"put them back: {back}"
    stated = DeployError(
        f"{error.what if error is not None else 'the restore failed'}\n  {state}",
        node=node.name,
        step=error.step if error is not None else None,
        hint=(error.hint if error is not None else None) or hint,
    )
    stated.__cause__ = error.__cause__ if error is not None else None
    return code, stated


def check_whole(site: Site, restoration: Restoration) -> None:
    """Proves that the backup is as it was when it was made; nothing is changed.

    Raises:
        DeployError: it is not.
    """
    backups.verify(site.session, site.stack, restoration.backup, restoration.file)
    site.say("verify", f"{restoration.file.shown} is as it was when it was made")
