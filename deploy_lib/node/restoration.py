"""Which backup is put back on one node, and how; decided before anything is changed."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import asdict

from deploy_lib.compose.container import Container
from deploy_lib.config import Backup, Probe
from deploy_lib.errors import PreflightError
from deploy_lib.host.change.restore import restore_steps
from deploy_lib.host.change.step import shown_of
from deploy_lib.host.look.facts import Facts
from deploy_lib.names import did_you_mean
from deploy_lib.node.site import Site
from deploy_lib.plan.plan import ill
from deploy_lib.plan.still import still
from deploy_lib.release.backup import BackupFile
from deploy_lib.release.release import Release


class Restoration(Struct, frozen=True):
    """What is put back, and how.

    Attributes:
        backup: its entry in deploy.toml.
        file: what is put back.
        release: that runs, and is proven with it.
        stop: the services that stand still meanwhile.
        now: of the data that are there, once it is made; None where there is none.
        left: those of `stop` that an earlier restore has left stopped.
        aside: services that did not run before, and stay so.
        parts: the services whose containers are part of others, which may be among those of `stop`.
        ill: services that were not healthy before, which is no failure of going back.
        held: the probes that going back is proven by: those that what runs passes before; None: those of the release.
    """

    backup: Backup
    file: BackupFile
    release: Release
    stop: tuple[str, ...]
    now: BackupFile | None = None
    left: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    ill: tuple[str, ...] = ()
    held: tuple[Probe, ...] | None = None

    def commands(self, site: Site) -> list[str]:
        """The Docker commands that would be run, for a dry run."""
        return shown_of(restore_steps(site.stack, self.backup, self.file, self.stop, self.left))

    @property
    def other_release(self) -> str:
        """That it was made when another release ran; "" where that is not so."""
        if self.file.release == self.release.id:
            return ""
        return (
            f"the backup was made when {self.file.tag} ran (release {self.file.release}), and {self.release.tag} runs now: "
            "where a migration lies between them, go back first (rollback)"
        )


def choose(site: Site, facts: Facts, file: BackupFile) -> Restoration:
    """Decides how a backup is put back.

    Raises:
        PreflightError: it is not whole, nothing runs here that it could be put into, or deploy.toml no longer has its entry.
    """
    node = site.node

    def refusal(what: str, hint: str) -> PreflightError:
        return PreflightError(what, node=node.name, step="restore", hint=hint)

    if not file.whole:
        raise refusal(
            f"the file of backup {file.id} is gone, or has another size", f"see: {node.task('backups')}"
        )
    entries = {backup.name: backup for backup in node.stack.backups}
    if file.name not in entries:
        raise refusal(
            f"deploy.toml no longer says how {file.name!r} is put back: stacks.{node.stack_name}.backups has no such name",
            did_you_mean(file.name, entries) or "put its entry back",
        )
    if facts.proven is None:
        raise refusal(
            "no release is recorded here that could be proven", f"deploy one first: {node.deploy_task}"
        )
    release = facts.proven.release
    back = f"go back first: {node.task(f'rollback --node {node.name}')}"
    if facts.interrupted is not None:
        raise refusal(f"the switch to {facts.interrupted.release.title} was interrupted", back)
    if others := sorted({c.service for c in facts.containers if not _of(release, facts, c)}):
        raise refusal(f"the proven release, {release.title}, is not what runs: {', '.join(others)}", back)
    backup = entries[file.name]
    users = {c.service for c in facts.containers if backup.service in c.needs}
    found = still(facts, release, users if backup.stop is None else backup.stop)
    return Restoration(
        backup,
        file,
        release,
        **asdict(found),
        parts=tuple(sorted(facts.joins)),
        ill=ill(facts, facts.containers),
    )


def _of(release: Release, facts: Facts, container: Container) -> bool:
    image = release.images.get(container.service)
    return (
        image is None or container.image == image or container.image_id == (facts.id_of(image) or str(image))
    )
