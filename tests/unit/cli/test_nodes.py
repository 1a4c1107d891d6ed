"""Which nodes a command means, and how it reaches them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.cli.command import Invocation
from deploy_lib.cli.flags import NODE
from deploy_lib.cli.nodes import choose, connection_to, sessions_with
from deploy_lib.errors import UsageError
from tests.unit import sample


def invocation(
    stack: str | None = None, nodes: list[str] | None = None, host: str | None = None
) -> Invocation:
    connection = SimpleNamespace(target=SimpleNamespace(name=host, port=22)) if host else None
    return cast(Invocation, SimpleNamespace(connection=connection, stack=stack, given={NODE: nodes}))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (invocation(), ["front", "night", "east"]),
        (invocation(nodes=["east"]), ["east"]),
        (invocation(stack="jobs"), ["night", "east"]),
        (invocation(host="a.example"), ["front", "night"]),
        (invocation(host="a.example", stack="jobs"), ["night"]),
    ],
)
def test_nodes_follow_from_names_stacks_and_hosts(
    tmp_path: Path, asked: Invocation, expected: list[str]
) -> None:
    assert {node.name for node in choose(sample.environment(tmp_path), asked)} == set(expected)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (invocation(nodes=["easy"]), "no node 'easy'"),
        (invocation(host="z.example"), "knows no host 'z.example'"),
        (invocation(host="b.example", stack="shop"), "node east runs the stack jobs, not shop"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path: Path, asked: Invocation, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        choose(sample.environment(tmp_path), asked)


def test_an_ssh_config_that_has_to_be_made_first_says_by_what(tmp_path: Path) -> None:
    made = {"made_by": "make it so", "ssh_config": tmp_path / "ssh_config"}
    environment = sample.environment(tmp_path).model_copy(update=made)
    with pytest.raises(UsageError, match=r"there is no ssh_config at .*\n.*make it so"):
        connection_to(environment, "a.example")


def test_each_node_of_one_host_has_a_connection_of_its_own(tmp_path: Path) -> None:
    environment = sample.environment(tmp_path)
    nodes = environment.nodes_at("a.example")
    first = cast(Any, SimpleNamespace(twin=lambda: SimpleNamespace()))
    found = sessions_with(environment, nodes, first)
    assert list(found) == [node.name for node in nodes]
    assert len({id(session.connection) for session in found.values()}) == len(nodes) == 2
