import pytest

from deploy_lib.checks import check_project, check_storage, check_variables, read_env_file
from deploy_lib.compose.model import Service
from deploy_lib.config import load
from deploy_lib.host.look.facts import Facts
from deploy_lib.release.image import Image
from deploy_lib.secrets.places import Place
from tests import ROOT
from tests.unit import build

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


SECRET = Service("web", Image.parse("x"), secrets=(Place("web", "file", "/run/secrets/s", ("", "S", "")),))


@pytest.mark.parametrize(
    ("facts", "given", "problem"),
    [
        (Facts(), {}, ""),
        (Facts(blank=frozenset({"B", "A"})), {}, "A has no value; B has no value"),
        (Facts(services={"web": SECRET}), {"A": "1"}, ""),
        (
            Facts(services={"web": SECRET}),
            {"S": "oops"},
            "S is a secret, and has a value in compose/.env.core, too",
        ),
    ],
)
def test_nothing_is_deployed_blank(facts: Facts, given: dict[str, str], problem: str) -> None:
    check = check_variables(NODES["core"], facts, given)
    assert check.problem == problem
    assert check.result == ("failed" if problem else "ok")


def test_a_project_without_a_fixed_name_is_given_the_line_that_fixes_it() -> None:
    check = check_project(NODES["core"], "ktrdr-core", Facts(containers=(build.container(),)), named=False)
    assert check.result == "failed"
    assert "under which 1 containers are here" in check.problem
    assert 'project = "ktrdr-core"' in (check.hint or "")
    assert check_project(NODES["core"], "ktrdr-core", Facts(), named=True).result == "ok"


def test_an_env_file_is_read_as_compose_does() -> None:
    content = b"# C=1\nA=1\n export B = 'two words' \nEMPTY=\nD=x=y\n"
    assert read_env_file(content) == {"A": "1", "B": "two words", "EMPTY": "", "D": "x=y"}
