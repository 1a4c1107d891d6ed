"""A stack as this checkout has it, read before any host is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deploy_lib.errors import UsageError
from deploy_lib.operations.compose import StackFile, read_stack_file
from deploy_lib.operations.files import collect
from deploy_lib.topology import Environment, Node


@dataclass(frozen=True)
class Local:
    """A stack's files, and what its Compose file says."""

    files: Mapping[str, bytes]
    file: StackFile


def read_stack(environment: Environment, node: Node) -> Local:
    """The stack's files.

    Raises:
        UsageError: one is missing or broken, or a name in it is not as deploy.toml has it.
    """
    files = collect(environment.root, node.stack)
    path = node.stack.compose
    file = read_stack_file(files[path.rpartition("/")[2]], path)
    undeclared = [name for name in file.secret_names if name not in environment.secrets]
    if undeclared:
        raise UsageError(
            f"{path} needs the secret {undeclared[0]}, which deploy.toml does not declare",
            mend=f"add [secrets.{undeclared[0]}] with its field",
        )
    return Local(files, file)
