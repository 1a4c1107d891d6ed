"""What a stack itself asks for: shared storage, and a value for each variable."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from deploy_lib.checks.check import Check, judged
from deploy_lib.compose.variables import Variables
from deploy_lib.config import Node
from deploy_lib.host.look.facts import Facts
from deploy_lib.release.files import FOLDER
from deploy_lib.source.files import Shipped


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


def check_files(node: Node, shipped: Shipped, facts: Facts) -> Iterator[Check]:
    """That all the files are there which the stack needs: shipped, or on the host already; and what an operator should know."""
    lacking = [e for e in shipped.expected if e.reference.path not in facts.present]
    known = "present" not in facts.problems and bool(facts.user)
    yield judged(
        "files",
        "every file and directory that the Compose files name is shipped, or is on the host already",
        "; ".join(
            f"{e.reference}, is not on the host, and is not shipped: {e.why}"
            for e in (lacking if known else ())
        ),
        "; ".join(dict.fromkeys(e.hint for e in lacking)),
        found=f"{len(shipped.files)} files are shipped",
    )
    yield check_places(node, {path: entry.mark for path, entry in shipped.files.items()}, facts)
    for note, hint in shipped.notes:
        yield Check("files", "what is deployed is what is meant", "warning", problem=note, hint=hint)


def check_places(node: Node, wanted: Mapping[str, str], facts: Facts) -> Check:
    """That no directory with something in it lies where a file is to be.

    Args:
        wanted: by path, the mark of what is to lie there.
    """
    recorded = facts.proven.release.files if facts.proven else {}
    taken = [
        path
        for path, mark in sorted(wanted.items())
        # What a release has put into it goes with that release.
        if mark != FOLDER and path in facts.occupied and not any(p.startswith(f"{path}/") for p in recorded)
    ]
    first = node.directory / taken[0] if taken else node.directory
    return judged(
        "places",
        "nothing of somebody else's lies where a file is to be",
        f"on the host, {', '.join(taken)} is a directory with something in it, and a file is to lie there"
        if taken
        else "",
        f"look what it is, and move it away: mv {first} {first}.old",
    )
