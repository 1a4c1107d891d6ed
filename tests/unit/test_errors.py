from deploy_lib.errors import DeployError, ExitCode


def test_an_error_names_node_step_and_mend() -> None:
    error = DeployError("cannot connect", node="core", step="preflight", mend="check the cable")
    assert str(error) == "core, preflight: cannot connect\n  -> check the cable"


def test_a_fleet_takes_the_gravest_code() -> None:
    codes = [ExitCode.DONE, ExitCode.NOT_STARTED, ExitCode.FAILED_REVERTED, ExitCode.LOCKED]
    assert ExitCode.gravest(codes) is ExitCode.FAILED_REVERTED
    assert ExitCode.gravest([]) is ExitCode.DONE
