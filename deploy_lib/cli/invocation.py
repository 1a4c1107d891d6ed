"""One command from its first line to its exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from invoke.exceptions import Exit, UnexpectedExit
from msgspec import Struct, field

from deploy_lib.cli import flags
from deploy_lib.cli.flags import Given
from deploy_lib.config import Environment, Node, load
from deploy_lib.errors import DeployError, ExitCode, UnforeseenError
from deploy_lib.fleet.interruption import catch_interrupts
from deploy_lib.output import streams as stdio
from deploy_lib.output.console import Console
from deploy_lib.output.table import lay_out, terminal_width
from deploy_lib.output.timings import TIMINGS
from deploy_lib.request import Request
from deploy_lib.secrets import core_dumps
from deploy_lib.ssh.connection import StrictConnection

OUTCOMES = {
    ExitCode.DONE: "done",
    ExitCode.UNFORESEEN: "unforeseen error",
    ExitCode.USAGE: "bad configuration or argument; nothing was changed",
    ExitCode.NOT_STARTED: "not started; nothing was changed",
    ExitCode.LOCKED: "locked; nothing was changed",
    ExitCode.FAILED_REVERTED: "failed; every host is as it was before",
    ExitCode.FAILED_INCONSISTENT: "failed; a host is not as it was before",
    ExitCode.DRIFT: "drift",
    ExitCode.INTERRUPTED: "interrupted; nothing was changed",
}


class Report(Struct):
    """What a command's JSON document says; filled in while it runs.

    Attributes:
        more: what this command says besides.
    """

    command: str
    environment: str = ""
    release: str | None = None
    nodes: dict[str, Any] = field(default_factory=dict)
    exit: ExitCode = ExitCode.DONE
    more: dict[str, Any] = field(default_factory=dict)

    def as_dict(self, error: str | None) -> dict[str, Any]:
        """The document."""
        data: dict[str, Any] = {
            "command": self.command,
            "environment": self.environment,
            "exit": int(self.exit),
            "outcome": OUTCOMES[self.exit],
            "release": self.release,
            "nodes": self.nodes,
            **self.more,
        }
        return {**data, "error": error} if error else data


@contextmanager
def command(
    name: str, root: Path, *, as_json: bool, debug: bool, timings: bool = False
) -> Iterator[tuple[Environment, Console, Report]]:
    """Runs the body of a command: its errors become one clear line, one document and the fixed exit status.

    Args:
        timings: it says at the end where the time went.

    Raises:
        Exit: with the exit status, when that is not 0.
    """
    from deploy_lib.secrets.sources import mask_what_is_at_hand

    stdio.install()
    core_dumps.forbid()
    stdio.wait_for_readers(True)
    catch_interrupts()
    console = Console(as_json=as_json, debug=debug)
    report = Report(name)
    TIMINGS.begin()
    error: BaseException | None = None
    try:
        environment = load(root)
        report.environment = environment.name
        # What a host says when something fails is shown by commands that need no secret, too.
        mask_what_is_at_hand(environment)
        yield environment, console, report
    except DeployError as problem:
        report.exit, error = problem.exit_code, problem
    except KeyboardInterrupt:
        report.exit, error = ExitCode.INTERRUPTED, DeployError("interrupted")
    except (Exit, UnexpectedExit):
        raise  # Invoke handles its own
    except Exception as unforeseen:  # noqa: BLE001 - the last resort of every command
        report.exit, error = ExitCode.UNFORESEEN, UnforeseenError(unforeseen)
        error.__cause__ = unforeseen
    if error is not None:
        console.error(error)
    if timings:
        spans = TIMINGS.spans
        report.more["timings"] = [span.as_dict() for span in spans]
        for line in lay_out(
            ("AT", "SECONDS", "NODE", "KIND", "WHAT"), [span.row for span in spans], terminal_width()
        ):
            console.say(line)
    console.document(report.as_dict(str(error) if error else None))
    if report.exit:
        sys.stdout.flush()
        raise Exit(code=int(report.exit))


class Invocation(Struct, frozen=True):
    """A command as it was typed.

    Attributes:
        name: the task's, as in "deploy-web".
        root: the folder of deploy.toml.
        stack: the one that it is for; None for those of all nodes that are meant.
        connection: to the host that `fab` was given; None for `invoke`, whose nodes stand in deploy.toml.
    """

    name: str
    root: Path
    given: Given = field(default_factory=Given)
    stack: str | None = None
    connection: StrictConnection | None = None

    def begin(self) -> AbstractContextManager[tuple[Environment, Console, Report]]:
        """The command's body runs in this; see `command`."""
        json, debug = self.given[flags.JSON], self.given[flags.DEBUG]
        timings = self.given[flags.TIMINGS]
        return command(self.name, self.root, as_json=json, debug=debug, timings=timings)

    def request(self) -> Request:
        """What was asked for.

        Raises:
            UsageError: a flag's text makes no sense.
        """
        given = self.given
        return Request(
            command=self.name,
            tag=given[flags.TAG],
            services=given[flags.SERVICES],
            refresh=given[flags.REFRESH],
            dry_run=given[flags.DRY_RUN],
            no_rollback=given[flags.NO_ROLLBACK],
            skip_validation=given[flags.SKIP_VALIDATION],
            wait_lock=given[flags.WAIT_LOCK] or 0,
            parallel=given[flags.PARALLEL],
            replicas=given.replicas,
            images=given[flags.IMAGE],
        )


def refuse(error: DeployError, name: str = "", *, as_json: bool = False) -> NoReturn:
    """Ends a command before it begins.

    Args:
        name: the command's.
        as_json: it was asked for its document, which has the error.

    Raises:
        Exit: with the error's exit status.
    """
    console = Console(as_json=as_json)
    console.error(error)
    console.document(Report(name, exit=error.exit_code).as_dict(str(error)))
    raise Exit(code=int(error.exit_code)) from None


def announce(console: Console, environment: Environment, nodes: Sequence[Node]) -> None:
    """The first line of every command: which environment, and which hosts."""
    hosts = ", ".join(f"{node.name} ({node.host})" for node in nodes)
    console.say(f"environment {environment.name}: {hosts}")
