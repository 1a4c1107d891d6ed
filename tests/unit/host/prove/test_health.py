import pytest

from deploy_lib.compose.container import Container
from deploy_lib.host.prove.health import PATIENCE, STEADY, Gate
from deploy_lib.release.image import Image
from deploy_lib.values import replace

WELL = Container(
    id="1", name="p-web-1", service="web", image=Image("x"), image_id="i", state="running", health="healthy",
    exit_code=0, restarts=0, started="",
)  # fmt: skip
REPLICAS = {"web": 1}


class Clock:
    """It goes on by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def gate(clock: Clock | None = None) -> Gate:
    return Gate(REPLICAS, {"web": Image("x")}, clock=clock or Clock())


def test_a_healthy_container_is_enough_at_once() -> None:
    assert gate().look([WELL]) == []


def test_without_a_health_check_it_must_be_seen_running_for_a_while() -> None:
    clock, container = Clock(), replace(WELL, health=None)
    judge = gate(clock)
    assert all(judge.look([container]) for _ in range(9)), (
        "it is time that counts, and not how often it is looked at"
    )
    clock.now += STEADY - 0.1
    assert judge.look([container])
    clock.now += 0.1
    assert judge.look([container]) == []


def test_without_a_health_check_a_restart_begins_the_while_anew() -> None:
    clock, container = Clock(), replace(WELL, health=None)
    judge = gate(clock)
    judge.look([container])
    clock.now += STEADY
    assert judge.look([replace(container, restarts=1)])
    clock.now += STEADY
    assert judge.look([replace(container, restarts=1)]) == []


def test_a_crash_loop_is_recognised_early() -> None:
    judge = gate()
    assert not judge.look([replace(WELL, state="restarting", health=None)])[0].final
    worst = judge.look([replace(WELL, state="running", health="starting", restarts=2, exit_code=7)])[0]
    assert worst.final
    assert "2 restarts, last exit status 7" in worst.problem


def test_restarts_from_before_do_not_count() -> None:
    assert gate().look([replace(WELL, restarts=40)]) == []


def test_an_unhealthy_container_gets_a_chance_to_recover() -> None:
    clock, ill = Clock(), replace(WELL, health="unhealthy")
    judge = gate(clock)
    assert not any(judge.look([ill])[0].final for _ in range(9))
    clock.now += PATIENCE
    assert judge.look([ill])[0].final
    assert judge.look([WELL]) == []
    assert not judge.look([ill])[0].final, "it had recovered"


def test_a_missing_container_and_one_from_another_image_are_named() -> None:
    assert "0 of 1 containers" in gate().look([])[0].problem
    assert gate().look([replace(WELL, image=Image("old"))])[0].final


def ended(code: int = 0, state: str = "exited") -> Container:
    return replace(WELL, state=state, health=None, exit_code=code)


@pytest.mark.parametrize("kind", ["must", "may"])
def test_what_has_done_its_work_is_well(kind: str) -> None:
    assert Gate(REPLICAS, {}, {"web": kind}).look([ended()]) == []


def test_what_must_end_is_waited_for_and_what_may_is_not() -> None:
    running = replace(WELL, health=None)
    clock = Clock()
    must, may = (Gate(REPLICAS, {}, {"web": kind}, clock=clock) for kind in ("must", "may"))
    may.look([running])
    clock.now += STEADY
    [waiting] = must.look([running])
    assert (waiting.problem, waiting.final) == ("it has not ended yet", False)
    assert may.look([running]) == []


def test_work_that_failed_is_a_failure() -> None:
    clock = Clock()
    judge = Gate(REPLICAS, {}, {"web": "must"}, clock=clock)
    judge.look([ended(7)])
    clock.now += PATIENCE
    [found] = judge.look([ended(7)])
    assert (found.problem, found.final) == ("it is exited, exit status 7", True)


def test_a_service_that_nobody_can_prove_has_to_run() -> None:
    clock = Clock()
    judge = Gate(REPLICAS, {}, unproven=["web"], clock=clock)
    assert judge.look([replace(WELL, health="unhealthy")])
    clock.now += STEADY
    assert judge.look([replace(WELL, health="unhealthy")]) == []
    assert Gate(REPLICAS, {}, unproven=["web"]).look([ended(1)])


def test_a_tolerated_service_is_only_the_right_one() -> None:
    assert Gate(REPLICAS, {}, tolerated=["web"]).look([ended(1)]) == []
    assert Gate(REPLICAS, {"web": Image("x")}, tolerated=["web"]).look(
        [replace(ended(1), image=Image("old"))]
    )
