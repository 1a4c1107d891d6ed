"""The project's errors: each says what happened, where, and what to do about it.

Exit codes are part of the interface that scripts rely on; see the table in README.md.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Literal

Stage = Literal["name", "TCP", "SSH", "host key", "login"]
"""The stages of a connection, in their order."""


class ExitCode(IntEnum):
    """Exit status of every command."""

    DONE = 0
    UNFORESEEN = 1
    USAGE = 2
    NOT_STARTED = 3
    LOCKED = 4
    FAILED_REVERTED = 10
    FAILED_INCONSISTENT = 11
    DRIFT = 12
    INTERRUPTED = 130

    @staticmethod
    def worst(codes: list[ExitCode]) -> ExitCode:
        """The one code that stands for several nodes."""
        order = [
            ExitCode.FAILED_INCONSISTENT,
            ExitCode.FAILED_REVERTED,
            ExitCode.UNFORESEEN,
            ExitCode.INTERRUPTED,
            ExitCode.USAGE,
            ExitCode.LOCKED,
            ExitCode.NOT_STARTED,
            ExitCode.DRIFT,
        ]
        return next((code for code in order if code in codes), ExitCode.DONE)


class DeployError(Exception):
    """Base of every error that an operator is meant to read.

    Args:
        what: what happened, one sentence, without a final full stop where possible.
        node: name of the node it happened on, if it happened on one.
        step: the step of the deployment during which it happened.
        hint: what to do about it.
    """

    exit_code = ExitCode.NOT_STARTED

    def __init__(
        self,
        what: str,
        *,
        node: str | None = None,
        step: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.node = node
        self.step = step
        self.hint = hint

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.node, self.step) if part)
        line = f"{where}: {self.what}" if where else self.what
        return f"{line}\n  -> {self.hint}" if self.hint else line


class SeveralErrors(DeployError):  # noqa: N818 - they are errors
    """What went wrong on several nodes.

    Args:
        errors: one for each of them.
    """

    def __init__(self, errors: Sequence[DeployError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors
        self.exit_code = ExitCode.worst([error.exit_code for error in errors])


class UsageError(DeployError):
    """A bad argument or a bad configuration; nothing was touched."""

    exit_code = ExitCode.USAGE


class UnreachableError(DeployError):
    """A node could not be reached, verified or logged in to.

    Attributes:
        stage: at which its one connection failed.
        jump: a jump host failed, on the way to the node.
        off: nothing answered where it, or its jump host, is: no such name, no route, refused, or no answer in time. What
            answers and is not accepted, such as a changed host key, is not off.
    """

    stage: Stage = "SSH"
    jump = False
    off = False


class PreflightError(DeployError):
    """A condition of the first change is not met; nothing was changed."""


class RemoteError(DeployError):
    """A command on a host failed or timed out, or its session ended."""


class CommandError(RemoteError):
    """A command on a host ended with another exit status than 0.

    Attributes:
        code: that status.
    """

    code = 1


class NotRunError(RemoteError):
    """The host ran nothing of a script."""


class NotUnderstoodError(RemoteError):
    """A host's answer cannot be understood; unknown must not be treated as absent."""


class StoppedError(DeployError):
    """The operator pressed Ctrl-C."""

    exit_code = ExitCode.INTERRUPTED


class LockedError(DeployError):
    """Somebody else is deploying this stack."""

    exit_code = ExitCode.LOCKED


class UnforeseenError(DeployError):
    """A fault of this program, or of something that it uses, for which it has no error of its own.

    Args:
        error: what was raised.
    """

    exit_code = ExitCode.UNFORESEEN

    def __init__(self, error: BaseException) -> None:
        said = " ".join(str(error).split())
        frames = traceback.extract_tb(error.__traceback__)
        where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
        super().__init__(
            f"unforeseen error: {type(error).__name__}{': ' if said else ''}{said}{where}",
            hint="the same command with --debug shows where it comes from; please report it",
        )


@contextmanager
def told(node: str | None = None) -> Iterator[None]:
    """Turns whatever the block raises into an error that an operator can read, with its node.

    Raises:
        DeployError: an UnforeseenError for every exception that is no DeployError.
    """
    try:
        yield
    except DeployError as error:
        error.node = error.node or node
        raise
    except Exception as error:
        unforeseen = UnforeseenError(error)
        unforeseen.node = node
        raise unforeseen from error
