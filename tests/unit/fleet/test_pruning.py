"""Pruning on demand: which nodes take part, and that it is done under their locks."""

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.cli import report
from deploy_lib.compose.container import Container
from deploy_lib.errors import DeployError, ExitCode, PreflightError
from deploy_lib.fleet import pruning
from deploy_lib.fleet.done import Done
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.outcome import Outcome
from deploy_lib.output.console import Console
from deploy_lib.release.release import Release
from deploy_lib.request import Request

PAST = (event("proven", Release("r1", "t", None, {}, {})),)


@dataclass
class Fake:
    """A node that writes down what is asked of it."""

    name: str
    facts: Facts
    log: list[str]
    outcome: Outcome = Outcome.NOT_STARTED
    error: DeployError | None = None
    before: Any = None
    plan: Any = None
    backups: Any = ()
    restoration: Any = None
    known: bool | None = None
    running: tuple[Container, ...] = ()
    left: Any = ()
    containers: tuple[Container, ...] = ()
    request: Request = field(default_factory=lambda: Request("prune"))
    session: Any = field(default_factory=lambda: SimpleNamespace(stop=threading.Event(), close=lambda: None))

    @property
    def node(self) -> Any:
        return SimpleNamespace(name=self.name, task=lambda words: words)

    fail, conclude, skip = Deployment.fail, Deployment.conclude, Deployment.skip

    def refresh_facts(self, version: None) -> None:
        self.log.append(f"look again {self.name}")
        if self.facts.problems:
            raise PreflightError("half of it")

    def foresee_pruning(self, on_found: Callable[[str], object]) -> None:
        self.log.append(f"foresee {self.name}")
        on_found("file x")
        self.outcome = Outcome.PLANNED

    def lock(self) -> None:
        self.log.append(f"lock {self.name}")

    def release_lock(self) -> None:
        self.log.append(f"release {self.name}")

    def check_record(self) -> None:
        if self.facts.containers and not self.facts.history:
            raise PreflightError("no record")

    def prune(self, on_removed: Callable[[str], object]) -> None:
        self.log.append(f"prune {self.name}")
        on_removed("file old")
        self.outcome = Outcome.PRUNED


def prune(*nodes: Fake, parallel: int | None = None) -> Done:
    return pruning.prune(
        cast(list[Deployment], list(nodes)), Request("prune", parallel=parallel), Console(err=io.StringIO())
    )


def test_it_is_done_under_the_lock_from_what_is_known_then() -> None:
    log: list[str] = []
    done = prune(Fake("core", Facts(history=PAST), log))
    assert done.exit is ExitCode.DONE
    assert done.removed == {"core": ["file old"]}
    assert log == ["look again core", "lock core", "look again core", "prune core", "release core"]


@pytest.mark.parametrize(
    "facts", [Facts(history=PAST), Facts(objects=frozenset({"x"})), Facts(keep_tags=frozenset({"x"}))]
)
def test_what_a_first_deployment_staged_in_vain_counts(facts: Facts) -> None:
    log: list[str] = []
    prune(Fake("core", facts, log))
    assert "prune core" in log


def test_nothing_is_locked_where_nothing_ever_was() -> None:
    log: list[str] = []
    node = Fake("core", Facts(), log)
    assert prune(node).exit is ExitCode.DONE
    assert log == ["look again core"]
    assert node.outcome == "unchanged"


def test_nothing_is_removed_anywhere_when_one_node_is_not_known_whole() -> None:
    log: list[str] = []
    half = Facts(history=PAST, problems={"history": "Input/output error"})
    with pytest.raises(PreflightError):
        prune(Fake("B", half, log), Fake("core", Facts(history=PAST), log))
    assert not any("prune" in line or "lock" in line for line in log)


def test_nothing_is_removed_anywhere_when_one_node_has_no_record() -> None:
    log: list[str] = []
    lost = Facts(objects=frozenset({"x"}), containers=(cast(Container, None),))
    with pytest.raises(PreflightError):
        prune(Fake("B", Facts(history=PAST), log), Fake("C", lost, log))
    assert not any("prune" in line for line in log)


def test_a_dry_run_takes_no_lock_and_tells_what_would_go() -> None:
    log: list[str] = []
    request = Request("prune", dry_run=True)
    node = Fake("core", Facts(history=PAST), log, request=request)
    done = pruning.prune(cast(list[Deployment], [node]), request, Console(err=io.StringIO()))
    assert log == ["look again core", "foresee core"]
    assert (done.exit, done.removed, node.outcome) == (ExitCode.DONE, {"core": ["file x"]}, Outcome.PLANNED)
    told = report.as_dict(cast(Deployment, node), done)
    assert (told["pruned"], told["plan"]) == ([], {"removed": ["file x"]})


def test_a_dry_run_refuses_what_pruning_would() -> None:
    lost = Facts(objects=frozenset({"x"}), containers=(cast(Container, None),))
    request = Request("prune", dry_run=True)
    with pytest.raises(PreflightError, match="no record"):
        pruning.prune(cast(list[Deployment], [Fake("C", lost, [])]), request, Console(err=io.StringIO()))


def test_it_keeps_to_the_number_of_nodes_at_once(limits: list[int | None]) -> None:
    prune(Fake("core", Facts(history=PAST), []), parallel=1)
    assert limits[-1] == 1
