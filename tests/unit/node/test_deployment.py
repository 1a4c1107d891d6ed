"""One node's story where it breaks off, with a session that says what a test wants."""

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Self, cast

import pytest

from deploy_lib.compose.project import Project
from deploy_lib.errors import DeployError, ExitCode, PreflightError, RemoteError, StoppedError, UsageError
from deploy_lib.host.change.detached import ENGINE_TIMEOUT, longest_forward
from deploy_lib.host.change.history import event
from deploy_lib.host.change.lock import Lock, me
from deploy_lib.host.change.place import Placement
from deploy_lib.host.change.prune import PruneError
from deploy_lib.host.change.rolling import GRACE, Roll
from deploy_lib.host.change.switch import Switch
from deploy_lib.host.change.switch_faults import LostError, NotBegunError, SwitchError
from deploy_lib.host.change.watch import Watch
from deploy_lib.host.gateways.haproxy import HAProxy
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Manifest
from deploy_lib.layout import SECRETS_LABEL
from deploy_lib.node import preflight as node_preflight
from deploy_lib.node import pruning, visit
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.outcome import Outcome
from deploy_lib.node.preflight import judge_host, judge_way
from deploy_lib.node.site import Site
from deploy_lib.node.switching import Switching
from deploy_lib.output.console import Console
from deploy_lib.release.history import Event
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.secrets.value import Secret
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace
from tests.unit import build
from tests.unit.plan.test_decide import NODE, VERSION, case, forward, past, rendered, values


def deployment(**session: object) -> Deployment:
    connected = cast(Session, SimpleNamespace(stop=None, node="core", **session))
    made = Deployment(Site(case(), connected, Console(err=io.StringIO())))
    made.facts = rendered("h/x:2")
    made._lock = Lock(made.session, NODE.directory, me("a test"))
    return made


def switching(node: Deployment, **watch: object) -> None:
    assert node.decision is not None
    started = cast(Watch, SimpleNamespace(left=(), notes=[], ill=(), **watch))
    node._under_way = Switching(node.site, node.decision, started, node._event)


def raises(error: Exception) -> object:
    def run(*_: object, **__: object) -> None:
        raise error

    return run


def test_a_node_whose_session_is_gone_before_its_switch_is_untouched() -> None:
    gone = raises(RemoteError("the SSH session has ended"))
    node = deployment(start=gone, require_alive=gone)
    node.decision = forward(node.facts, Manifest(Image("h/x", "2"), f"sha256:{'b' * 64}"))
    node.outcome = Outcome.UNTOUCHED
    with pytest.raises(RemoteError) as raised:
        node.switch(values())
    node.fail(raised.value)
    assert node.conclude() is ExitCode.FAILED_REVERTED


def test_a_rotation_that_could_not_go_back_is_run_again() -> None:
    node = deployment()
    decision = forward(node.facts, Manifest(Image("h/x", "2"), f"sha256:{'b' * 64}"))
    node.decision = replace(decision, plan=replace(decision.plan, applies=("PW",)))
    node.outcome = Outcome.FAILED
    node.fail(DeployError("db did not change PW back"))
    assert node.conclude() is ExitCode.FAILED_INCONSISTENT
    assert str(node.error).endswith("run it again: invoke rotate-secrets")


def test_nothing_is_called_unchanged_that_cannot_be_compared() -> None:
    node = deployment()
    kept = replace(node.facts, key="", containers=(build.container(labels={SECRETS_LABEL: "PW=ab"}),))
    node.facts = kept
    with pytest.raises(
        PreflightError, match=r"\.deploy/key is gone, so nothing can tell which values were changed"
    ):
        node.changed_secrets(values())


def test_nothing_is_decided_from_half_of_the_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    half = replace(rendered("h/x:2"), problems={"containers": "Cannot connect to the Docker daemon"})
    for found, version in ((half, None), (half, VERSION), (Facts(), VERSION)):
        monkeypatch.setattr(node_preflight, "gather", lambda *_, found=found, **__: found)
        with pytest.raises(PreflightError, match="facts:"):
            deployment().refresh_facts(version)


