"""Going back from a restore is judged by what was before, and what is said of the data when it fails."""

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.compose.labels import DEPENDS_ON
from deploy_lib.config import Backup, Probe
from deploy_lib.errors import DeployError, ExitCode, RemoteError, StoppedError
from deploy_lib.host.change.backup import BackupError
from deploy_lib.host.change.history import event
from deploy_lib.host.change.lock import Lock, me
from deploy_lib.host.change.switch import Switch
from deploy_lib.host.change.switch_faults import LostError
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.prove.probe import Finding
from deploy_lib.node import before, proof, restoration, restoring, upkeep
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.outcome import Outcome
from deploy_lib.node.restoration import Restoration
from deploy_lib.node.restoring import Restoring
from deploy_lib.node.site import Site
from deploy_lib.output.console import Console
from deploy_lib.plan.steps import new_order
from deploy_lib.release.backup import BackupFile
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace
from tests.unit import build
from tests.unit.plan.test_decide import case

ENTRY = Backup(name="rows", service="db", command=("dump",), check=("check",), restore=("load",), timeout=5)
IMAGES = {name: Image.parse(f"h/{name}:1@sha256:{'a' * 64}") for name in ("db", "web", "watch")}
RELEASE = Release("r1", "sha-0000001", None, IMAGES, {})

HOLDS = Probe(name="holds", service="db", state="running")
BROKEN = Probe(name="broken", service="db", log="never")


def container(service: str, needs: str = "", **more: Any) -> Any:
    return build.container(
        service=service, id=service, image=IMAGES[service], labels={DEPENDS_ON: needs}, **more
    )


FACTS = Facts(
    history=(event("proven", RELEASE),),
    containers=(
        container("db"),
        container("web", "db:service_healthy:false"),
        container("watch", "web:service_started:true,other:service_started:false"),
    ),
)


def deployment(*entries: Backup, request: dict[str, Any] | None = None) -> Deployment:
    job = case(**(request or {}))
    node = job.node.model_copy(update={"stack": job.node.stack.model_copy(update={"backups": entries})})
    connected = cast(Session, SimpleNamespace(stop=None, node="core"))
    made = Deployment(Site(replace(job, node=node), connected, Console(err=io.StringIO())))
    made.facts = FACTS
    made._lock = Lock(made.session, node.directory, me("a test"))
    return made


def file(**changes: Any) -> BackupFile:
    made = new_order(build.stack(), ENTRY, RELEASE, why="a test").file
    return replace(made, size=5, **changes)


def test_what_did_not_run_before_stays_as_it_is_and_is_no_part_of_the_proof(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    err = io.StringIO()
    site = replace(
        deployment(ENTRY.model_copy(update={"stop": ("web", "watch")})).site, console=Console(err=err)
    )
    down = [replace(c, state="exited") if c.service == "watch" else c for c in FACTS.containers]
    what = restoration.choose(site, replace(FACTS, containers=tuple(down)), file())
    assert (what.stop, what.aside) == (("web",), ("watch",))
    proven: list[Release] = []
    host: Any = SimpleNamespace(finish=lambda: None, looks=tuple, look=tuple, clock=lambda: 0.0)
    monkeypatch.setattr(restoring.watch, "start", lambda *_: host)
    monkeypatch.setattr(restoring.proof, "prove", lambda *given, **_: proven.append(given[2]))
    Restoring(site, what, "token", ":", 0).prove()
    assert sorted(proven[0].images) == ["db", "web"]
    assert "not started, as it did not run before: watch" in err.getvalue()


def test_the_history_says_what_a_restore_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Switch] = []
    monkeypatch.setattr(restoring.watch, "start", lambda *all_of_it: given.append(all_of_it[2]))
    site = deployment(ENTRY).site
    Restoring(site, restoration.choose(site, FACTS, file()), "token", ":", 0)
    assert [each.stopped for each in given[0].started] == [("web",)]


@pytest.mark.parametrize(
    ("outcome", "error", "code", "said"),
    [
        (Outcome.RESTORED, None, ExitCode.DONE, ""),
        (
            Outcome.UNTOUCHED,
            BackupError("no dump"),
            ExitCode.FAILED_REVERTED,
            "no dump\n  the data are as they were before",
        ),
        (
            Outcome.REVERTED,
            DeployError("ill"),
            ExitCode.FAILED_REVERTED,
            "ill\n  the data are as they were before",
        ),
        (Outcome.UNTOUCHED, StoppedError("interrupted"), ExitCode.INTERRUPTED, "interrupted"),
        (Outcome.NOT_STARTED, RemoteError("no answer"), ExitCode.NOT_STARTED, "no answer"),
        (
            Outcome.FAILED,
            DeployError("ill"),
            ExitCode.FAILED_INCONSISTENT,
            "restore --node A --backup NOW",
        ),
        (Outcome.SWITCHED, LostError("gone"), ExitCode.FAILED_INCONSISTENT, "puts NOW back by itself"),
    ],
)
def test_a_restore_ends_with_a_status_and_the_state_of_the_data(
    outcome: Outcome, error: DeployError | None, code: ExitCode, said: str
) -> None:
    site = deployment(ENTRY).site
    now = file(id="20260101T000000Z-rows-0001")
    what = Restoration(ENTRY, file(), RELEASE, ("web",), now)
    ended, told = restoring.final(outcome, error, site, what)
    assert ended is code
    assert said.replace("NOW", now.id) in str(told or "")


def test_going_back_is_judged_by_what_held_before_the_restore_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged: list[tuple[Release, set[str]]] = []

    def prove(*arguments: Any, clock: Any) -> Any:
        judged.append((arguments[2], set(arguments[-1])))
        return ()

    monkeypatch.setattr(proof, "prove", prove)
    started = SimpleNamespace(
        looks=list, look=list, clock=float, finish=lambda: None, await_back=lambda: None
    )
    started.conclude = lambda *_: None
    started.await_end = lambda *_: True
    monkeypatch.setattr(restoring.watch, "start", lambda *_: started)
    release = replace(RELEASE, ends={"job": "must"}, probes=(HOLDS, BROKEN))
    what = Restoration(ENTRY, file(), release, ("web",), file(), ill=("web",), held=(HOLDS,))
    going = restoring.Restoring(deployment(ENTRY).site, what, "t", ":", 0)
    going.prove()
    going.go_back("web is not healthy")
    assert judged == [(release, {"job"}), (replace(release, probes=(HOLDS,)), {"job", "web"})]


def test_what_runs_is_asked_before_its_data_are_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    node, begun = deployment(ENTRY), list[Restoration]()
    node.restoration = Restoration(ENTRY, file(), replace(RELEASE, probes=(HOLDS, BROKEN)), ())
    monkeypatch.setattr(
        before.probe, "prove", lambda _, probes, *__: (Finding(p, p.log or "", 0) for p in probes)
    )
    monkeypatch.setattr(Deployment, "_make_backups", lambda *_, **__: None)
    monkeypatch.setattr(upkeep, "Restoring", lambda _, what, *__: begun.append(what))
    monkeypatch.setattr(Deployment, "_prove", lambda *_: None)
    node.restore()
    assert begun[0].held == (HOLDS,)


def test_a_release_that_failed_names_the_backup_before_it_and_what_puts_it_back() -> None:
    node = deployment(ENTRY)
    node.backups, node.outcome = [file()], Outcome.REVERTED
    node.fail(DeployError("the migration failed"))
    assert node.conclude() is ExitCode.FAILED_REVERTED
    assert f"invoke restore --node A --backup {node.backups[0].id}" in str(node.error)
