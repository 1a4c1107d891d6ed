"""Compose files as YAML, by the loader in C and by the other one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy_lib.compose import reading
from deploy_lib.compose.reading import Replaced, Text, load_marked, load_yaml
from deploy_lib.errors import UsageError

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted(ROOT.glob("compose/*.yml")) + sorted(ROOT.glob("examples/**/*.yml"))
TAGGED = """\
services:
  web:
    ports: !override ["80:80", 443]
    environment: !reset null
    image: &image "one:${TAG:-1}"
  also: {image: *image, ports: [80, 443]}
  folded:
    command: >
      folded
      text
---
services: {}
"""


def lines(data: Any) -> Any:
    """Everything in the data, with the line of each text, and what a tag replaced."""
    if isinstance(data, Text):
        return str(data), data.line
    if isinstance(data, Replaced):
        return "replaced", lines(data.value)
    if isinstance(data, dict):
        return {str(key): lines(value) for key, value in data.items()}
    return [lines(each) for each in data] if isinstance(data, list) else data


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML without its part in C has one loader")
@pytest.mark.parametrize("text", [TAGGED, *(path.read_text() for path in FILES)])
def test_both_loaders_say_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = load_yaml(text, "x"), lines(load_marked(text, "x"))
    monkeypatch.setattr(reading, "_QUICK", {})
    assert (load_yaml(text, "x"), lines(load_marked(text, "x"))) == quick


def test_what_compose_takes_is_yaml() -> None:
    long = "#" * 2000
    taken = {
        "[a, =, {SEP: =}]": ["a", "=", {"SEP": "="}],
        "[2024-02-30, 2024-02-03]": ["2024-02-30", "2024-02-03"],
        "!foo {a: !bar [!baz 7, !!odd x]}": {"a": [7, "x"]},
        "a: &x 1\nb: *x\nc: &x 2\nd: *x": {"a": 1, "b": 1, "c": 2, "d": 2},
        f"a:\tb {long}\nc: '{'[{' * 1000}'": {"a": "b", "c": "[{" * 1000},
    }
    for text, data in taken.items():
        assert (load_yaml(text, "x"), load_marked(text, "x")) == (data, [data])


def test_tags_are_said_where_they_stand() -> None:
    first, second = load_marked(TAGGED, "x")
    assert first["services"]["web"]["ports"].value == ["80:80", 443]
    assert first["services"]["web"]["environment"] == Replaced(None)
    assert first["services"]["also"]["image"].line == 5
    assert second == {"services": {}}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 300_000,
        "- " * 300_000 + "x",
        "\n".join(" " * number + "a:" for number in range(3000)),
    ],
    ids=["brackets", "dashes", "columns"],
)
def test_what_is_nested_too_deeply_is_refused_and_ends_no_process(text: str) -> None:
    with pytest.raises(UsageError, match="nested too deeply"):
        load_yaml(text, "compose.yml")


def test_a_fault_is_told_with_its_line() -> None:
    with pytest.raises(UsageError, match=r"compose\.yml is not valid YAML in line 2"):
        load_yaml("a: 1\nb: :c: d\n", "compose.yml")
