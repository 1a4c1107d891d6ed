"""Several nodes: who goes first, who goes back, and what is said of each. The nodes only remember what was asked of them."""

import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.config import Node, load
from deploy_lib.errors import DeployError, ExitCode, RemoteError, StoppedError, UsageError
from deploy_lib.fleet import deploy as fleet
from deploy_lib.fleet.carry_out import carry_out
from deploy_lib.fleet.each import each
from deploy_lib.fleet.prepare import prepare
from deploy_lib.host.change.switch_faults import LostError
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.outcome import Outcome
from deploy_lib.output.console import Console
from deploy_lib.release.release import Version
from deploy_lib.request import Request
from tests import ROOT
from tests.unit import sample

NODES = load(ROOT, "lab").nodes


@dataclass
class Session:
    stop: threading.Event | None = field(default_factory=threading.Event)


@dataclass
class Fake:
    """A node whose steps are written down, and of which one fails."""

    node: Node
    log: list[str]
    fails: dict[str, Exception] = field(default_factory=dict)
    request: Request = field(default_factory=lambda: Request("deploy-all"))
    outcome: Outcome = Outcome.NOT_STARTED
    error: DeployError | None = None
    before: Any = None
    plan: Any = None
    interrupts: str = ""
    backups: Any = ()
    restoration: Any = None
    known: bool | None = None
    left: Any = ()
    console: Console = field(default_factory=Console)
    session: Session = field(default_factory=Session)

    @property
    def switched(self) -> bool:
        return self.outcome is Outcome.SWITCHED

    def _step(self, name: str, outcome: Outcome) -> None:
        self.log.append(f"{name} {self.node.name}")
        if name == self.interrupts and self.session.stop is not None:
            self.session.stop.set()
        if name in self.fails:
            raise self.fails[name]
        self.outcome = outcome

    fail, conclude = Deployment.fail, Deployment.conclude

    def stage(self, login: object) -> None:
        self.outcome = Outcome.UNTOUCHED
        self._step("stage", Outcome.UNTOUCHED)

    def back_up(self) -> None:
        if "backup" in self.fails:
            raise self.fails["backup"]

    def check_deferred(self) -> None:
        if "deferred" in self.fails:
            raise self.fails["deferred"]

    def switch(self, values: object) -> None:
        self.outcome = Outcome.SWITCHED
        self._step("switch", Outcome.SWITCHED)

    def record(self) -> None:
        self._step("record", Outcome.DEPLOYED)

    def go_back(self, reason: str) -> None:
        self.outcome = Outcome.FAILED
        self._step("back", Outcome.REVERTED)

    def leave(self, reason: str) -> None:
        self._step("leave", Outcome.FAILED)

    def look_again(self) -> None:
        self.known = True

    def abort(self, reason: str) -> None:
        self._step(f"abort ({reason})", Outcome.UNTOUCHED)


def run(
    request: Request | None = None, *, needed_first: bool = False, **fails: dict[str, Exception]
) -> tuple[ExitCode, list[str], list[Fake]]:
    log: list[str] = []
    request = request or Request("deploy-all")
    nodes = [Fake(NODES[n], log, fails.get(n, {}), request) for n in ("B", "C", "core")]
    monkey = cast(list[Deployment], nodes)
    code = carry_out(monkey, request, {}, (), needed_first=needed_first)
    return code, log, nodes


def test_core_is_proven_before_the_workers_begin_and_nothing_counts_before_all_are() -> None:
    code, log, nodes = run()
    assert code is ExitCode.DONE
    assert set(log[:3]) == {"stage B", "stage C", "stage core"}
    assert log[3] == "switch core"
    assert set(log[4:6]) == {"switch B", "switch C"}
    assert set(log[6:]) == {"record B", "record C", "record core"}
    assert {n.outcome for n in nodes} == {"deployed"}


def test_one_node_that_fails_takes_all_back_the_workers_first() -> None:
    code, log, nodes = run(C={"switch": DeployError("unhealthy")})
    assert code is ExitCode.FAILED_REVERTED
    assert set(log[6:8]) == {"back B", "back C"}
    assert log[8:] == ["back core"]
    assert {n.outcome for n in nodes} == {"reverted"}
    assert "unhealthy" in str(nodes[1].error)
    assert "another node failed" in str(nodes[0].error)


def test_an_error_that_nobody_foresaw_takes_all_back_too() -> None:
    code, log, nodes = run(C={"switch": KeyError("a key")})
    assert code is ExitCode.FAILED_REVERTED
    assert set(log[6:]) == {"back B", "back C", "back core"}
    assert "unforeseen error: KeyError: 'a key'" in str(nodes[1].error)


def test_where_others_could_not_reach_what_they_need_that_goes_back_first() -> None:
    _, log, _ = run(needed_first=True, C={"switch": DeployError("unhealthy")})
    assert log[6] == "back core"
    assert set(log[7:]) == {"back B", "back C"}


