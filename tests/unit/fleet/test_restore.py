"""Backups on demand and restores: which nodes take part, and what follows from what fails."""

import io
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.config import Backup
from deploy_lib.errors import DeployError, ExitCode, PreflightError, UsageError
from deploy_lib.fleet import backup, restore
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.outcome import Outcome
from deploy_lib.output.console import Console
from deploy_lib.plan.steps import new_order
from deploy_lib.release.backup import BackupFile
from deploy_lib.release.release import Release
from deploy_lib.request import Request
from tests.unit import build

ROWS = Backup(name="rows", service="db", command=("dump",), check=("check",), restore=("load",))
RELEASE = Release("r1", "t", None, {}, {})
PAST = (event("proven", RELEASE),)


def file() -> BackupFile:
    return new_order(build.stack(), ROWS, RELEASE).file


@dataclass
class Fake:
    """A node that writes down what is asked of it, and of which a step may fail."""

    name: str
    log: list[str]
    files: list[BackupFile] = field(default_factory=list)
    facts: Facts = field(default_factory=lambda: Facts(history=PAST))
    fails: str = ""
    interrupts: str = ""
    entries: tuple[Backup, ...] = (ROWS,)
    outcome: Outcome = Outcome.NOT_STARTED
    error: DeployError | None = None
    session: Any = field(default_factory=lambda: SimpleNamespace(stop=threading.Event(), close=lambda: None))
    site: Any = None
    console: Console = field(default_factory=lambda: Console(err=io.StringIO()))

    @property
    def node(self) -> Any:
        stack = SimpleNamespace(backups=self.entries)
        return SimpleNamespace(
            name=self.name,
            stack=stack,
            stack_name="shop",
            task=lambda words: words,
            deploy_task="deploy-shop",
        )

    @property
    def before(self) -> Any:
        return self.facts.proven

    @property
    def switched(self) -> bool:
        return self.outcome is Outcome.SWITCHED

    fail, skip = Deployment.fail, Deployment.skip

    def _step(self, name: str, outcome: Outcome) -> None:
        self.log.append(f"{name} {self.name}")
        if name == self.interrupts:
            self.session.stop.set()
        if name == self.fails:
            raise DeployError(f"{name} failed")
        self.outcome = outcome

    def refresh_facts(self, version: None) -> None:
        pass

    def check_back(self, stacks: object) -> None:
        pass

    def lock(self) -> None:
        self.log.append(f"lock {self.name}")

    def release_lock(self) -> None:
        self.log.append(f"unlock {self.name}")

    def choose_backup(self, file: BackupFile) -> None:
        self._step("choose", Outcome.NOT_STARTED)

    def restore(self) -> None:
        self.outcome = Outcome.SWITCHED
        self._step("restore", Outcome.SWITCHED)

    def record(self) -> None:
        self._step("record", Outcome.RESTORED)

    def go_back(self, reason: str) -> None:
        self._step(f"back ({reason})", Outcome.REVERTED)

    def back_up_now(self) -> None:
        self._step("backup", Outcome.BACKED_UP)

    def conclude(self, recorded: object) -> ExitCode:
        return ExitCode.FAILED_REVERTED if self.error else ExitCode.DONE


def run(monkeypatch: pytest.MonkeyPatch, *nodes: Fake, wanted: str, **request: Any) -> ExitCode:
    by_session = {id(node.session): node for node in nodes}
    monkeypatch.setattr(restore, "list_backups", lambda session, stack: by_session[id(session)].files)
    for node in nodes:
        node.site = SimpleNamespace(stack=None)
    fleet = cast(list[Deployment], list(nodes))
    return restore.restore(fleet, Request("restore", **request), Console(err=io.StringIO()), wanted).exit


def test_only_the_node_that_has_the_backup_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    mine = file()
    nodes = Fake("a", log, [file()]), Fake("b", log, [mine]), Fake("c", log, entries=())
    assert run(monkeypatch, *nodes, wanted=mine.id) is ExitCode.DONE
    assert log == ["lock b", "choose b", "restore b", "record b", "unlock b"]


def test_a_dry_run_takes_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    mine = file()
    assert run(monkeypatch, Fake("a", log, [mine]), wanted=mine.id, dry_run=True) is ExitCode.DONE
    assert log == ["choose a"]


@pytest.mark.parametrize("how", ["fails", "interrupts"])
def test_what_is_not_proven_is_undone(monkeypatch: pytest.MonkeyPatch, how: Any) -> None:
    log: list[str] = []
    mine = file()
    node = Fake("a", log, [mine], **{how: "restore"})
    assert run(monkeypatch, node, wanted=mine.id) is ExitCode.FAILED_REVERTED
    why = {"fails": "a: restore failed", "interrupts": "a: interrupted"}[how]
    assert log[-2:] == [f"back ({why}) a", "unlock a"]
    assert node.outcome == "reverted"


def test_what_cannot_be_put_back_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    mine = file()
    with pytest.raises(DeployError, match="choose failed"):
        run(monkeypatch, Fake("a", log, [mine], fails="choose"), wanted=mine.id)
    assert log == ["lock a", "choose a", "unlock a"]


def test_a_backup_that_no_node_or_more_than_one_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = file()
    with pytest.raises(PreflightError, match=f"did you mean {mine.id}"):
        run(monkeypatch, Fake("a", [], [mine]), wanted=mine.id[:-1])
    with pytest.raises(PreflightError, match="see: backups"):
        run(monkeypatch, Fake("a", []), wanted="x")
    with pytest.raises(PreflightError, match="a, b all have a backup"):
        run(monkeypatch, Fake("a", [], [mine]), Fake("b", [], [mine]), wanted=mine.id)
    with pytest.raises(UsageError, match=r"deploy\.toml has no backups for shop"):
        run(monkeypatch, Fake("a", [], entries=()), wanted="x")


def test_what_was_never_deployed_is_not_locked_and_what_has_no_record_is_refused() -> None:
    log: list[str] = []
    nodes = [Fake("a", log), Fake("b", log, facts=Facts()), Fake("c", log, entries=())]
    done = backup.back_up(cast(list[Deployment], nodes), Request("backup"), Console(err=io.StringIO()))
    assert log == ["lock a", "backup a", "unlock a"]
    assert [node.outcome for node in done.nodes] == ["backed up", "unchanged"]
    unknown = Fake("a", log, facts=Facts(containers=(build.container(),)))
    with pytest.raises(PreflightError, match="no release is recorded here"):
        backup.back_up(cast(list[Deployment], [unknown]), Request("backup"), Console(err=io.StringIO()))
