from dataclasses import replace

import pytest

from deploy_lib.compose.container import Container
from deploy_lib.host.prove.health import PATIENCE, STEADY_LOOKS, Gate
from deploy_lib.release.image import Image

WELL = Container(
    id="1", name="p-web-1", service="web", image=Image("x"), image_id="i", state="running", health="healthy",
    exit_code=0, restarts=0, started="",
)  # fmt: skip
REPLICAS = {"web": 1}


def gate() -> Gate:
    return Gate(REPLICAS, {"web": Image("x")})


def test_a_healthy_container_is_enough_at_once() -> None:
    assert gate().look([WELL]) == []


def test_without_a_health_check_it_must_be_seen_running_for_a_while() -> None:
    judge, container = gate(), replace(WELL, health=None)
    looks = [judge.look([container]) for _ in range(STEADY_LOOKS)]
    assert all(looks[:-1])
    assert looks[-1] == []


def test_a_crash_loop_is_recognised_early() -> None:
    judge = gate()
    assert not judge.look([replace(WELL, state="restarting", health=None)])[0].final
    worst = judge.look([replace(WELL, state="running", health="starting", restarts=2, exit_code=7)])[0]
    assert worst.final
    assert "2 restarts, last exit status 7" in worst.problem


def test_restarts_from_before_do_not_count() -> None:
    assert gate().look([replace(WELL, restarts=40)]) == []


def test_an_unhealthy_container_gets_a_chance_to_recover() -> None:
    judge, ill = gate(), replace(WELL, health="unhealthy")
    looks = [judge.look([ill])[0].final for _ in range(PATIENCE)]
    assert looks == [False] * (PATIENCE - 1) + [True]
    judge = gate()
    judge.look([ill])
    assert judge.look([WELL]) == []


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
    must, may = Gate(REPLICAS, {}, {"web": "must"}), Gate(REPLICAS, {}, {"web": "may"})
    looks = [(must.look([running]), may.look([running])) for _ in range(STEADY_LOOKS)]
    assert looks[-1][0][0].problem == "it has not ended yet"
    assert not looks[-1][0][0].final
    assert looks[-1][1] == []


def test_work_that_failed_is_a_failure() -> None:
    judge = Gate(REPLICAS, {}, {"web": "must"})
    found = [judge.look([ended(7)])[0] for _ in range(PATIENCE)][-1]
    assert (found.problem, found.final) == ("it is exited, exit status 7", True)


def test_a_service_that_nobody_can_prove_has_to_run() -> None:
    judge = Gate(REPLICAS, {}, unproven=["web"])
    looks = [judge.look([replace(WELL, health="unhealthy")]) for _ in range(STEADY_LOOKS)]
    assert looks[-1] == []
    assert Gate(REPLICAS, {}, unproven=["web"]).look([ended(1)])


def test_a_tolerated_service_is_only_the_right_one() -> None:
    assert Gate(REPLICAS, {}, tolerated=["web"]).look([ended(1)]) == []
    assert Gate(REPLICAS, {"web": Image("x")}, tolerated=["web"]).look(
        [replace(ended(1), image=Image("old"))]
    )
