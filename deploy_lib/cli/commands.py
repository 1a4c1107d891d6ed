"""The commands, as they are typed and listed.

Each is a row here, and a module of its name beside this one whose `run` carries it out. That module is imported when its
command runs: `--list` needs none of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

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
    Flags,
)
from deploy_lib.cli.outline import Outline

if TYPE_CHECKING:
    from deploy_lib.cli.invocation import Invocation

ALL = "all"
"""`deploy-all`, and what `--node` has for every node."""


class Command(Struct, frozen=True):
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
