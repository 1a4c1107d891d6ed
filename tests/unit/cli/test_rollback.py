"""Which nodes a rollback takes for chosen by the operator."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from deploy_lib.cli import rollback
from deploy_lib.fleet import rollback as fleet
from tests.unit.cli.test_nodes import invocation


@pytest.mark.parametrize(
    ("asked", "nodes", "named"),
    [
        (invocation(), 2, False),
        (invocation(nodes=["all"]), 2, False),
        (invocation(nodes=["east"]), 1, True),
        (invocation(host="a.example"), 1, True),
        (invocation(host="a.example"), 2, False),
    ],
)
def test_all_nodes_and_all_stacks_of_a_host_are_not_chosen_one_by_one(
    monkeypatch: pytest.MonkeyPatch, asked: Any, nodes: int, named: bool
) -> None:
    found: list[bool] = []

    @contextmanager
    def changing(_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(
            deployments=[None] * nodes, environment=None, request=None, console=None, done=None
        )

    monkeypatch.setattr(rollback, "changing", changing)
    monkeypatch.setattr(fleet, "roll_back", lambda *_, named: found.append(named))
    rollback.run(asked)
    assert found == [named]
