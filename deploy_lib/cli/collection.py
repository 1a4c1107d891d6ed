"""The tasks of `invoke` and `fab`, made from one table of commands (`commands.py`) and the stacks of deploy.toml."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task

from deploy_lib.cli import flags
from deploy_lib.cli.commands import COMMANDS, Command, deploying
from deploy_lib.cli.flags import DRY_RUN, JSON, NODE, PARALLEL, STACK, Flag, Flags, Given
from deploy_lib.cli.outline import Outline, outline
from deploy_lib.cli.program import accept_repeated_hosts, refuse_useless_flags, suggest
from deploy_lib.errors import UsageError

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

        # Invoke asks a function for its parameters, and shows its docstring.
        signature = _signature(accepted)

        def body(*words: Any, **typed: Any) -> None:
            from deploy_lib.cli.invocation import Invocation, refuse

            try:
                context, given = _given(signature, accepted, words, typed)
                if context.config.run.dry:
                    raise _no_dry_run(accepted)
                connection = connected(context)
            except UsageError as error:
                error.step = command.name
                refuse(error, command.name, as_json=bool(typed.get(JSON.key)))
            command.run(Invocation(command.name, root, given, command.stack, connection))

        body.__signature__ = signature  # type: ignore[attr-defined]
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


def _given(
    signature: inspect.Signature, accepted: Flags, words: Sequence[Any], typed: Mapping[str, Any]
) -> tuple[Context, Given]:
    """The context and the flags of a call: by Invoke, which gives every flag, or by a task of somebody's own, which does not.

    Raises:
        UsageError: a flag is unknown or missing, or no such flag's value.
    """
    try:
        bound = signature.bind(*words, **typed)
    except TypeError as error:
        names = ", ".join(flag.key for flag in accepted)
        raise UsageError(str(error), hint=f"besides the context it takes, by name: {names}") from None
    found = {flag.name: flag.typed(bound.arguments.get(flag.key)) for flag in accepted}
    return bound.arguments["context"], Given(found)


def _no_dry_run(accepted: Flags) -> UsageError:
    shown = f"--{DRY_RUN.name}" if DRY_RUN in accepted else ""
    return UsageError(
        "Invoke's own dry run (-R, --dry, run.dry) is not for this task, which would run all the same",
        hint=f"{shown}, behind the task's name, shows what it would change" if shown else "leave it out",
    )


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
    refuse_useless_flags()
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
    from deploy_lib.ssh.connection import StrictConnection

    if not isinstance(context, StrictConnection):
        executor = "tasks: {executor_class: deploy_lib.cli.executor.HostExecutor}"
        raise UsageError(
            "this needs a verified connection as its context, and Fabric's own executor gives none",
            hint=f"put this line into fabric.yaml, beside the fabfile: {executor}",
        )
    return context
