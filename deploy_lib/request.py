"""What an operator asked for, converted from the strings of the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct, field

from deploy_lib.errors import UsageError

_WAIT = range(0, 24 * 3600 + 1)

REF = r"[A-Za-z0-9_][A-Za-z0-9._/~^+#@{}=,%-]*"
"""Tags and git refs; nothing that git or a shell takes for something else."""

SERVICE = r"[A-Za-z0-9._][A-Za-z0-9._-]*"
"""Names of services, as Compose has them; but for one that begins as a flag does."""


class Request(Struct, frozen=True):
    """One deployment as it was asked for.

    Attributes:
        command: the task's name, as in "deploy-web".
        tag: `--tag` as given; None for the environment's default.
        services: the only services to be changed; none for all.
        refresh: the service whose tag is looked up anew; "" for all of them; None: other people's images stay as recorded.
        dry_run: show the plan and change nothing.
        no_rollback: a failed release is left in place, to look at it.
        skip_validation: failed checks are only warned of, as far as the deployment can go on without them.
        wait_lock: seconds to wait for another deployment.
        parallel: nodes that are changed side by side; None for all.
        images: what `--image` has: names, and what services of that name, or with an image of that name, get instead.
        replicas: by kind, how many were asked for; a kind that is not named stays as it is.
    """

    command: str
    tag: str | None = None
    services: tuple[str, ...] = ()
    refresh: str | None = None
    dry_run: bool = False
    no_rollback: bool = False
    skip_validation: bool = False
    wait_lock: int = 0
    parallel: int | None = None
    replicas: Mapping[str, int] = field(default_factory=dict)
    images: tuple[tuple[str, str], ...] = ()


def whole_number(flag: str, text: str | None, default: int, allowed: range = _WAIT) -> int:
    """The number that a flag was given.

    Raises:
        UsageError: it is no whole number, or not in `allowed`.
    """
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]+", text) or int(text) not in allowed:
        raise UsageError(f"{flag} must be a whole number from {allowed[0]} to {allowed[-1]}, not {text!r}")
    return int(text)


def image(text: str) -> tuple[str, str]:
    """What `--image` was given.

    Raises:
        UsageError: it is not NAME=REF.
    """
    name, _, reference = text.partition("=")
    if (
        not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/:-]*", name)
        or not reference.strip()
        or reference.startswith("-")
    ):
        raise UsageError(
            f"--image {text}: it is not NAME=REF",
            hint="NAME is a service, or the name of an image that services use; REF an image of this machine's engine, or a file "
            "(.tar, .tar.gz, .tar.zst): --image web=web:patch",
        )
    return name, reference


def word(flag: str, text: str | None, form: str = REF) -> str | None:
    """The name that a flag was given, None when it was not.

    Args:
        form: the pattern of such names.

    Raises:
        UsageError: it is empty, or has characters that no name has.
    """
    if text == "":
        # That of an unset variable must not stand for what the flag means when it is left out.
        raise UsageError(
            f"{flag}: nothing is named", hint="leave it out, or give it a name: is a variable unset?"
        )
    if text is not None and not re.fullmatch(form, text):
        raise UsageError(f"{flag}: {text!r} is not a name")
    return text