def test_the_files_are_rendered_again_only_where_they_may_mean_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    again: list[bool] = []

    def gather(*_: object, **more: object) -> Facts:
        again.append(more.get("known") is not None)
        return replace(rendered("h/x:2"), asked=(1, 2))

    monkeypatch.setattr(node_preflight, "gather", gather)
    node = deployment()
    session, job = node.session, node.job
    first = node_preflight.look(session, job, VERSION)
    node_preflight.look(session, job, VERSION, first)
    node_preflight.look(session, job, None, first)
    assert again == [False, True, True]
    del again[:]
    node_preflight.look(session, job, replace(VERSION, tag="other"), first)
    node_preflight.look(session, job, VERSION, replace(first, problems={"config": "no such file"}))
    node_preflight.look(session, job, VERSION, replace(first, rendered=None))
    node_preflight.look(session, job, None, Facts())
    assert again == [False] * 4


def test_no_flag_deploys_a_secret_that_stands_in_a_command() -> None:
    node = deployment()
    node.site = replace(node.site, job=case(skip_validation=True))  # type: ignore[arg-type]
    web = replace(node.facts.services["web"], refused=(("services.web.command", "--key=${KEY}"),))
    node.facts = replace(node.facts, services={"web": web})
    with pytest.raises(PreflightError, match=r"a secret would stand in services\.web\.command"):
        node.check_secrets(values())


def test_nothing_is_decided_where_others_can_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    loose = replace(rendered("h/x:2"), strangers=(("/opt is loose", "chmod go-w /opt"),))
    monkeypatch.setattr(node_preflight, "gather", lambda *_, **__: loose)
    for version in (None, VERSION):
        with pytest.raises(PreflightError, match=r"ownership: /opt is loose\n    -> chmod go-w /opt"):
            deployment().refresh_facts(version)


def test_what_lies_on_a_host_is_read_by_the_names_that_its_release_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facts = rendered("h/x:2")
    old = replace(facts.history[0].release, files={"old.yml": "1", "old.env": "2"}, places=None)
    asked: list[Project] = []
    monkeypatch.setattr(
        node_preflight, "ask_deployed", lambda _, project, *__: (project, asked.append(project))
    )
    node = deployment()
    node_preflight.look_at_places(node.session, node.job, replace(facts, history=(event("proven", old),)))
    assert asked[0].inputs == ("old.yml", "release.yml", "release.env", "old.env")


def test_of_what_was_adopted_and_taken_down_since_nothing_is_left_to_be_read() -> None:
    node = deployment()
    (proven,) = node.facts.history
    gone = replace(node.facts, history=(replace(proven, kind="adopted"),), containers=())
    assert gone.adopted
    # The session fails whoever asks it something.
    assert node_preflight.look_at_places(node.session, node.job, gone) == gone


