"""What ssh_config's values mean, where `ssh -G` prints them as they were written."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from deploy_lib.errors import UsageError
from deploy_lib.ssh import tokens

KNOWN = {"h": "web.internal", "r": "me", "%": "%", "d": "/home/me"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("~/keys/%r@%h", "~/keys/me@web.internal"),
        ("%d/100%%/%h", "/home/me/100%/web.internal"),
        ("${WORD}/%r", "%r-is-replaced/me"),
        ("$WORD/{WORD}/${}x", None),
        ("%z", None),
        ("ends in %", None),
        ("${NO_SUCH}", None),
    ],
)
def test_tokens_and_variables(value: str, expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "%%r-is-replaced")
    monkeypatch.delenv("NO_SUCH", raising=False)
    if expected is None:
        with pytest.raises(UsageError, match="IdentityFile"):
            tokens.expand(value, KNOWN, "IdentityFile")
    else:
        assert tokens.expand(value, KNOWN, "IdentityFile") == expected


def test_a_command_keeps_its_variables_for_the_shell() -> None:
    assert tokens.expand("nc ${X} %h", KNOWN, "ProxyCommand", variables=False) == "nc ${X} web.internal"


def test_a_command_is_not_shown() -> None:
    for command in ("nc --proxy-auth me:hidden %z", "nc --proxy-auth me:hidden ${NO_SUCH}"):
        with pytest.raises(UsageError) as caught:
            tokens.expand(command, KNOWN, "KnownHostsCommand")
        assert "hidden" not in str(caught.value)


def test_what_a_token_stands_for_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tokens.expand("%r", {"r": "%h${HOME}"}, "IdentityFile") == "%h${HOME}"


def test_homes_are_those_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path(pwd.getpwuid(os.getuid()).pw_dir)
    monkeypatch.setenv("HOME", "/elsewhere")
    assert tokens.path("~") == own
    assert tokens.path("~/.ssh/id") == own / ".ssh/id"
    assert tokens.path("~root/x") == Path(pwd.getpwnam("root").pw_dir) / "x"
    assert tokens.path("a/~/b") == Path("a/~/b")
    with pytest.raises(UsageError, match="there is no user nobody-at-all"):
        tokens.path("~nobody-at-all/x")


@pytest.mark.parametrize(("home", "expected"), [("/elsewhere", "/elsewhere"), (None, "/")])
def test_a_user_whom_the_system_does_not_know(
    home: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: int) -> object:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    assert tokens.path("~/x") == Path(expected) / "x"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "/a/first"),
        ("SSH_AUTH_SOCK", "/a/first"),
        ("none", None),
        ("$OTHER", "/a/other"),
        ("${OTHER}", "/a/other"),
        ("$NO_SUCH", None),
        ("/a/b c", "/a/b c"),
    ],
)
def test_the_agent(value: str | None, expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/a/first")
    monkeypatch.setenv("OTHER", "/a/other")
    monkeypatch.delenv("NO_SUCH", raising=False)
    assert tokens.agent(value) == expected


def test_without_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert tokens.agent(None) is None
    monkeypatch.setenv("SSH_AUTH_SOCK", "")
    assert tokens.agent("SSH_AUTH_SOCK") is None


def test_the_answers_of_ssh_are_told_apart() -> None:
    text = "|".join(f"value of {token}" for token in tokens.ASKED)
    found = tokens.answered(text, None, None)
    assert all(found[token] == f"value of {token}" for token in tokens.ASKED)
    assert (found["k"], found["%"]) == ("value of n", "%")
    assert found["j"] == ""
    known = tokens.answered(text, "alias", "user@jump:22")
    assert (known["k"], known["j"]) == ("alias", "user@jump:22")
