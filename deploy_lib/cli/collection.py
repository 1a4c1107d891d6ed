"""The tasks of `invoke` and `fab`, made from one table of commands (`commands.py`) and the stacks of deploy.toml."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task

from deploy_lib.cli import flags
from deploy_lib.cli.commands import COMMANDS, Command, deploying
from deploy_lib.cli.flags import NODE, PARALLEL, STACK, Flag, Flags, Given, Raw
from deploy_lib.cli.outline import Outline, outline
from deploy_lib.cli.program import accept_repeated_hosts, require_ssh_config, suggest

if TYPE_CHECKING:
    from deploy_lib.ssh.connection import StrictConnection

_FLEET_ONLY = {NODE.name, PARALLEL.name}
"""Flags that mean nothing on one host."""


class ProjectTask(Task[Callable[..., None]]):
    """A command as a task of Invoke or Fabric.

    Attributes:
        root: the folder of its deploy.toml.
    """

    def __init__(self, root: Path, command: Command, accepted: Flags, connected: Connected) -> None:
        self.root = root

        def body(context: Context, **typed: Raw) -> None:
            from deploy_lib.cli.invocation import Invocation

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
    names = _known_names(root)
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
    require_ssh_config()
    made = []
    for command in (*deploying(_known_names(root)), *COMMANDS):
        if not command.on_host:
            continue
        accepted = tuple(flag for flag in command.flags if flag.name not in _FLEET_ONLY)
        made.append(ProjectTask(root, command, accepted, _verified))
    return Collection(*made)


def _known_names(root: Path) -> Outline:
    """What deploy.toml has names for. From here on a mistyped one is answered with the nearest; and where the stacks' own tasks cannot
    be listed, standard error says so.
    """
    suggest(root)
    names = outline(root, sys.argv[1:])
    if names.problem and any(word in ("-l", "--list") or word.startswith("--list=") for word in sys.argv[1:]):
        sys.stderr.write(f"error: the stacks' own tasks cannot be listed: {names.problem}\n")
    return names


def _verified(context: Context) -> StrictConnection:
    from deploy_lib.cli.invocation import refuse
    from deploy_lib.errors import UsageError
    from deploy_lib.ssh.connection import StrictConnection

    if not isinstance(context, StrictConnection):
        problem = "Fabric's own executor would run this without verifying the host"
        executor = "tasks: {executor_class: deploy_lib.cli.executor.HostExecutor}"
        refuse(UsageError(problem, hint=f"put this line into fabric.yaml, beside the fabfile: {executor}"))
    return context
