"""What a switch prints is understood line by line, without a session."""

import json

import pytest

from deploy_lib.host.change.printed import Look, Printed, Sign
from deploy_lib.host.change.signs import ASKED, BEGUN, NEVER, UNKNOWN


def container(**labels: str) -> str:
    said = {"id": "c1", "name": "/web-1", "image": "x", "image_id": "i", "state": "running", "exit_code": 0}
    more = {"restarts": 0, "started": "t", "ports": None, "health": None}
    return json.dumps({**said, **more, "labels": {"com.docker.compose.service": "web", **labels}})


CONTAINER = container()
ONE_OFF = container(**{"com.docker.compose.oneoff": "True"})


def told(*lines: str) -> list[Look | Sign | str]:
    """What the lines say, without those that say nothing."""
    printed = Printed()
    return [found for line in lines if (found := printed.read(line))]


def looks(*lines: str) -> list[Look]:
    return [found for found in told(*lines) if isinstance(found, Look)]


@pytest.mark.parametrize(
    ("line", "sign", "status"),
    [
        ("=== switched 0", Sign("switched", "0"), 0),
        ("=== back 17", Sign("back", "17"), 17),
        ("=== end 137", Sign("end", "137"), 137),
        ("=== end ", Sign("end", ""), 255),
        ("=== end 1000", Sign("end", "1000"), 255),
        ("=== end -1", Sign("end", "-1"), 255),
        ("=== end ²", Sign("end", "²"), 255),
    ],
)
def test_a_sign_has_a_status_and_an_odd_one_is_a_failure(line: str, sign: Sign, status: int) -> None:
    (found,) = told(line)
    assert isinstance(found, Sign)
    assert (found, found.status) == (sign, status)


def test_signs_without_a_status() -> None:
    assert told("=== done proven", "=== not pruned") == [Sign("done", "proven"), Sign("not pruned", "")]


def test_what_other_programs_print_is_told_from_what_the_switch_prints() -> None:
    assert told(" Container web-1  Started", "", "  ", CONTAINER, "====", "===") == [
        " Container web-1  Started"
    ]
    # Docker's own complaints may stand among the containers.
    assert told("=== containers", "Cannot connect", "=== .")[0] == "Cannot connect"


def test_a_look_is_whole_or_none() -> None:
    (found,) = looks("=== containers 12.50", CONTAINER, ONE_OFF, "=== .")
    assert [c.name for c in found.containers or ()] == ["web-1"]
    assert found.at == 12.5
    assert looks("=== .") == []
    assert looks("=== containers", CONTAINER) == []
    assert looks("=== containers", "=== .") == [Look([], 0, None)]


@pytest.mark.parametrize("odd", [UNKNOWN, '{"id": 1}', "{"])
def test_an_engine_that_tells_nothing_is_no_empty_host(odd: str) -> None:
    assert looks("=== containers", odd, "=== .") == [Look(None, 0, None)]
    assert looks("=== containers", odd, "=== containers", "=== .") == [Look([], 0, None)]


@pytest.mark.parametrize("at", ["", " ", " x", " 1 2", " -1", " ١", "9"])
def test_a_clock_that_tells_no_seconds_tells_nothing(at: str) -> None:
    assert looks(f"=== containers{at}", "=== .")[0].at is None


def test_a_look_is_of_after_the_questions_that_came_before_it_began() -> None:
    whole = ("=== containers", "=== .")
    found = looks(*whole, whole[0], ASKED, whole[1], *whole, ASKED, *whole)
    assert [look.asked for look in found] == [0, 0, 1, 2]


def test_whether_it_has_begun_is_unknown_until_it_says_so() -> None:
    for line, begun in (("Pulling", None), (BEGUN, True), (NEVER, False)):
        printed = Printed()
        printed.read(line)
        assert printed.begun is begun
    printed = Printed()
    for line in (BEGUN, NEVER):
        printed.read(line)
    assert printed.begun, "what has begun may have changed something, whatever comes after it"


@pytest.mark.parametrize(
    ("line", "ended"), [("=== end 0", False), ("=== end 137", True), ("=== back 1", False)]
)
def test_a_switch_that_came_to_its_end_by_itself_has_gone_back(line: str, ended: bool) -> None:
    printed = Printed()
    printed.read(line)
    assert printed.ended is ended


def test_what_is_noted_by_the_way() -> None:
    printed = Printed()
    for line in ("=== ill web c11 more", "=== note one", "=== note two", "=== volumes a b"):
        assert printed.read(line) == ""
    assert printed.ill == ("web", "c11")
    assert printed.notes == ["one", "two"]
    assert printed.left == ("a", "b")
    assert Printed().read("=== volumes") == ""
