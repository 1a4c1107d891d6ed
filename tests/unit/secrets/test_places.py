import json

import pytest

from deploy_lib.secrets.places import Place, readings, unreadable

FILE = Place("db", "file", "/run/secrets/pw", ("", "PW", ""))
BARE = Place("db", "environment", "PASSWORD", ("", "PW", ""))
URL = Place("web", "environment", "URL", ("db://app:", "PW", "@db"))
BOTH = Place("web", "environment", "DSN", ("db://", "WHO", ":", "PW", "@db"))


def test_a_value_by_itself_is_read_before_one_inside_a_text_and_a_file_before_a_variable() -> None:
    (reading,) = readings([URL, BARE, FILE])
    assert (reading.name, list(reading.places)) == ("PW", [FILE, BARE, URL])


def test_what_is_known_helps_to_take_a_text_apart() -> None:
    assert [(r.name, list(r.places)) for r in readings([BOTH, FILE])] == [("PW", [FILE]), ("WHO", [BOTH])]


def test_the_service_with_the_most_secrets_is_asked_first_and_for_all_of_them_in_turn() -> None:
    def file(service: str, name: str) -> Place:
        return Place(service, "file", f"/run/secrets/{name}", ("", name, ""))

    several = [file("web", "PW"), file("web", "WHO"), file("web", "ZONE")]
    found = readings([FILE, file("db", "WHO"), file("other", "Q"), *several])
    order = [(r.name, r.places[0].service) for r in found]
    assert order == [("Q", "other"), ("PW", "web"), ("WHO", "web"), ("ZONE", "web")]


@pytest.mark.parametrize(
    ("places", "lost"),
    [
        ([FILE, URL, BOTH], set()),
        ([BOTH], {"WHO", "PW"}),
        ([Place("web", "environment", "TWICE", ("", "PW", ":", "PW", ""))], {"PW"}),
    ],
)
def test_a_text_that_could_be_taken_apart_in_several_ways_is_not(places: list[Place], lost: set[str]) -> None:
    assert set(unreadable(places)) == lost


def test_a_place_is_recorded_and_shown_without_a_value() -> None:
    assert Place.from_dict(json.loads(json.dumps(BOTH.as_dict()))) == BOTH
    assert BOTH.shown == "db://${WHO}:${PW}@db"
    assert (FILE.whole, URL.whole) == (True, False)


@pytest.mark.parametrize(
    "change", [{"kind": "label"}, {"parts": ["a", "b"]}, {"parts": [1]}, {"service": 1}, {"where": None}]
)
def test_what_is_no_place_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Place.from_dict({**FILE.as_dict(), **change})
