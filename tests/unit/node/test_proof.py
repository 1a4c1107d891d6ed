from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.compose.container import Container
from deploy_lib.config import Node, Probe
from deploy_lib.node import proof
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace

WELL = Container(
    id="1",
    name="web-1",
    service="web",
    image=Image("x", "", "sha256:1"),
    image_id="i",
    state="running",
    health="healthy",
    exit_code=0,
    restarts=0,
    started="",
)
RELEASE = Release("r1", "sha-0000001", None, {"web": WELL.image}, {}, replicas={"web": 1})


def prove(
    *looks: Container,
    release: Release = RELEASE,
    now: tuple[Probe, ...] = (),
    beside: tuple[Container, ...] = (),
) -> Any:
    session = SimpleNamespace(
        run=lambda *_, **__: SimpleNamespace(stdout="its last words\n"), require_alive=lambda: None
    )
    stack = SimpleNamespace(probes=now, healthy_timeout=1, unproven=())
    node = SimpleNamespace(name="core", stack=stack)
    seen = [[look, *beside] for look in looks]
    return proof.prove(
        cast(Session, session),
        cast(Node, node),
        release,
        iter(seen[:-1]),
        lambda: seen[-1],
        lambda step, text: None,
        lambda containers: None,
    )


def test_what_arrives_at_once_after_a_stalled_network_is_judged_by_when_it_was() -> None:
    """Neither was it ill for longer than it was, nor does the time count that the network took."""
    ill = replace(WELL, health="unhealthy")
    told = iter([(100.0, ill), (101.0, ill), (104.0, WELL)])
    times = [0.0]

    def looks() -> Any:
        for at, look in told:
            times[0] = at
            yield [look]

    arguments: Any = (cast(Session, None), _node(5), RELEASE, looks(), lambda: [WELL])
    found = proof.prove(*arguments, lambda *_: None, lambda _: None, clock=lambda: times[0])
    assert found == [WELL]
    # The same that takes the host long is ill, whenever it arrives.
    told = iter([(100.0, ill), (104.0, ill), (105.0, WELL)])
    session = cast(Session, SimpleNamespace(run=lambda *_, **__: SimpleNamespace(stdout="")))
    with pytest.raises(proof.ProofError, match="its health check fails"):
        proof.prove(
            session,
            _node(5),
            RELEASE,
            looks(),
            lambda: [WELL],
            lambda *_: None,
            lambda _: None,
            clock=lambda: times[0],
        )


def _node(healthy_timeout: int) -> Node:
    stack = SimpleNamespace(probes=(), healthy_timeout=healthy_timeout, unproven=())
    return cast(Node, SimpleNamespace(name="core", stack=stack))


def test_containers_that_stay_healthy_are_proven() -> None:
    assert prove(WELL, WELL) == [WELL]


def test_what_is_left_beside_it_is_not_judged() -> None:
    idle = replace(WELL, id="2", service="idle", state="exited", health=None, exit_code=1)
    assert prove(WELL, WELL, beside=(idle,)) == [WELL, idle]


@pytest.mark.parametrize(
    "after",
    [
        replace(WELL, state="exited", health=None, exit_code=7),
        replace(WELL, restarts=1),
        replace(WELL, health="unhealthy"),
        replace(WELL, id="2"),
    ],
)
def test_what_died_while_the_probes_were_asked_is_not_proven(after: Container) -> None:
    with pytest.raises(proof.ProofError, match=r"web did not stay healthy[^\0]*its last words"):
        prove(WELL, after)


def test_a_release_is_proven_as_it_was_before_and_by_deploy_toml_where_nobody_knows() -> None:
    running, paused = (
        Probe(name=state, service="web", state=state, timeout=1)
        for state in ("running", "paused")  # type: ignore[arg-type]
    )
    looks = (WELL,) * 9
    with pytest.raises(proof.ProofError, match="paused: its container is running, expected paused"):
        prove(*looks, now=(paused,))
    assert prove(*looks, release=replace(RELEASE, probes=(running,)), now=(paused,)) == [WELL]
    assert prove(*looks, release=replace(RELEASE, probes=()), now=(paused,)) == [WELL]
    with pytest.raises(proof.ProofError, match="1 of 1 probes failed"):
        prove(*looks, release=replace(RELEASE, probes=(paused,)), now=(running,))


def test_a_probe_that_has_changed_since_may_be_passed_in_its_new_form() -> None:
    """Another stack, which it asks, may have gone on; the one of the same name in deploy.toml says how."""
    then, now = (
        Probe(name="state", service="web", state=state, timeout=1)
        for state in ("paused", "running")  # type: ignore[arg-type]
    )
    looks = (WELL,) * 9
    assert prove(*looks, release=replace(RELEASE, probes=(then,)), now=(now,)) == [WELL]
    with pytest.raises(proof.ProofError, match="expected paused"):
        prove(*looks, release=replace(RELEASE, probes=(then,)), now=(then,))


def test_a_probe_that_fails_waits_for_no_look_that_comes_by_itself() -> None:
    job = replace(WELL, id="2", name="job-1", service="job", health=None)
    seen = iter([replace(job, state="exited")] * 2)

    def looks() -> Any:
        yield [WELL, job]
        raise AssertionError("the next one may take a second")

    ends = Probe(name="ends", service="job", state="exited", timeout=60)
    release = replace(RELEASE, probes=(ends,))
    arguments: Any = (cast(Session, SimpleNamespace(require_alive=lambda: None)), _node(5), release, looks())
    found = proof.prove(*arguments, lambda: [WELL, next(seen)], lambda *_: None, lambda _: None)
    assert [c.state for c in found] == ["running", "exited"]
