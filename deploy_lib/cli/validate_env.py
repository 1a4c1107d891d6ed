"""`validate-env`: are all variables set that a stack requires?"""

from __future__ import annotations

import os

from invoke.exceptions import Exit

from deploy_lib.cli.flags import STACK
from deploy_lib.cli.invocation import Invocation, refuse
from deploy_lib.compose.file import project_name
from deploy_lib.compose.variables import variables
from deploy_lib.config import read
from deploy_lib.errors import UsageError
from deploy_lib.names import did_you_mean
from deploy_lib.output.console import Console


def run(invocation: Invocation) -> None:
    """Looks at this process's environment only.

    Raises:
        Exit: with status 1, when something is missing or empty, or there is no such stack; 2 when deploy.toml is broken.
    """
    console, stack = Console(), invocation.given[STACK]
    try:
        stacks = read(invocation.root).stacks
    except UsageError as error:
        refuse(error)
    if stack not in stacks:
        console.result(f"Usage: invoke validate-env {{{'|'.join(stacks)}}}")
        if question := did_you_mean(stack, stacks):
            console.say(question)
        raise Exit(code=1)
    try:
        read_files = [(path, (invocation.root / path).read_bytes()) for path in stacks[stack].compose]
        project_name([(content, path) for path, content in read_files])
        needed = dict.fromkeys(
            name for path, content in read_files for name in variables(content, path).needed
        )
    except (OSError, UsageError) as error:
        console.error(error)
        raise Exit(code=1) from None
    missing = [name for name in needed if not os.environ.get(name)]
    if missing:
        console.result(f"❌ Missing required variables: {' '.join(missing)}")
        raise Exit(code=1)
    console.result("✅ All required variables set")