def test_what_cannot_be_pulled_everywhere_is_switched_to_nowhere() -> None:
    code, log, nodes = run(B={"stage": RemoteError("no space")})
    assert code is ExitCode.FAILED_REVERTED
    assert {step for step in log if not step.startswith("stage")} == {
        f"abort (B: no space) {name}" for name in ("B", "C", "core")
    }
    assert {n.outcome for n in nodes} == {"untouched"}


def test_what_cannot_be_backed_up_anywhere_is_switched_nowhere() -> None:
    code, log, nodes = run(core={"backup": DeployError("no dump")})
    assert code is ExitCode.FAILED_REVERTED
    assert not [step for step in log if step.startswith("switch")]
    assert {node.outcome for node in nodes} == {"untouched"}
    assert "what ran before still runs" in str(nodes[2].error) or "nothing was started" in str(nodes[2].error)


def test_workers_are_not_begun_when_core_fails() -> None:
    code, log, _ = run(core={"switch": DeployError("unhealthy")})
    assert code is ExitCode.FAILED_REVERTED
    assert log[3:5] == ["switch core", "back core"]
    assert set(log[5:]) == {"abort (core: unhealthy) B", "abort (core: unhealthy) C"}


def test_what_was_deferred_is_looked_at_before_the_node_is_switched() -> None:
    code, log, nodes = run(B={"deferred": DeployError("nothing is mounted")})
    assert code is ExitCode.FAILED_REVERTED
    assert "switch B" not in log
    assert nodes[0].outcome == "untouched"
    assert nodes[2].outcome == "reverted"


def test_a_node_that_cannot_be_taken_back_is_the_gravest() -> None:
    code, _, nodes = run(C={"switch": DeployError("unhealthy"), "back": DeployError("stuck")})
    assert code is ExitCode.FAILED_INCONSISTENT
    assert [n.outcome for n in nodes] == ["reverted", "failed", "reverted"]
    assert "in neither state" in str(nodes[1].error)


def test_a_node_whose_session_is_gone_goes_back_by_itself_and_that_is_said() -> None:
    lost = LostError("the session ended")
    code, _, nodes = run(C={"switch": lost, "back": lost})
    assert code is ExitCode.FAILED_INCONSISTENT
    assert "by itself" in str(nodes[1].error)


def test_a_fleet_of_which_one_node_could_not_record_is_said_to_be_split() -> None:
    code, _, nodes = run(C={"record": LostError("no room")})
    assert code is ExitCode.FAILED_INCONSISTENT
    assert [n.outcome for n in nodes] == ["deployed", "switched", "deployed"]
    assert "the new release counts on B, core" in str(nodes[1].error)
    assert "run the same command again" in str(nodes[1].error)


def test_without_rollback_everything_is_left_to_be_looked_at() -> None:
    code, log, _ = run(Request("deploy-all", no_rollback=True), C={"switch": DeployError("unhealthy")})
    assert code is ExitCode.FAILED_INCONSISTENT
    assert not [step for step in log if step.startswith("back")]
    assert {step for step in log if step.startswith("leave")} == {"leave B", "leave C", "leave core"}


def test_ctrl_c_before_any_switch_is_130_and_nothing_was_changed() -> None:
    log: list[str] = []
    node = Fake(NODES["core"], log)
    assert node.session.stop is not None
    node.session.stop.set()
    code = carry_out(cast(list[Deployment], [node]), node.request, {}, ())
    assert code is ExitCode.INTERRUPTED
    assert log == []


def test_ctrl_c_before_any_switch_is_130_whichever_nodes_had_done_their_part() -> None:
    log: list[str] = []
    shared = Session()
    done = Fake(NODES["B"], log, session=shared, interrupts="stage")
    under_way = Fake(NODES["C"], log, {"stage": StoppedError("interrupted")}, session=shared)
    request = Request("deploy-workers", parallel=1)
    assert carry_out(cast(list[Deployment], [done, under_way]), request, {}, ()) is ExitCode.INTERRUPTED
    assert all(isinstance(node.error, StoppedError) for node in (done, under_way))


def test_ctrl_c_between_the_proof_and_the_record_takes_all_back() -> None:
    log: list[str] = []
    node = Fake(NODES["core"], log, interrupts="switch")
    code = carry_out(cast(list[Deployment], [node]), node.request, {}, ())
    assert code is ExitCode.FAILED_REVERTED
    assert log == ["stage core", "switch core", "back core"]
    assert "run the command again" in str(node.error)


