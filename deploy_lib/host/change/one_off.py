"""One-off commands of a release's new images, such as a migration, which run before its containers do."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.compose.command import compose_command, shown
from deploy_lib.compose.project import Project
from deploy_lib.config import OneOff
from deploy_lib.host.change.signs import MARK
from deploy_lib.host.change.step import Step
from deploy_lib.host.stack import HostStack
from deploy_lib.shell import quote, words


def one_off_command(stack: HostStack, project: Project, one_off: OneOff, *, alone: bool) -> str:
    """The call that runs a one-off command.

    Args:
        alone: the services that it depends on are left as they are; where nothing runs yet, they are started.
    """
    options = ("--rm", "--name", one_off_name(stack), *(("--no-deps",) if alone else ()), "-T")
    return compose_command(project, "run", *options, one_off.service, *one_off.command)


def one_off_name(stack: HostStack) -> str:
    """One name for all, by which a container that a crash or a time limit left behind is found."""
    return f"{stack.project_name}-before-switch"


def one_off_steps(
    stack: HostStack, project: Project, one_offs: Sequence[OneOff], env: str, *, alone: bool
) -> list[Step]:
    """They outlive the session as the switch does.

    Args:
        env: what a dry run shows before each command.
        alone: see `one_off_command`.
    """
    if not one_offs:
        return []
    # A command that does not end in time, or that a reboot has cut short, leaves its container behind.
    clear = f"docker rm -f {quote(one_off_name(stack))} >/dev/null 2>&1"
    steps = [Step(f"{clear} || true")]
    for one_off in one_offs:
        run = one_off_command(stack, project, one_off, alone=alone)
        said = quote(f"{MARK}one-off {one_off.service}: {words(*one_off.command)}")
        shell = f"engine && timeout -k 10 {int(one_off.timeout)} {run} || {{ r=$?; {clear}; return $r; }}"
        # No `echo`: that of some shells takes a backslash in the command for a sign of its own.
        steps.append(Step(f"printf '%s\\n' {said}\n{shell}", (env + shown(run),)))
    return steps
