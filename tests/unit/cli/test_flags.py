"""Flags: from the text that Invoke gives to the value that a command gets."""

import pytest

from deploy_lib.cli import flags
from deploy_lib.cli.commands import COMMANDS
from deploy_lib.cli.flags import Given
from deploy_lib.cli.invocation import Invocation
from deploy_lib.errors import UsageError
from deploy_lib.request import Request
from tests import ROOT


def test_what_was_not_typed_has_a_value_too() -> None:
    assert Invocation("deploy-web", ROOT).request() == Request("deploy-web")
    given = Given({"tag": None, "node": [], "json": False, "wait-lock": None})
    assert (given[flags.TAG], given[flags.NODE], given[flags.JSON], given[flags.WAIT_LOCK]) == (
        None,
        [],
        False,
        None,
    )
    assert (given[flags.LOG_LINES], given[flags.EVENTS], given.replicas) == (100, 20, {})


def test_every_flag_reaches_the_request() -> None:
    typed = Given(
        {
            "tag": "v2",
            "service": ["web", "db", "web"],
            "image": ["web=web:patch", "registry.example:5000/house/db=./db.tar", "web=web:patch"],
            "dry-run": True,
            "no-rollback": True,
            "skip-validation": True,
            "wait-lock": "30",
            "parallel": "2",
            "replicas-mailer": "3",
            "replicas-other": None,
        }
    )
    assert Invocation("deploy-all", ROOT, typed).request() == Request(
        "deploy-all",
        tag="v2",
        services=("web", "db"),
        images=(("web", "web:patch"), ("registry.example:5000/house/db", "./db.tar")),
        dry_run=True,
        no_rollback=True,
        skip_validation=True,
        wait_lock=30,
        parallel=2,
        replicas={"mailer": 3},
    )


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("wait-lock", "soon"),
        ("wait-lock", "-1"),
        ("parallel", "0"),
        ("replicas-mailer", "many"),
        ("tag", "a b"),
        ("service", ["--x"]),
        *(("image", [text]) for text in ("web", "web=", "=web:1", "web= ", "a b=c", "web=-o")),
    ],
)
def test_a_bad_text_is_named_with_its_flag(flag: str, text: flags.Raw) -> None:
    with pytest.raises(UsageError, match=f"^--{flag}"):
        Invocation("deploy-all", ROOT, Given({flag: text})).request()


@pytest.mark.parametrize(("flag", "bad"), [(flags.LOG_LINES, "x"), (flags.EVENTS, "0")])
def test_a_bad_number_of_lines_is_too(flag: flags.Flag[int], bad: str) -> None:
    assert Given({"tail": "7"})[flag] == 7
    with pytest.raises(UsageError, match="--tail must be a whole number"):
        Given({"tail": bad})[flag]


@pytest.mark.parametrize(("typed", "meant"), [(None, None), (True, ""), ("web", "web")])
def test_refresh_is_for_all_services_or_for_one(typed: flags.Raw, meant: str | None) -> None:
    assert Given({"refresh": typed})[flags.REFRESH] == meant


def test_refresh_that_names_no_service_is_refused() -> None:
    with pytest.raises(UsageError, match="--refresh"):
        _ = Given({"refresh": "a b"})[flags.REFRESH]


@pytest.mark.parametrize(
    ("flag", "given", "typed"),
    [
        (flags.NODE, "east", ["east"]),
        (flags.NODE, ("east", "front"), ["east", "front"]),
        (flags.NODE, None, None),
        (flags.LOG_LINES, 5, "5"),
        (flags.WAIT_LOCK, 0, "0"),
        (flags.TAG, None, None),
        (flags.REFRESH, True, True),
        (flags.JSON, None, False),
    ],
)
def test_what_python_gives_a_flag_is_what_would_be_typed(
    flag: flags.Flag[object], given: object, typed: flags.Raw
) -> None:
    assert flag.typed(given) == typed


@pytest.mark.parametrize(
    ("flag", "given"), [(flags.NODE, 3), (flags.NODE, [3]), (flags.TAG, True), (flags.TAG, ["v1"])]
)
def test_what_nobody_could_type_is_refused(flag: flags.Flag[object], given: object) -> None:
    with pytest.raises(UsageError, match=f"{flag.key} is "):
        flag.typed(given)


TEXTS = [
    *dict.fromkeys(flag for command in COMMANDS for flag in command.flags if flag.empty is None),
    *(flags.SERVICES, flags.REFRESH, flags.replicas("gpu")),
]


@pytest.mark.parametrize("flag", [flag for flag in TEXTS if flag.name not in ("node", "stack")])
def test_a_text_of_an_unset_variable_does_not_stand_for_a_flag_that_was_left_out(
    flag: flags.Flag[object],
) -> None:
    for said in (["", "web"], ["web", ""]) if flag.several else ("",):
        with pytest.raises(UsageError, match=f"^--{flag.name}"):
            _ = Given({flag.name: said})[flag]


@pytest.mark.parametrize(
    ("flag", "names"),
    [
        (flags.TAG, ("v1.0.0+1", "feature/#12", "_next", "HEAD@{1}", "a=b", "release,2")),
        (flags.SERVICE, ("_worker", ".hidden", "1")),
        (flags.REFRESH, ("_worker",)),
    ],
)
def test_names_that_git_and_compose_allow_are_names(
    flag: flags.Flag[str | None], names: tuple[str, ...]
) -> None:
    for name in names:
        assert Given({flag.name: name})[flag] == name
    assert Given({"service": ["_worker"]})[flags.SERVICES] == ("_worker",)
    with pytest.raises(UsageError, match="is not a name"):
        _ = Given({"service": "web/x"})[flags.SERVICE]
