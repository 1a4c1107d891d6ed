"""What a node's end means: the exit status, the state of its host, and what the operator does next."""

from typing import Any

import pytest

from deploy_lib.errors import DeployError, ExitCode, LockedError, RemoteError, StoppedError
from deploy_lib.host.change.history import event
from deploy_lib.host.change.switch_faults import LostError, UncertainError
from deploy_lib.node.outcome import Outcome, final_outcome
from deploy_lib.release.release import Release
from tests.unit import build

BEFORE = event("proven", Release("r1", "1.4.1", None, {}, {}))
BROKEN = RemoteError("web never became healthy", step="proof")


def end(outcome: Outcome, error: DeployError | None = BROKEN, **more: Any) -> tuple[ExitCode, str]:
    given: dict[str, Any] = {"before": BEFORE, "no_rollback": False, **more}
    code, stated = final_outcome(outcome, error, node=build.node(), **given)
    return code, str(stated or "")


@pytest.mark.parametrize("outcome", ["deployed", "unchanged", "pruned", "planned"])
def test_what_ended_well_is_no_error(outcome: str) -> None:
    assert end(Outcome(outcome), None) == (ExitCode.DONE, "")


def test_what_never_began_keeps_the_status_of_its_cause() -> None:
    assert end(Outcome.NOT_STARTED, LockedError("somebody else deploys"))[0] is ExitCode.LOCKED
    assert end(Outcome.UNTOUCHED, StoppedError("interrupted"))[0] is ExitCode.INTERRUPTED


@pytest.mark.parametrize(
    ("outcome", "before", "state"),
    [
        (Outcome.UNTOUCHED, BEFORE, "what ran before still runs"),
        (Outcome.UNTOUCHED, None, "nothing was started"),
        (Outcome.REVERTED, BEFORE, "the host is back on 1.4.1 (release r1)"),
        (Outcome.REVERTED, None, "the host is empty again"),
    ],
)
def test_a_host_that_is_as_it_was_says_how(outcome: Outcome, before: Any, state: str) -> None:
    code, said = end(outcome, before=before)
    assert code is ExitCode.FAILED_REVERTED
    assert "A, proof: web never became healthy" in said
    assert state in said
    assert "fix the cause, then run the command again" in said
    # The other node's error is told there.
    assert "another node failed" in end(outcome, None, before=before)[1]


def test_a_host_that_ctrl_c_took_back_has_no_cause_to_fix() -> None:
    code, said = end(Outcome.REVERTED, StoppedError("interrupted"))
    assert (code, said.endswith("-> run the command again")) == (ExitCode.FAILED_REVERTED, True)


def test_a_release_that_was_to_stay_names_the_way_back_if_there_is_one() -> None:
    code, said = end(Outcome.SWITCHED, no_rollback=True)
    assert code is ExitCode.FAILED_INCONSISTENT
    assert "is left in place; before it ran 1.4.1" in said
    assert "rollback --node A goes back, or deploy another tag" in said
    assert end(Outcome.SWITCHED, no_rollback=True, before=None)[1].endswith("-> deploy another tag")


def test_a_way_back_that_failed_too_says_that_the_host_is_in_neither_state() -> None:
    code, said = end(Outcome.FAILED)
    assert code is ExitCode.FAILED_INCONSISTENT
    assert "going back to 1.4.1 (release r1) failed too: the host is in neither state" in said
    assert "look at it" in said


def test_a_host_that_is_out_of_reach_is_told_with_what_it_does_by_itself() -> None:
    code, said = end(Outcome.SWITCHED, LostError("the session ended"))
    assert code is ExitCode.FAILED_INCONSISTENT
    assert "goes back to 1.4.1 (release r1) by itself" in said
    assert "unless it has recorded" not in said
    assert "when it can be reached again, see: " in said
    said = end(Outcome.SWITCHED, UncertainError("the session ended"), recorded=["B", "C"])[1]
    assert "unless it has recorded the new release; the new release counts on B, C" in said
    assert "run the same command again, so that all nodes agree" in said


def test_the_causes_own_hint_comes_first() -> None:
    said = end(Outcome.REVERTED, RemoteError("no space", hint="free some"))[1]
    assert said.endswith("-> free some")


@pytest.mark.parametrize(
    ("silent", "before", "advice"),
    [
        (False, BEFORE, "look at it (invoke status, invoke logs), then: invoke rollback --node A"),
        (
            True,
            BEFORE,
            "make Docker answer on a.example first (docker version says whether it does), then: invoke rollback --node A",
        ),
        # Nothing to go back to: a rollback would only say that.
        (
            False,
            None,
            "look at it (invoke status, invoke logs), then mend the cause, and deploy again: invoke deploy-shop --node A",
        ),
    ],
)
def test_where_going_back_failed_too_the_advice_is_for_that_state(
    silent: bool, before: Any, advice: str
) -> None:
    code, said = end(Outcome.FAILED, before=before, silent=silent)
    assert code is ExitCode.FAILED_INCONSISTENT
    assert said.endswith(f"-> {advice}")
    assert ("rollback" in said) is (before is not None)
