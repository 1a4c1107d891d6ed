import pytest

from deploy_lib.checks import check_storage, check_variables
from deploy_lib.compose.interpolation import read_env_file
from deploy_lib.compose.variables import Variables
from deploy_lib.config import load
from tests import ROOT

NODES = load(ROOT, "lab").nodes


def test_a_stack_without_shared_storage_is_not_asked() -> None:
    assert list(check_storage(NODES["core"], (), deferred=False)) == []


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (frozenset(), "nothing is mounted"),
        (frozenset({"writable"}), "nothing is mounted"),
        (frozenset({"mounted"}), "is not writable"),
        (frozenset({"mounted", "writable"}), ""),
    ],
)
def test_shared_storage_is_mounted_and_writable(found: frozenset[str], problem: str) -> None:
    (check,) = check_storage(NODES["B"], found, deferred=False)
    assert check.result == ("failed" if problem else "ok")
    assert problem in check.problem
    (later,) = check_storage(NODES["B"], found, deferred=True)
    assert later.result == ("deferred" if problem else "ok")


READ = Variables(
    read=("A", "B", "OPTIONAL"), required=frozenset({"A"}), optional=frozenset({"OPTIONAL"}), secrets=("S",)
)


@pytest.mark.parametrize(
    ("file", "generated", "problem"),
    [
        ({"A": "1", "B": ""}, {}, ""),
        ({"A": "1"}, {"B": "2", "OPTIONAL": "3"}, ""),
        ({"A": "1"}, {}, "B has no value"),
        ({"A": "1", "B": "2"}, {"B": "2"}, "B has a value from the file and from what is generated"),
        ({"A": "", "B": "2"}, {}, "A is empty in the file"),
        ({"A": "1", "B": "2", "S": "oops"}, {}, "S has a value from the file and from the vault"),
        ({}, {}, "A has no value; B has no value"),
    ],
)
def test_each_variable_has_its_value_from_one_place(
    file: dict[str, str], generated: dict[str, str], problem: str
) -> None:
    check = check_variables(
        READ, {"the file": file, "what is generated": generated, "the vault": {"S": "***"}}
    )
    assert check.problem == problem
    assert check.result == ("failed" if problem else "ok")


def test_a_secret_without_a_source_has_no_value() -> None:
    assert check_variables(READ, {"the file": {"A": "1", "B": "2"}}).problem == "S has no value"


def test_an_env_file_is_read_as_compose_does() -> None:
    content = b"# C=1\nA=1\n export B = 'two words' \nEMPTY=\nD=x=y\n"
    assert read_env_file(content) == {"A": "1", "B": "two words", "EMPTY": "", "D": "x=y"}
