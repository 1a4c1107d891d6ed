"""How far a node comes whose data are backed up or put back."""

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.errors import DeployError
from deploy_lib.host.change.backup import BackupError
from deploy_lib.host.change.switch_faults import NotBegunError
from deploy_lib.host.change.watch import Watch
from deploy_lib.node import backup as node_backup
from deploy_lib.node import restoring, upkeep
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.outcome import Outcome
from deploy_lib.node.restoration import Restoration
from deploy_lib.output.console import Console
from deploy_lib.values import replace
from tests.unit.node.test_restoring import ENTRY, FACTS, RELEASE, deployment, file

Step = Callable[[Deployment], object]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A node whose host does all that it is told."""
    given: list[str] = []
    host: Any = SimpleNamespace(
        finish=lambda: None,
        looks=lambda: iter(()),
        look=lambda: (),
        clock=lambda: 0.0,
        conclude=lambda word, _: given.append(word),
        await_back=lambda: None,
        await_end=lambda _: True,
        given=given,
    )
    monkeypatch.setattr(restoring.watch, "start", lambda *_: cast(Watch, host))
    monkeypatch.setattr(restoring.proof, "prove", lambda *_, **__: FACTS.containers)
    monkeypatch.setattr(node_backup.backups, "make", lambda *_, **__: [file(id="20260101T000000Z-rows-0002")])
    made = deployment(ENTRY)
    made.restoration = Restoration(ENTRY, file(), replace(RELEASE, probes=()), ("web",))
    return made


@pytest.mark.parametrize(
    ("then", "outcome", "verdicts"),
    [
        (None, Outcome.SWITCHED, []),
        (Deployment.record, Outcome.RESTORED, ["proven"]),
        (lambda n: n.go_back("ill"), Outcome.REVERTED, ["revert", "leave"]),
        # A restore that fails is always undone.
        (lambda n: n.leave("ill"), Outcome.SWITCHED, []),
    ],
    ids=["as it waits", "recorded", "gone back", "not left"],
)
def test_data_that_are_put_back_wait_for_a_verdict(
    node: Deployment, then: Step | None, outcome: Outcome, verdicts: list[str]
) -> None:
    node.restore()
    assert node.containers == FACTS.containers
    if then is not None:
        then(node)
    assert node.outcome is outcome
    assert cast(Any, node._under_way)._watch.given == verdicts
    assert node.restoration is not None
    assert node.restoration.now == node.backups[0]
    assert not node.left


def raising(error: DeployError) -> Callable[..., None]:
    def run(*_: object, **__: object) -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(NotBegunError("no room"), Outcome.UNTOUCHED), (DeployError("ill"), Outcome.SWITCHED)],
)
def test_a_restore_that_changed_nothing_has_nothing_to_undo(
    node: Deployment, monkeypatch: pytest.MonkeyPatch, error: DeployError, outcome: Outcome
) -> None:
    monkeypatch.setattr(restoring.proof, "prove", raising(error))
    with pytest.raises(type(error)):
        node.restore()
    assert node.outcome is outcome


def test_a_backup_that_may_bring_an_earlier_password_back_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "check_whole", lambda *_: None)
    monkeypatch.setattr(upkeep, "outdated", lambda *_: "PW: changed since")
    made, err = deployment(ENTRY), io.StringIO()
    made.site = replace(made.site, console=Console(err=err))
    made.choose_backup(file())
    assert "warning: PW: changed since" in err.getvalue()


def test_nothing_is_put_back_that_was_not_chosen(node: Deployment) -> None:
    node.restoration = None
    with pytest.raises(RuntimeError, match="chosen before"):
        node.restore()


def test_backups_on_demand_are_no_deployment(node: Deployment) -> None:
    node.back_up_now()
    assert node.outcome is Outcome.BACKED_UP
    assert len(node.backups) == 1


def test_what_cannot_be_backed_up_stops_a_deployment_unless_checks_are_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_backup.backups, "make", raising(BackupError("no dump")))
    strict = deployment(ENTRY)
    with pytest.raises(BackupError, match="no dump") as raised:
        strict._make_backups([ENTRY], RELEASE, "before 2", needed="goes on")
    assert "--skip-validation" in str(raised.value)
    lenient = deployment(ENTRY, request={"skip_validation": True})
    lenient._make_backups([ENTRY], RELEASE, "before 2", needed="goes on")
    assert lenient.backups == ()
