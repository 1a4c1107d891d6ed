"""What a stack itself asks for: shared storage, and a value for each variable."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from deploy_lib.checks.check import Check, judged
from deploy_lib.compose.variables import Variables
from deploy_lib.config import Node


def check_storage(node: Node, found: Collection[str], *, deferred: bool) -> Iterator[Check]:
    """That shared storage is mounted and writable; nothing for a stack without.

    Args:
        found: see `Machine.storage`.
        deferred: a stack that this one needs is deployed by the same command, before it.
    """
    path = node.stack.shared_storage
    if path is None:
        return
    problem = "" if "writable" in found else f"{path} is not writable, or does not answer"
    if "mounted" not in found:
        problem = f"nothing is mounted at {path}"
    yield judged(
        "shared storage",
        f"{path} is mounted and writable",
        problem,
        f"mount the export of the stack {' or '.join(node.stack.needs) or 'that serves it'}: "
        f"mount -t nfs4 HOST:/ {path}, and a line in /etc/fstab",
        found=path,
        otherwise="deferred" if deferred else "failed",
    )


def check_variables(read: Variables, places: Mapping[str, Mapping[str, str]]) -> Check:
    """That each variable of the Compose file has a value from exactly one place.

    Args:
        places: by what an operator calls it, the values that a place has; those of secrets are not looked at.
    """
    problems = []
    for name in (*read.read, *(secret for secret in read.secrets if secret not in read.read)):
        where = [place for place, values in places.items() if name in values]
        if len(where) > 1:
            problems.append(f"{name} has a value from {' and from '.join(where)}")
        elif not where and name not in read.optional:
            problems.append(f"{name} has no value")
        elif where and name in read.required and not places[where[0]][name]:
            problems.append(f"{name} is empty in {where[0]}")
    return judged(
        "variables",
        "each variable of the Compose file has a value from exactly one place",
        "; ".join(problems),
        f"set each of them once: in {', '.join(places)}",
        found=f"{len(read.read) + len(set(read.secrets) - set(read.read))} variables",
    )


def read_env_file(content: bytes) -> dict[str, str]:
    """Names and raw values of an env file."""
    found = re.finditer(
        r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*(.*?)[ \t]*$",
        content.decode(errors="replace"),
        re.MULTILINE | re.ASCII,
    )
    return {match[1]: match[2].strip("'\"") for match in found}
