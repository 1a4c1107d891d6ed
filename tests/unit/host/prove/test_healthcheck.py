import json
from typing import Any

import pytest

from deploy_lib.host.prove.healthcheck import read_health


def said(own: Any, image: Any, runs: Any) -> str:
    return "".join(f"{json.dumps(each)}\n" for each in (own, image, runs))


RUNS = [{"ExitCode": 0, "Output": "fine"}, {"ExitCode": 7, "Output": "connection refused"}]


@pytest.mark.parametrize(
    ("own", "image", "command", "inherited"),
    [
        ({"Test": ["CMD-SHELL", "curl -f x"]}, {"Test": ["CMD-SHELL", "curl -f x"]}, "curl -f x", True),
        ({"Test": ["CMD", "ask", "two words"]}, None, "ask 'two words'", False),
        ({"Test": ["CMD", "ask"]}, {"Test": ["CMD", "other"]}, "ask", False),
    ],
)
def test_a_check_is_told_with_its_last_answer_and_whose_it_is(
    own: Any, image: Any, command: str, inherited: bool
) -> None:
    found = read_health(said(own, image, RUNS))
    assert found is not None
    assert (found.command, found.inherited) == (command, inherited)
    assert (found.passed, found.code, found.output) == (False, 7, "connection refused")


@pytest.mark.parametrize(("own", "runs"), [(None, None), ({"Test": ["CMD", "x"]}, []), (None, RUNS)])
def test_what_was_never_asked_is_no_check(own: Any, runs: Any) -> None:
    assert read_health(said(own, None, runs)) is None


@pytest.mark.parametrize("text", ["", "{}", "null\nnull\n{"])
def test_anything_else_is_no_answer(text: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        assert read_health(text) is not None
