from deploy_lib.checks import check_once_read
from deploy_lib.config import load
from tests import ROOT

LAB = load(ROOT, "lab")
STEPS, NODE = LAB.apply, LAB.nodes["core"]


def test_a_secret_that_is_read_once_is_not_simply_deployed() -> None:
    check = check_once_read(NODE, STEPS, ["DB_PASSWORD", "JWT_SECRET"], recorded=True)
    assert check.result == "failed"
    assert "DB_PASSWORD" in check.problem
    assert "JWT_SECRET" not in check.problem
    assert "invoke rotate-secrets" in check.mend
    other = check_once_read(
        NODE.model_copy(update={"command": "make"}), STEPS, ["DB_PASSWORD"], recorded=True
    )
    assert "make rotate-secrets" in other.mend


def test_one_that_is_read_at_each_start_is() -> None:
    assert check_once_read(NODE, STEPS, ["JWT_SECRET"], recorded=True).result == "ok"
    assert check_once_read(NODE, STEPS, [], recorded=True).result == "ok"


def test_what_cannot_be_changed_is_set_back() -> None:
    check = check_once_read(NODE, STEPS, ["DB_PASSWORD", "DB_USER"], recorded=True)
    assert "DB_USER" in check.problem
    assert "set it back" in check.mend


def test_without_a_record_there_is_a_way_out_too() -> None:
    found = check_once_read(NODE, STEPS, ["DB_PASSWORD"], recorded=False)
    assert found.mend is not None
    assert found.mend.startswith("set them back at their source, deploy")
