"""A release as a value and as a host's record has it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deploy_lib.config import Probe
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release, new_id
from deploy_lib.values import replace

OPEN = Probe(name="open", service="web", url="http://127.0.0.1:8080/")
RELEASE = Release(
    id="r1",
    tag="1.4.2",
    commit="a" * 40,
    images={"web": Image.parse(f"h/web:1.4.2@sha256:{'b' * 64}")},
    files={"shop.yml": "c" * 64, "release.env": "d" * 64},
    secrets={"web": "DB_PASSWORD=12 TOKEN=34", "db": "DB_PASSWORD=12"},
    replicas={"web": 1},
    secret_files={"password": "/run/s/DB_PASSWORD"},
    probes=(OPEN,),
)


def test_it_comes_back_from_its_record_as_it_was() -> None:
    for release in (RELEASE, replace(RELEASE, probes=None, commit=None), replace(RELEASE, restores="r0")):
        assert Release.from_dict(release.as_dict()) == release


def test_a_newer_programs_record_is_read_as_far_as_it_is_known() -> None:
    record = {**RELEASE.as_dict(), "colour": "blue", "probes": [{"name": "x", "asks": "something new"}]}
    assert Release.from_dict(record) == replace(RELEASE, probes=None)


def test_an_older_programs_record_lacks_what_came_later() -> None:
    old = {key: RELEASE.as_dict()[key] for key in ("id", "tag", "images", "files")}
    read = Release.from_dict(old)
    assert (read.commit, read.secrets, read.replicas, read.restores, read.probes) == (
        None,
        {},
        {},
        None,
        None,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": 7},
        {"tag": None},
        {"commit": 7},
        {"images": {"web": 7}},
        {"files": {"a": None}},
        {"replicas": {"web": True}},
        {"replicas": {"web": "1"}},
        {"secrets": ["x"]},
    ],
)
def test_a_record_of_the_wrong_types_is_no_release(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Release.from_dict({**RELEASE.as_dict(), **wrong})


def test_secret_values_and_what_follows_from_the_rest_make_no_other_content() -> None:
    again = replace(
        RELEASE, id="r2", tag="x", secrets={}, files={**RELEASE.files, "release.yml": "e" * 64}, probes=()
    )
    assert RELEASE.same_content(again)
    for other in (
        replace(RELEASE, replicas={"web": 2}),
        # Variables of the node stand in no other file, and a project may have a file of such a name.
        *(
            replace(RELEASE, files={**RELEASE.files, path: "e" * 64})
            for path in ("shop.yml", "release.env", "release.conf")
        ),
        replace(RELEASE, secret_files={}),
        replace(RELEASE, images={"web": Image.parse(f"h/web:1.4.2@sha256:{'e' * 64}")}),
    ):
        assert not RELEASE.same_content(other)


def test_its_marks_are_by_the_secrets_name() -> None:
    assert RELEASE.marks == {"DB_PASSWORD": "12", "TOKEN": "34"}


def test_ids_sort_by_time_and_two_of_one_second_differ() -> None:
    early, late = (new_id(datetime(2026, 1, day, tzinfo=UTC)) for day in (2, 10))
    assert early < late
    assert len({new_id(datetime(2026, 1, 1, tzinfo=UTC)) for _ in range(20)}) > 1
