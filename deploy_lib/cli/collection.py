"""The tasks of `invoke` and `fab`, made from one table and the stacks of deploy.toml.

A command is a row here, and a module of its name beside this one whose `run` carries it out. That module is imported when its
command runs: `--list` needs none of them.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task

from deploy_lib.cli import flags
from deploy_lib.cli.flags import (
    BACKUP,
    DEBUG,
    DRY_RUN,
    EVENTS,
    FOLLOW,
    IMAGE,
    JSON,
    LOG_LINES,
    NO_ROLLBACK,
    NODE,
    PARALLEL,
    REFRESH,
    SERVICE,
    SERVICES,
    SKIP_VALIDATION,
    STACK,
    TAG,
    TIMINGS,
    WAIT_LOCK,
    Flag,
    Flags,
    Given,
    Raw,
)
from deploy_lib.cli.outline import Outline, outline
from deploy_lib.cli.program import accept_repeated_hosts, suggest

if TYPE_CHECKING:
    from deploy_lib.cli.command import Invocation
    from deploy_lib.ssh.connection import StrictConnection

ALL = "all"
"""`deploy-all`, and what `--node` has for every node."""

_FLEET_ONLY = {NODE.name, PARALLEL.name}
"""Flags that mean nothing on one host."""


@dataclass(frozen=True)
class Command:
    """One command, as it is typed and listed.

    Attributes:
        summary: what it does, in one sentence.
        stack: the one that it deploys.
        module: carries it out; by default the one of its name.
        on_host: `fab` has it, too.
    """

    name: str
    summary: str
    flags: Flags
    stack: str | None = None
    module: str = ""
    on_host: bool = True

    @property
    def run(self) -> Callable[[Invocation], None]:
        """What carries it out."""
        module = importlib.import_module(f"deploy_lib.cli.{self.module or self.name.replace('-', '_')}")
        run: Callable[[Invocation], None] = module.run
        return run


COMMANDS = (
    Command(
        "rollback",
        "Go back to the release before, where the newest one was deployed, or to a tag.",
        (
            *(NODE, TAG.saying("the release to go to; otherwise the one before"), DRY_RUN),
            SKIP_VALIDATION.saying("go back without the checks of the host"),
            *(NO_ROLLBACK, WAIT_LOCK, PARALLEL, TIMINGS, JSON, DEBUG),
        ),
    ),
    Command(
        "rotate-secrets",
        "Apply secret values that were changed at their source, in containers and in programs' own data.",
        (NODE, DRY_RUN, WAIT_LOCK, PARALLEL, TIMINGS, JSON, DEBUG),
    ),
    Command(
        "prune",
        "Remove the files and images that no rollback could need.",
        (NODE, DRY_RUN, WAIT_LOCK, PARALLEL, TIMINGS, JSON, DEBUG.saying("show what is removed")),
    ),
    Command(
        "backup",
        "Make the backups of the stacks' data that deploy.toml describes, now.",
        (NODE, WAIT_LOCK, PARALLEL, TIMINGS, JSON, DEBUG),
    ),
    Command(
        "backups",
        "List the backups that the hosts have.",
        (NODE, PARALLEL, TIMINGS, JSON, DEBUG.saying("show images, releases and SHA-256")),
    ),
    Command(
        "restore",
        "Put a backup back, after a backup of what is there now; if the stack is not proven with it, all is as before.",
        (
            *(NODE, BACKUP, DRY_RUN),
            SKIP_VALIDATION.saying(
                "go on without the host's checks, and where what is there cannot be backed up"
            ),
            *(WAIT_LOCK, TIMINGS, JSON, DEBUG),
        ),
    ),
    Command(
        "preflight",
        "Check all that a deployment would check, and change nothing.",
        (NODE, TAG, IMAGE, PARALLEL, TIMINGS, JSON, DEBUG.saying("show what each check proves")),
    ),
    Command(
        "status",
        "Show what runs where, and how it differs from what was recorded.",
        (NODE, PARALLEL, TIMINGS, JSON, DEBUG),
    ),
    Command(
        "history",
        "Show what was deployed when, by whom, and how it ended.",
        (NODE, EVENTS, PARALLEL, TIMINGS, JSON, DEBUG),
    ),
    Command(
        "logs",
        "Show the logs of the containers.",
        (NODE, SERVICE, FOLLOW, LOG_LINES, TIMINGS, JSON, DEBUG),
    ),
    Command(
        "validate-env",
        "Check that the variables that a stack requires are set.",
        (STACK,),
        on_host=False,
    ),
)
"""The commands of every project; those that deploy follow from its stacks."""

_REFRESH_ALL = "take the newest images of tags that are not the project's own"
_DEPLOYING = (DRY_RUN, SKIP_VALIDATION, NO_ROLLBACK, WAIT_LOCK, PARALLEL, TIMINGS, JSON)


def deploying(names: Outline) -> Iterator[Command]:
    """The commands that deploy stacks."""
    said = DEBUG.saying("show what Compose says")
    for stack, kinds in names.stacks.items():
        counts = tuple(flags.replicas(kind) for kind in kinds)
        yield Command(
            f"deploy-{stack}",
            f"Deploy the stack {stack}.",
            (flags.of_node(names.nodes_of(stack)), TAG, IMAGE, SERVICES, REFRESH, *counts, *_DEPLOYING, said),
            stack=stack,
            module="deploy",
        )
    counts = tuple(flags.replicas(kind) for kind in names.kinds)
    yield Command(
        f"deploy-{ALL}",
        "Deploy every stack, those first that others need; if one node fails, all go back.",
        (NODE, TAG, IMAGE, REFRESH.saying(_REFRESH_ALL), *counts, *_DEPLOYING, said),
        module="deploy",
        on_host=False,
    )


class ProjectTask(Task[Callable[..., None]]):
    """A command as a task of Invoke or Fabric.

    Attributes:
        root: the folder of its deploy.toml.
    """

    def __init__(self, root: Path, command: Command, accepted: Flags, connected: Connected) -> None:
        self.root = root

        def body(context: Context, **typed: Raw) -> None:
            from deploy_lib.cli.command import Invocation

            given = Given({flag.name: typed[flag.key] for flag in accepted})
            command.run(Invocation(command.name, root, given, command.stack, connected(context)))

        # Invoke asks a function for its parameters, and shows its docstring.
        body.__signature__ = _signature(accepted)  # type: ignore[attr-defined]
        body.__doc__ = command.summary
        super().__init__(
            body,
            name=command.name,
            auto_shortflags=False,
            help={flag.key: flag.help for flag in accepted},
            positional=[flag.key for flag in accepted if flag.required],
            optional=[flag.key for flag in accepted if flag.optional],
            iterable=[flag.key for flag in accepted if flag.several],
        )


Connected = Callable[[Context], "StrictConnection | None"]
"""Gives the connection that a task got as its context; None for a task that finds its nodes itself."""


def _signature(accepted: Flags) -> inspect.Signature:
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_ONLY)
    return inspect.Signature([context, *(flag.parameter() for flag in accepted)])


def collection(root: Path) -> Collection:
    """Invoke's tasks for the nodes of an environment; add your own to it with `add_task`.

    A broken deploy.toml stops only what needs it.

    Args:
        root: the folder of deploy.toml.
    """
    names = _outline(root)
    told: dict[Flag[Any], Flag[Any]] = {NODE: flags.of_node(names.nodes), STACK: flags.of_stack(names.stacks)}
    made = []
    for command in (*deploying(names), *COMMANDS):
        accepted = tuple(told.get(flag, flag) for flag in command.flags)
        made.append(ProjectTask(root, command, accepted, lambda context: None))
    return Collection(*made)


def host_collection(root: Path) -> Collection:
    """Fabric's tasks for the hosts that `fab -H` names; deploy.toml says which stacks they run.

    The project's fabric.yaml has to name the executor that verifies hosts: see `deploy_lib.cli.executor`.

    Args:
        root: the folder of deploy.toml.
    """
    accept_repeated_hosts()
    made = []
    for command in (*deploying(_outline(root)), *COMMANDS):
        if not command.on_host:
            continue
        accepted = tuple(flag for flag in command.flags if flag.name not in _FLEET_ONLY)
        made.append(ProjectTask(root, command, accepted, _verified))
    return Collection(*made)


def _outline(root: Path) -> Outline:
    suggest(root)
    names = outline(root, sys.argv[1:])
    if names.problem and any(word in ("-l", "--list") or word.startswith("--list=") for word in sys.argv[1:]):
        sys.stderr.write(f"error: the stacks' own tasks cannot be listed: {names.problem}\n")
    return names


def _verified(context: Context) -> StrictConnection:
    from deploy_lib.cli.command import refuse
    from deploy_lib.errors import UsageError
    from deploy_lib.ssh.connection import StrictConnection

    if not isinstance(context, StrictConnection):
        problem = "Fabric's own executor would run this without verifying the host"
        executor = "tasks: {executor_class: deploy_lib.cli.executor.HostExecutor}"
        refuse(UsageError(problem, hint=f"put this line into fabric.yaml, beside the fabfile: {executor}"))
    return context
