import pytest

from deploy_lib.errors import ExitCode, UsageError
from deploy_lib.plan import replicas
from tests.unit import build

KINDS = {kind: tuple(f"{kind}-{number}" for number in (1, 2, 3)) for kind in ("mailer", "indexer")}
NODE = build.node(replicas=KINDS).model_copy(update={"replicas": dict.fromkeys(KINDS, 1)})
PLAIN = build.node()


def running(chosen: dict[str, int]) -> list[str]:
    return [service for service, count in chosen.items() if count]


def test_a_new_node_gets_what_deploy_toml_says() -> None:
    chosen = replicas.choose(NODE, {}, {})
    assert running(chosen) == ["mailer-1", "indexer-1"]
    assert len(chosen) == 6
    assert replicas.kept(NODE, {}, chosen) == ""


def test_what_was_asked_for_wins_and_a_kind_that_was_not_is_left_alone() -> None:
    remembered = replicas.choose(NODE, {"mailer": 1, "indexer": 2}, {})
    chosen = replicas.choose(NODE, {"mailer": 3}, remembered)
    assert replicas.counts(NODE.stack, chosen) == {"mailer": 3, "indexer": 2}
    assert replicas.counts(NODE.stack, replicas.choose(NODE, {"mailer": 0}, remembered))["mailer"] == 0


def test_a_scaled_node_stays_scaled_and_says_so() -> None:
    remembered = replicas.choose(NODE, {"mailer": 3, "indexer": 0}, {})
    chosen = replicas.choose(NODE, {}, remembered)
    assert chosen == remembered
    said = replicas.kept(NODE, {}, chosen)
    assert "3 mailer (1 in deploy.toml)" in said
    assert "0 indexer (1 in deploy.toml)" in said
    assert replicas.kept(NODE, {"mailer": 3, "indexer": 0}, chosen) == ""


def test_the_first_stay_when_one_goes() -> None:
    three = replicas.choose(NODE, {"mailer": 3, "indexer": 0}, {})
    two = replicas.choose(NODE, {"mailer": 2}, three)
    assert set(running(two)) < set(running(three))
    assert running(two) == ["mailer-1", "mailer-2"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"mailer": 4}, "--replicas-mailer 4: the stack shop has ports for 3 mailer replicas"),
        ({"indexer": 4}, "--replicas-indexer 4"),
        ({"gpu": 1}, "--replicas-gpu 1: no gpu replicas belong to shop"),
    ],
)
def test_more_than_there_are_ports_for_is_refused(asked: dict[str, int], expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        replicas.check([PLAIN, NODE], asked)
    assert caught.value.exit_code is ExitCode.USAGE
    assert expected in str(caught.value)
    replicas.check([PLAIN, NODE], {"mailer": 3, "indexer": 0})


def test_a_stack_without_replicas_has_none() -> None:
    assert replicas.choose(PLAIN, {}, {}) == {}
    assert replicas.kept(PLAIN, {}, {}) == ""


def test_a_kind_of_one_stack_is_nothing_to_the_others() -> None:
    gpu = build.node(replicas={"gpu": ("gpu-1",)})
    replicas.check([PLAIN, NODE, gpu], {"mailer": 3, "gpu": 1})
    with pytest.raises(UsageError, match="ports for 1 gpu replicas"):
        replicas.check([NODE, gpu], {"gpu": 2})


def test_a_number_of_services_that_stay_as_they_are_is_refused() -> None:
    replicas.check([NODE], {"mailer": 2}, [*KINDS["mailer"], "web"])
    with pytest.raises(UsageError, match="is about mailer-1, mailer-2, mailer-3, and --service leaves some"):
        replicas.check([NODE], {"mailer": 2}, ["mailer-1"])
