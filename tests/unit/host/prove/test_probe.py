import json
from datetime import UTC, datetime

import pytest

from deploy_lib.compose.container import Container
from deploy_lib.config import Probe
from deploy_lib.host.prove.probe import dated, judge
from deploy_lib.release.image import Image


def probe(**values: str | int | bool) -> Probe:
    return Probe(name="p", service="s", url="http://127.0.0.1:1/x", json_values=values)


@pytest.mark.parametrize(
    ("expected", "answer", "problem"),
    [
        ({"a.b": "x"}, {"a": {"b": "x"}}, ""),
        ({"a.0.b": 1}, {"a": [{"b": 1}]}, ""),
        ({"a": "ok"}, {"a": "no"}, 'a is "no", expected "ok"'),
        ({"a.1": "ok"}, {"a": ["ok"]}, 'a.1 is null, expected "ok"'),
        ({"a": 1}, {"a": True}, "a is true, expected 1"),
        ({"a.b": "x"}, [], "a.b is null"),
    ],
)
def test_json_is_judged_by_its_values(
    expected: dict[str, str | int | bool], answer: object, problem: str
) -> None:
    found, _ = judge(probe(**expected), 200, json.dumps(answer).encode())
    assert problem in found
    assert bool(found) == bool(problem)


def container(service: str, started: str) -> Container:
    return Container(
        id="1", name=service, service=service, image=Image("x"), image_id="i", state="running", health=None, exit_code=0, restarts=0, started=started
    )  # fmt: skip


def test_an_answer_may_be_asked_for_that_is_not_from_before() -> None:
    found = [
        container("web", "2026-11-29T12:00:00.123456789Z"),
        container("web", "2026-11-29T12:00:10.5Z"),
        container("db", "2026-11-29T13:00:00Z"),
        container("new", "0001-01-01T00:00:00Z"),
        container("odd", "?"),
    ]
    moment = datetime(2026, 11, 29, 12, 0, 10, 500000, tzinfo=UTC).timestamp()
    assert dated("http://h/q?t={started:web}&x={other}", found) == f"http://h/q?t={moment:.3f}&x={{other}}"
    assert dated("{started}", found) == f"{moment + 3589.5:.3f}"
    assert [dated(f"{{started:{name}}}", found) for name in ("new", "odd", "gone")] == ["0.000"] * 3
    asking = Probe(name="p", service="s", url="http://127.0.0.1:1/x?t={started:web}")
    assert asking.services == ["s", "web"]


def test_status_and_text_are_named() -> None:
    assert "answered HTTP 503, expected 200: down" in judge(probe(), 503, b"down")[0]
    assert "answered no JSON: <html>" in judge(probe(a=1), 200, b"<html>")[0]