@pytest.mark.parametrize(("delivery", "place"), [("compose", None), ("memory", "/run/ktrdr-secrets/p")])
def test_the_place_of_secrets_in_memory_is_taken_with_the_lock(
    monkeypatch: pytest.MonkeyPatch, delivery: str, place: str | None
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(
        visit,
        "Lock",
        lambda *arguments: asked.append(arguments[3]) or SimpleNamespace(take=lambda *_: None),
    )
    node = deployment()
    stack = NODE.stack.model_copy(update={"delivery": delivery})
    node.site = replace(node.site, job=replace(node.job, node=NODE.model_copy(update={"stack": stack})))
    node.facts = replace(node.facts, memory="/run")
    node.lock()
    project = node.local.project
    assert [str(found) for found in asked] == [str(place).replace("/p", f"/{project}")]


@pytest.mark.parametrize("rolled", [False, True])
def test_a_switch_that_was_left_to_itself_is_waited_for_as_long_as_it_may_take_there_and_back(
    monkeypatch: pytest.MonkeyPatch, rolled: bool
) -> None:
    patience: list[float] = []
    taken = SimpleNamespace(take=lambda wait, switch_wait, *_: patience.append(switch_wait))
    monkeypatch.setattr(visit, "Lock", lambda *_: taken)
    node = deployment()
    tables = (HAProxy(service="web"),) if rolled else ()
    stack = NODE.stack.model_copy(update={"rolling": tables, "apply": (), "before_switch": ()})
    node.site = replace(node.site, job=replace(node.job, node=NODE.model_copy(update={"stack": stack})))
    (proven,) = node.facts.history
    # The interrupted release has three containers, whatever the one before had.
    begun = event("started", replace(proven.release, id="r9", replicas={"web": 3}))
    node.facts = replace(node.facts, history=(proven, begun))
    node.lock()
    rolls = [Roll(table, 3) for table in tables]
    left = Switch("token", Placement(), Placement(), [begun], begun, begun, rolls=rolls)
    assert patience[0] >= 2 * longest_forward(node.site.stack, left)
    each = stack.healthy_timeout + GRACE + 60
    assert patience[0] >= 2 * (stack.switch_timeout + ENGINE_TIMEOUT + 4 * each * rolled)


class Removing:
    """A script that removes one file, and then does what a test wants."""

    stderr = "rm: cannot remove it\n"

    def __init__(self, then: Callable[[], object]) -> None:
        self.then = then

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[str]:
        yield "removed file old"
        self.then()

    def wait(self) -> int:
        return 1


def removing(then: Callable[[], object] = lambda: None) -> Deployment:
    return deployment(start=lambda *_, **__: Removing(then))


def test_pruning_that_removes_a_part_names_both() -> None:
    node, gone = removing(), list[str]()
    with pytest.raises(PruneError, match="cannot remove it") as raised:
        node.prune(gone.append)
    node.fail(raised.value)
    assert gone == ["file old"]
    code = node.conclude()
    assert code is ExitCode.FAILED_REVERTED
    assert "what ran before still runs" in str(node.error)


@pytest.mark.parametrize("end", [StoppedError("interrupted"), RemoteError("the SSH session ended")])
def test_pruning_that_is_cut_short_names_what_is_gone(end: DeployError) -> None:
    gone: list[str] = []
    node = removing(cast(Callable[[], object], raises(end)))
    with pytest.raises(DeployError, match=r"interrupted; some|session ended") as raised:
        node.prune(gone.append)
    node.fail(raised.value)
    assert gone == ["file old"]
    assert node.conclude() is ExitCode.FAILED_REVERTED


def test_pruning_keeps_what_was_left_half_way(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    node = deployment()
    first = node.facts.history[0]
    half = event("failed", replace(first.release, id="half"))
    node.facts = replace(node.facts, history=(first, half))

    def prune(_: object, directory: object, kept: Iterable[Release], *rest: object, **more: object) -> None:
        seen.extend(release.id for release in kept)

    monkeypatch.setattr(pruning, "remove_old", prune)
    node.prune(lambda _: None)
    assert seen == [first.release.id, "half"]
    assert node.outcome == "unchanged"


def test_a_release_that_the_host_did_not_record_is_not_deployed() -> None:
    node = deployment()
    node.decision = forward(node.facts, Manifest(Image("h/x", "2"), f"sha256:{'b' * 64}"))
    node.outcome = Outcome.SWITCHED
    switching(node, conclude=lambda *_: None, await_end=lambda _: False)
    with pytest.raises(LostError, match="could not record"):
        node.record()
    assert node.outcome == "switched"


def test_a_node_whose_switch_never_began_is_untouched_although_ctrl_c_came_first() -> None:
    node = deployment()
    node.decision = forward(node.facts, Manifest(Image("h/x", "2"), f"sha256:{'b' * 64}"))
    node.outcome = Outcome.SWITCHED
    switching(node, conclude=raises(NotBegunError("the lock lapsed")))
    with pytest.raises(NotBegunError):
        node.go_back("interrupted")
    assert node.outcome == "untouched"


def test_a_lock_is_given_back_although_ctrl_c_was_pressed() -> None:
    node = deployment()
    node.session.stop = threading.Event()
    node.session.stop.set()
    node.release_lock()
    assert node.session.stop is None


def test_nothing_is_pruned_where_a_stack_runs_without_a_record() -> None:
    node = deployment()
    node.facts = replace(node.facts, history=())
    with pytest.raises(PreflightError, match="without a record") as raised:
        node.check_record()
    node.fail(raised.value)
    assert node.conclude() is ExitCode.NOT_STARTED


def test_a_switch_that_still_goes_on_is_not_said_to_be_interrupted() -> None:
    node = deployment()
    node.facts, first = past()
    begun = event("started", replace(first.release, id="r9"))
    held = replace(node.facts.machine, locked="somebody")
    for facts, lock, said in (
        (replace(node.facts, machine=held), None, "is still running"),
        (replace(node.facts, machine=held), node._lock, "was interrupted"),
        (node.facts, None, "was interrupted"),
    ):
        node.facts, node._lock = replace(facts, history=(first, begun)), lock
        node.site = replace(node.site, console=Console(err=(err := io.StringIO())))
        node.decide_back(first)
        assert said in err.getvalue()


@pytest.mark.parametrize("forbidden", [True, False])
def test_what_cannot_be_proven_is_not_switched_to(forbidden: bool) -> None:
    """A rollback that finds out in its proof has interrupted the host for nothing."""
    asked: list[tuple[str, int]] = []

    def forbids(host: str, port: int) -> bool:
        asked.append((host, port))
        return forbidden

    node = deployment(forbids_forwarding=forbids, reserve=lambda count: count)
    with pytest.raises(PreflightError) as caught:
        node.check_back(())
    assert ("AllowTcpForwarding" in str(caught.value)) == forbidden
    assert len(asked) == 1


def test_shared_storage_that_the_same_command_brings_back_is_looked_at_later() -> None:
    node = deployment(forbids_forwarding=lambda *_: False, reserve=lambda count: count)
    needy = node.node.stack.model_copy(update={"shared_storage": "/mnt/shared", "needs": ["core"]})
    node.site = replace(node.site, job=replace(node.job, node=node.node.model_copy(update={"stack": needy})))
    found = [
        {c.name: c.result for c in judge_host(node.node, node.facts, stacks, rendered=False)}
        for stacks in ((), ("core",))
    ]
    assert [checks["shared storage"] for checks in found] == ["failed", "deferred"]


def test_a_value_that_no_host_has_room_for_is_named_with_its_size() -> None:
    given = values()
    (name,) = given
    large = {**given, name: Secret("v" * 131_072)}
    deployment().check_room(given, [name])
    with pytest.raises(UsageError, match=f"{name} has 131072 bytes") as caught:
        deployment().check_room(large, [name])
    assert "vvv" not in str(caught.value)


def test_when_going_back_fails_as_well_the_first_cause_is_told_too() -> None:
    node = deployment()
    node.fail(DeployError("the API does not answer"))
    node.fail(DeployError("exit status 1"))
    assert "exit status 1" in str(node.error)
    assert "before that: the API does not answer" in str(node.error)
    again = DeployError("the same")
    node.fail(again)
    node.fail(again)
    assert str(node.error).count("the same") == 1


def test_a_failed_release_is_left_although_docker_does_not_say_what_runs() -> None:
    node = deployment()
    node.decision = forward(node.facts, Manifest(Image.parse("h/x:2"), f"sha256:{'b' * 64}"))
    node.outcome = Outcome.SWITCHED
    heard: list[object] = []

    def silent() -> Iterator[object]:
        raise SwitchError("Docker does not list the containers")
        yield

    switching(node, looks=silent, conclude=lambda word, _: heard.append(word), await_end=lambda _: True)
    node.leave("unhealthy")
    assert heard == ["leave"]


def test_the_history_gets_no_lines_of_a_containers_log() -> None:
    node = deployment()
    node.decision = forward(node.facts, Manifest(Image.parse("h/x:2"), f"sha256:{'b' * 64}"))
    node.outcome = Outcome.SWITCHED
    told: list[str] = []
    problem = DeployError("web is not healthy\n    | a line of its log")

    def conclude(_: object, events: list[Event]) -> None:
        told.extend(event.detail for event in events)

    switching(node, conclude=conclude, await_back=raises(problem), await_end=lambda _: True)
    with pytest.raises(DeployError, match="web is not healthy"):
        node.go_back("the reason")
    assert told == ["the reason", "web is not healthy"]


def test_a_stack_whose_probes_ask_no_url_needs_no_forwarding() -> None:
    node = deployment(reserve=lambda count: count)
    silent = node.node.model_copy(update={"stack": node.node.stack.model_copy(update={"probes": ()})})
    assert [check.name for check in judge_way(node.session, silent, Facts())] == ["sessions"]
    narrow = deployment(reserve=lambda count: count - 1)
    (check,) = judge_way(narrow.session, silent, Facts())
    assert check.result == "failed"
    assert "MaxSessions" in check.problem
