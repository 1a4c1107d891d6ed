"""Which nodes a command means, and how it reaches them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib import address
from deploy_lib.cli.flags import NODE
from deploy_lib.cli.invocation import Invocation
from deploy_lib.cli.nodes import are_named, choose, connection_to, missing_any, outcome_of, sessions_with
from deploy_lib.errors import DeployError, RemoteError, UnreachableError, UsageError
from deploy_lib.ssh.connection import connect_to
from tests.unit import sample


def invocation(
    stack: str | None = None, nodes: list[str] | None = None, host: str | None = None, port: int = 22
) -> Invocation:
    connection = SimpleNamespace(target=SimpleNamespace(name=host, port=port)) if host else None
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


def test_no_stack_goes_to_the_other_host_behind_an_address(tmp_path: Path) -> None:
    text = sample.DEPLOY.replace("a.example", "gw.example").replace("b.example", "gw.example:2222")
    environment = sample.environment(tmp_path, deploy=text)
    with pytest.raises(UsageError, match="node east runs the stack jobs, not shop"):
        choose(environment, invocation(host="gw.example", port=2222, stack="shop"))
    jobs = choose(environment, invocation(host="gw.example", port=2222, stack="jobs"))
    assert [node.name for node in jobs] == ["east"]


def test_an_ssh_config_that_has_to_be_made_first_says_by_what(tmp_path: Path) -> None:
    made = {"made_by": "make it so", "ssh_config": tmp_path / "ssh_config"}
    environment = sample.environment(tmp_path).model_copy(update=made)
    with pytest.raises(UsageError, match=r"there is no ssh_config at .*\n.*make it so"):
        connection_to(environment, "a.example")


def test_each_node_of_one_host_has_a_connection_of_its_own(tmp_path: Path) -> None:
    environment = sample.environment(tmp_path)
    nodes = environment.nodes_at("a.example")
    first = cast(Any, SimpleNamespace(twin=lambda: SimpleNamespace(), given="", destination=""))
    found = sessions_with(environment, nodes, first)
    assert list(found) == [node.name for node in nodes]
    assert len({id(session.connection) for session in found.values()}) == len(nodes) == 2


@pytest.mark.parametrize(
    ("given", "users"), [("a.example", ["root", "deploy"]), ("me@a.example", ["me", "me"])]
)
def test_each_node_of_one_host_is_reached_as_its_own_user(
    tmp_path: Path, given: str, users: list[str]
) -> None:
    text = sample.DEPLOY
    for user in ("root", "deploy"):
        text = text.replace('host = "a.example"', f'host = "{user}@a.example"', 1)
    environment = sample.environment(tmp_path, deploy=text)
    nodes = environment.nodes_at(given)
    (tmp_path / "ssh_config").touch()
    first = connect_to(address.completed(given, nodes[0].host), tmp_path / "ssh_config")
    first.given, first.destination = given, address.completed(given, nodes[0].host)
    first.add_keys("key")
    found = [session.connection for session in sessions_with(environment, nodes, first).values()]
    assert [each.target.user for each in found] == users
    assert [each.client.further for each in found] == [(Path("key"),)] * 2
    assert found[0] is first
    (alone,) = sessions_with(environment, nodes[1:], first).values()
    assert alone.connection.target.user == users[1]


def off() -> UnreachableError:
    error = UnreachableError("no TCP connection")
    error.off = True
    return error


@pytest.mark.parametrize(
    ("optional", "named", "errors", "missing"),
    [
        (["east"], False, {"east": off()}, False),
        (["east"], True, {"east": off()}, True),
        ([], False, {"east": off()}, True),
        (["east"], False, {"east": UnreachableError("its key has changed")}, True),
        (["east"], False, {"east": off(), "front": RemoteError("no answer")}, True),
        (["east"], False, {}, False),
        (["east", "front", "night"], False, {"east": off(), "front": off(), "night": off()}, True),
    ],
)
def test_only_an_optional_node_that_is_off_is_missed_by_nobody(
    tmp_path: Path, optional: list[str], named: bool, errors: dict[str, DeployError], missing: bool
) -> None:
    nodes = [
        node.model_copy(update={"optional": node.name in optional})
        for node in sample.environment(tmp_path).nodes.values()
    ]
    found: dict[str, object] = {node.name: errors.get(node.name, "a status") for node in nodes}
    assert missing_any(nodes, found, named=named) is missing


def test_what_is_optional_and_off_is_skipped(tmp_path: Path) -> None:
    node = sample.node(tmp_path)
    optional = node.model_copy(update={"optional": True})
    outcomes = [outcome_of(n, e) for n, e in ((node, off()), (optional, off()), (optional, RemoteError("x")))]
    assert outcomes == ["unreachable", "skipped", "failed"]
    assert [are_named(invocation(nodes=n)) for n in (None, ["all"], ["east"])] == [False, False, True]
    assert are_named(invocation(host="a.example"))
