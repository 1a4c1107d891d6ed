"""What ssh_config's values mean: `~`, `${VARIABLE}` and `%` tokens, for the keywords that `ssh -G` prints as they were written."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from deploy_lib.errors import UsageError

ASKED = "ChiLlnpru"
"""The tokens whose values `ssh` itself is asked for; each stands for the same in every keyword."""

QUESTION = "|".join(f"%{token}" for token in ASKED)
"""A ControlPath with all of them: `ssh -G` prints that expanded."""


class AsWritten(TypedDict):
    """How what `ssh` reads and prints becomes text."""

    encoding: str
    errors: str


AS_WRITTEN = AsWritten(encoding="utf-8", errors="surrogateescape")
"""Paths may have any bytes, and each becomes the same byte again."""

_TOKEN = re.compile(r"%(.?)")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def answered(control_path: str, host_key_alias: str | None, jump: str | None) -> dict[str, str]:
    """The tokens' values, from what `ssh -G` made of QUESTION; `%j` is not in that, as ssh before 9.6 does not know it."""
    tokens = dict(zip(ASKED, control_path.split("|"), strict=True))
    return {**tokens, "d": str(home()), "k": host_key_alias or tokens["n"], "j": jump or "", "%": "%"}


def expand(value: str, tokens: Mapping[str, str], keyword: str, *, variables: bool = True) -> str:
    """A value with its variables and tokens replaced.

    Args:
        variables: whether the keyword has `${VARIABLE}`; a command is given to a shell, which has its own.

    Raises:
        UsageError: it has a token that does not exist, or a variable that is not set; `ssh` refuses these, too.
    """

    # A command may have a password.
    shown = keyword if keyword.endswith("Command") else f"{keyword} {value}"

    def token(found: re.Match[str]) -> str:
        if found[1] not in tokens:
            raise UsageError(f"ssh_config: {shown}: there is no token {found[0]!r} for it")
        return tokens[found[1]]

    def variable(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise UsageError(f"ssh_config: {shown}: the environment has no {found[1]}")
        return os.environ[found[1]]

    # One pass each, as ssh does it: what a variable holds may have tokens, what a token stands for has no variables.
    return _TOKEN.sub(token, _VARIABLE.sub(variable, value) if variables else value)


def path(value: str) -> Path:
    """A path whose `~` is the user's home, as the system's users have it: `ssh` does not look at HOME.

    Raises:
        UsageError: it begins with the home of a user that there is not.
    """
    if value == "~" or value.startswith("~/"):
        return home() / value[2:]
    if value.startswith("~"):
        name, _, rest = value[1:].partition("/")
        try:
            return Path(pwd.getpwnam(name).pw_dir) / rest
        except KeyError:
            raise UsageError(f"ssh_config: {value}: there is no user {name}") from None
    return Path(value)


def home() -> Path:
    """The user's home directory; "/" for a user whom the system does not know."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path(os.environ.get("HOME") or "/")


def agent(value: str | None) -> str | None:
    """The socket of the agent that IdentityAgent names; None without one."""
    if value == "none":
        return None
    if value is None or value == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK") or None
    if value.startswith("$"):
        return os.environ.get(value.removeprefix("$").strip("{}")) or None
    return str(path(value))
