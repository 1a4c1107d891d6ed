import json

import pytest

from deploy_lib.config import Probe
from deploy_lib.host.prove.probe import judge


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


def test_status_and_text_are_named() -> None:
    assert "answered HTTP 503, expected 200: down" in judge(probe(), 503, b"down")[0]
    assert "answered no JSON: <html>" in judge(probe(a=1), 200, b"<html>")[0]
