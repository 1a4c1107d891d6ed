import io

from deploy_lib.errors import DeployError, ExitCode, LockedError, PreflightError, SeveralErrors
from deploy_lib.output.console import Console


def test_an_error_names_node_step_and_hint() -> None:
    error = DeployError("cannot connect", node="core", step="preflight", hint="check the cable")
    assert str(error) == "core, preflight: cannot connect\n  -> check the cable"


def test_a_fleet_takes_the_gravest_code() -> None:
    codes = [ExitCode.DONE, ExitCode.NOT_STARTED, ExitCode.FAILED_REVERTED, ExitCode.LOCKED]
    assert ExitCode.worst(codes) is ExitCode.FAILED_REVERTED
    assert ExitCode.worst([]) is ExitCode.DONE


def test_errors_of_several_nodes_are_told_apart_and_the_gravest_counts() -> None:
    errors = [PreflightError("no space", node="B", hint="make some"), LockedError("locked", node="C")]
    err = io.StringIO()
    Console(err=err).error(SeveralErrors(errors))
    assert err.getvalue().splitlines() == ["error: B: no space", "  -> make some", "error: C: locked"]
    assert SeveralErrors(errors).exit_code is ExitCode.LOCKED