def test_ctrl_c_while_nodes_are_recorded_comes_too_late() -> None:
    log: list[str] = []
    shared = Session()
    nodes = [Fake(NODES[n], log, session=shared, interrupts="record") for n in ("B", "C")]
    requested = Request("deploy-workers", parallel=1)
    code = carry_out(cast(list[Deployment], nodes), requested, {}, ())
    assert code is ExitCode.DONE
    assert {n.outcome for n in nodes} == {"deployed"}


def test_workers_are_scraped_over_one_session_of_its_own() -> None:
    environment = load(ROOT, "lab")
    nodes = [environment.nodes[name] for name in ("core", "B", "C")]
    connected: list[str] = []

    def connect(node: Node) -> Any:
        connected.append(node.name)
        return Session()

    made = prepare(environment, nodes, Request("deploy-all"), Console(), connect)
    b, c, core = (next(d for d in made if d.node.name == name) for name in ("B", "C", "core"))
    assert sorted(connected) == ["B", "C", "core", "core"]
    assert core.site.scraper is None
    assert b.site.scraper is not None
    assert c.site.scraper is not None
    assert b.site.scraper.session is c.site.scraper.session is not core.session


def test_more_replicas_than_ports_are_refused_before_any_host_is_asked() -> None:
    environment = load(ROOT, "lab")
    request = Request("deploy-all", replicas={"training": 4})

    def connect(node: Node) -> Any:
        raise AssertionError("no host is to be asked")

    with pytest.raises(UsageError, match="--replicas-training 4"):
        prepare(environment, [*environment.nodes.values()], request, Console(), connect)


@pytest.mark.parametrize("taking_part", [["front", "night"], ["night"]])
def test_one_compose_project_twice_on_a_host_is_refused(tmp_path: Path, taking_part: list[str]) -> None:
    project = 'directory = "/srv/jobs"\nproject = "shop"'
    text = sample.DEPLOY.replace('directory = "/srv/jobs"', project)

    def made(text: str) -> list[Deployment]:
        environment = sample.environment(tmp_path, deploy=text)
        nodes = [environment.nodes[name] for name in taking_part]
        return prepare(environment, nodes, Request("deploy-all"), Console(), lambda _: cast(Any, Session()))

    with pytest.raises(
        UsageError, match=r"(front and night|night and front) are the Compose project shop on one host"
    ):
        made(text)
    assert len(made(sample.DEPLOY)) == len(taking_part)
    # On another host, and beside a stack whose files are broken, it is its own affair.
    assert len(made(text.replace('"a.example"', '"c.example"', 1))) == len(taking_part)
    if taking_part == ["night"]:
        assert len(made(text.replace('"shop.yml"', '"gone.yml"'))) == 1


def test_a_service_that_stays_as_it_is_is_not_refreshed_either() -> None:
    environment = load(ROOT, "lab")
    request = Request("deploy-core", services=("backend",), refresh="db")

    def connect(node: Node) -> Any:
        raise AssertionError("no host is to be asked")

    with pytest.raises(UsageError, match="--refresh db: --service leaves db as it is"):
        prepare(environment, [environment.nodes["core"]], request, Console(), connect)


@pytest.mark.parametrize("limit", [1, 2])
def test_no_more_nodes_are_worked_on_at_once_than_asked_for(limit: int) -> None:
    now, most, lock = 0, 0, threading.Lock()

    def work(_: object) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        with lock:
            now -= 1

    nodes = [Fake(NODES[n], []) for n in ("B", "C", "core")]
    each(cast(list[Deployment], nodes), work, limit)
    assert most == limit


@pytest.mark.parametrize("asked", [1, None])
def test_each_step_that_changes_hosts_keeps_to_it(asked: int | None, limits: list[int | None]) -> None:
    run(Request("deploy-all", parallel=asked))
    # Staging, backups, then two waves; recording is for all at once.
    assert limits == [asked, asked, asked, asked, None]


def test_ctrl_c_while_a_host_that_is_as_asked_for_is_probed_is_an_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = Version("1")
    found = SimpleNamespace(
        version=version,
        rendered=version,
        values={},
        logins=(),
        manifests={},
        nodes={"core": SimpleNamespace(facts=None, deferred=False)},
        left_out="",
    )
    monkeypatch.setattr(fleet, "survey", lambda *_: found)
    monkeypatch.setattr(fleet, "require_checks", lambda *_, **__: version)

    class Settled(Fake):
        def begin(self, facts: object, *, deferred: bool) -> None:
            pass

        def check_secrets(self, values: object) -> None:
            pass

        def settle(self, *_: object) -> bool:
            return True

        def stage(self, login: object) -> None:
            signal.raise_signal(signal.SIGTERM)

    node = Settled(NODES["core"], [])
    found.taking = [node]
    made = fleet.deploy(load(ROOT, "lab"), cast(list[Deployment], [node]), Request("deploy-core"), Console())
    assert (made.exit, node.log) == (ExitCode.INTERRUPTED, [])
