from typing import Any

import pytest
import yaml

from deploy_lib.config import load
from deploy_lib.errors import ExitCode, UsageError
from deploy_lib.plan import replicas
from tests import ROOT

NODE = load(ROOT, "lab").nodes["C"]
CORE = load(ROOT, "lab").nodes["core"]


def running(chosen: dict[str, int]) -> list[str]:
    return [service for service, count in chosen.items() if count]


def test_a_new_node_gets_what_deploy_toml_says() -> None:
    chosen = replicas.choose(NODE, {}, {})
    assert running(chosen) == ["backtest-worker-1", "training-worker-1"]
    assert len(chosen) == 6
    assert replicas.kept(NODE, {}, chosen) == ""


def test_what_was_asked_for_wins_and_a_kind_that_was_not_is_left_alone() -> None:
    remembered = replicas.choose(NODE, {"backtest": 1, "training": 2}, {})
    chosen = replicas.choose(NODE, {"backtest": 3}, remembered)
    assert replicas.counts(NODE.stack, chosen) == {"backtest": 3, "training": 2}
    assert replicas.counts(NODE.stack, replicas.choose(NODE, {"backtest": 0}, remembered))["backtest"] == 0


def test_a_scaled_node_stays_scaled_and_says_so() -> None:
    remembered = replicas.choose(NODE, {"backtest": 3, "training": 0}, {})
    chosen = replicas.choose(NODE, {}, remembered)
    assert chosen == remembered
    said = replicas.kept(NODE, {}, chosen)
    assert "3 backtest (1 in deploy.toml)" in said
    assert "0 training (1 in deploy.toml)" in said
    assert replicas.kept(NODE, {"backtest": 3, "training": 0}, chosen) == ""


def test_the_first_stay_when_one_goes() -> None:
    three = replicas.choose(NODE, {"backtest": 3, "training": 0}, {})
    two = replicas.choose(NODE, {"backtest": 2}, three)
    assert set(running(two)) < set(running(three))
    assert running(two) == ["backtest-worker-1", "backtest-worker-2"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"backtest": 4}, "--replicas-backtest 4: the stack workers has ports for 3 backtest replicas"),
        ({"training": 4}, "--replicas-training 4"),
        ({"gpu": 1}, "--replicas-gpu 1: the stack workers has ports for 0 gpu replicas"),
    ],
)
def test_more_than_there_are_ports_for_is_refused(asked: dict[str, int], expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        replicas.check([CORE, NODE], asked)
    assert caught.value.exit_code is ExitCode.USAGE
    assert expected in str(caught.value)
    replicas.check([CORE, NODE], {"backtest": 3, "training": 0})


def test_a_stack_without_replicas_has_none() -> None:
    assert replicas.choose(CORE, {}, {}) == {}
    assert replicas.kept(CORE, {}, {}) == ""


def test_every_service_listens_to_its_variable() -> None:
    services: dict[str, Any] = yaml.safe_load((ROOT / NODE.stack.compose[0]).read_text())["services"]
    chosen = replicas.choose(NODE, {"backtest": 3, "training": 3}, {})
    assert set(chosen) == set(services)
    named = {name: spec["deploy"]["replicas"] for name, spec in services.items()}
    assert {f"${{{variable}:-0}}" for variable in replicas.variables(chosen)} == set(named.values())
    for service, count in chosen.items():
        (variable,) = replicas.variables({service: count})
        assert named[service] == f"${{{variable}:-0}}"
