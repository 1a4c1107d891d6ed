from dataclasses import replace

import pytest

from deploy_lib.checks import local
from deploy_lib.errors import PreflightError, UsageError
from deploy_lib.release.release import Version
from deploy_lib.source.git import Checkout, Commit

HEAD = Commit("a" * 40, "a change", 7200)
OTHER = Version("sha-bbbbbbb", "b" * 40)
CLEAN = Checkout(HEAD, "main", False, False, HEAD, 90, True, True)


def warnings(
    found: Checkout | UsageError, version: Version | None, *, default: bool = True, newest: bool = True
) -> dict[str, str]:
    checks = list(local.checkout(found, version, default=default, newest=newest))
    assert {check.result for check in checks} <= {"ok", "warning"}
    assert all(check.mend for check in checks if check.problem)
    return {check.name: check.problem for check in checks if check.problem}


def test_a_clean_checkout_of_what_is_deployed_has_no_warning_and_says_what_it_is() -> None:
    assert warnings(CLEAN, HEAD.version) == {}
    found = [check.found for check in local.checkout(CLEAN, HEAD.version, default=True, newest=True)]
    assert "sha-aaaaaaa 'a change', 2 h old, on main" in found
    assert "sha-aaaaaaa, 2 h old, fetched 1 min ago" in found


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        ({"dirty": True}, "checkout", "changes that no commit has"),
        ({"pushed": False}, "pushed", "HEAD (sha-aaaaaaa) is not pushed; sha-bbbbbbb is used instead"),
        (
            {"on_main": False},
            "on origin/main",
            "HEAD is not part of origin/main; sha-bbbbbbb is used instead",
        ),
        ({}, "image of HEAD", "HEAD (sha-aaaaaaa) has no image yet; sha-bbbbbbb is used instead"),
        ({"main": None, "on_main": False}, "origin/main", "no origin/main"),
    ],
)
def test_each_warning_names_the_tag_that_is_used_instead(
    changes: dict[str, object], name: str, said: str
) -> None:
    assert said in warnings(replace(CLEAN, **changes), OTHER)[name]  # type: ignore[arg-type]


def test_a_tag_that_was_asked_for_is_used_instead_of_nothing() -> None:
    assert warnings(CLEAN, OTHER, default=False) == {}
    assert warnings(replace(CLEAN, pushed=False), OTHER, default=False) == {
        "pushed": "HEAD (sha-aaaaaaa) is not pushed"
    }


def test_where_head_itself_is_deployed_it_need_not_be_pushed() -> None:
    assert warnings(replace(CLEAN, pushed=False, on_main=False, main=None), HEAD.version, newest=False) == {}


def test_why_git_cannot_tell_is_said() -> None:
    assert warnings(UsageError("git is not installed"), OTHER) == {
        "checkout": "nobody can tell which configuration is deployed: git is not installed"
    }


def test_the_secrets_problem_and_mend_are_the_sources_own() -> None:
    problem = PreflightError("A is missing; B is too short", mend="set these")
    check = local.secrets(problem, "the vault", 2)
    assert (check.result, check.problem, check.mend) == (
        "failed",
        "A is missing; B is too short",
        "set these",
    )
    assert local.secrets(None, "the vault", 2).found == "2 from the vault"
