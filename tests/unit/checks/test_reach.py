import pytest

from deploy_lib.checks.reach import forwarding, stages
from deploy_lib.errors import Stage, UnreachableError
from deploy_lib.ssh.target import Target
from deploy_lib.values import replace

TARGET = Target("n", "n.example", 22, "me")


def test_a_session_passes_every_stage() -> None:
    assert {check.result for check in stages(TARGET, None)} == {"ok"}
    assert forwarding(forbidden=False).result == "ok"
    assert forwarding(forbidden=True).result == "failed"


@pytest.mark.parametrize(
    ("stage", "passed"), [("name", 0), ("TCP", 1), ("SSH", 2), ("host key", 3), ("login", 4)]
)
def test_what_came_before_the_stage_that_failed_is_fine(stage: Stage, passed: int) -> None:
    error = UnreachableError("no", hint="do")
    error.stage = stage
    checks = list(stages(TARGET, error))
    assert [check.result for check in checks] == ["ok"] * passed + ["failed"]
    assert (checks[-1].problem, checks[-1].hint) == ("no", "do")


def test_what_ssh_config_sets_and_is_not_done_is_named() -> None:
    first, *others = stages(replace(TARGET, not_done=("CheckHostIP", "SetEnv")), None)
    assert (first.name, first.result) == ("ssh_config", "warning")
    assert "CheckHostIP, SetEnv for n" in first.problem
    assert {check.result for check in others} == {"ok"}
