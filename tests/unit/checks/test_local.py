from pathlib import Path

import pytest

from deploy_lib.checks import local
from deploy_lib.config import Environment
from deploy_lib.errors import PreflightError, UsageError
from deploy_lib.release.release import Version
from deploy_lib.source.git import Checkout, Commit
from deploy_lib.values import replace
from tests.unit import sample

HEAD = Commit("a" * 40, "a change", 7200)
OURS = Version("sha-aaaaaaa", HEAD.sha)
OTHER = Version("sha-bbbbbbb", "b" * 40)
CLEAN = Checkout(HEAD, "main", False, False, HEAD, 90, True, True)


@pytest.fixture
def following(tmp_path: Path) -> Environment:
    return sample.environment(
        tmp_path, deploy=sample.DEPLOY.replace('default_tag = "HEAD"', 'default_tag = "origin/main"')
    )


def warnings(
    environment: Environment, found: Checkout | UsageError, version: Version | None, *, default: bool = True
) -> dict[str, str]:
    checks = list(local.checkout(environment, found, version, default=default))
    assert {check.result for check in checks} <= {"ok", "warning"}
    assert all(check.hint for check in checks if check.problem)
    return {check.name: check.problem for check in checks if check.problem}


def test_a_clean_checkout_of_what_is_deployed_has_no_warning_and_says_what_it_is(
    following: Environment,
) -> None:
    assert warnings(following, CLEAN, OURS) == {}
    found = [check.found for check in local.checkout(following, CLEAN, OURS, default=True)]
    assert "sha-aaaaaaa 'a change', 2 h old, on main" in found
    assert "sha-aaaaaaa, 2 h old, fetched 1 min ago" in found


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        ({"dirty": True}, "checkout", "uncommitted changes"),
        ({"pushed": False}, "pushed", "HEAD (sha-aaaaaaa) is not pushed; sha-bbbbbbb is used instead"),
        (
            {"on_branch": False},
            "on origin/main",
            "HEAD is not part of origin/main; sha-bbbbbbb is used instead",
        ),
        ({}, "image of HEAD", "HEAD (sha-aaaaaaa) has no image yet; sha-bbbbbbb is used instead"),
        ({"tip": None, "on_branch": False}, "origin/main", "no origin/main"),
    ],
)
def test_each_warning_names_the_tag_that_is_used_instead(
    following: Environment, changes: dict[str, object], name: str, said: str
) -> None:
    assert said in warnings(following, replace(CLEAN, **changes), OTHER)[name]  # type: ignore[arg-type]


def test_a_tag_that_was_asked_for_is_used_instead_of_nothing(following: Environment) -> None:
    assert warnings(following, CLEAN, OTHER, default=False) == {}
    assert warnings(following, replace(CLEAN, pushed=False), OTHER, default=False) == {
        "pushed": "HEAD (sha-aaaaaaa) is not pushed"
    }


def test_where_head_itself_is_deployed_it_need_not_be_pushed(tmp_path: Path) -> None:
    environment = sample.environment(tmp_path)
    assert warnings(environment, replace(CLEAN, pushed=False, on_branch=False, tip=None), OURS) == {}


def test_why_git_cannot_tell_is_said(tmp_path: Path) -> None:
    assert warnings(sample.environment(tmp_path), UsageError("git is not installed"), OTHER) == {
        "checkout": "it is unknown which configuration is deployed: git is not installed"
    }


def test_the_secrets_problem_and_mend_are_the_sources_own() -> None:
    problem = PreflightError("A is missing; B is too short", hint="set these")
    check = local.secrets(problem, "the vault", 2)
    assert (check.result, check.problem, check.hint) == (
        "failed",
        "A is missing; B is too short",
        "set these",
    )
    assert local.secrets(None, "the vault", 2).found == "2 from the vault"
