"""`invoke validate-env`: are all variables set that a stack cannot do without?"""

from __future__ import annotations

import os
from pathlib import Path

from invoke.exceptions import Exit

from deploy_lib.compose.variables import variables
from deploy_lib.errors import UsageError
from deploy_lib.output.console import Console

STACKS = ("core", "workers")


def validate_env(root: Path, stack: str) -> None:
    """Looks at this process's environment only, as scripts/validate-env.sh does, and says the same.

    Raises:
        Exit: with status 1, when something is missing or empty, or there is no such stack.
    """
    console = Console()
    if stack not in STACKS:
        console.result(f"Usage: invoke validate-env {{{'|'.join(STACKS)}}}")
        raise Exit(code=1)
    path = f"compose/docker-compose.{stack}.yml"
    try:
        needed = variables((root / path).read_bytes(), path).needed
    except (OSError, UsageError) as error:
        console.error(error)
        raise Exit(code=1) from None
    missing = [name for name in needed if not os.environ.get(name)]
    if missing:
        console.result(f"❌ Missing required variables: {' '.join(missing)}")
        raise Exit(code=1)
    console.result("✅ All required variables set")
