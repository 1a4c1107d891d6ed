"""What a stack itself asks for: shared storage, and a value for each variable."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from deploy_lib.checks.check import Check, judged
from deploy_lib.compose.service import Service
from deploy_lib.config import Node
from deploy_lib.host.look.facts import Facts
from deploy_lib.release.files import FOLDER
from deploy_lib.source.shipped import Expected, Shipped


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


def check_variables(node: Node, facts: Facts, given: Mapping[str, str]) -> Check:
    """That Compose has a value for each variable: it would put an empty text in its place.

    Args:
        given: the names in the stack's env file, with their values.
    """
    unset = sorted({name for service in facts.services.values() for name in service.unset} - facts.blank)
    problems = [f"{name} has no value" for name in (*sorted(facts.blank), *unset)]
    file = " and ".join(node.stack.env_file or ("an env file that is shipped",))
    twice = [name for name in facts.secret_names if name in given]
    advice = [
        *(
            [
                f"set it in {file}, in the variables of node {node.name} in deploy.toml, or as a secret; "
                "${NAME:-} accepts an empty text"
            ]
            if problems
            else []
        ),
        *(
            [f"take {', '.join(twice)} out of {file}: a secret's value comes from its source"]
            if twice
            else []
        ),
    ]
    problems += [f"{name} is a secret, and has a value in {file}, too" for name in twice]
    return judged(
        "variables",
        "each variable of the Compose file has a value, and no secret has one in a file",
        "; ".join(problems),
        "; ".join(advice),
    )


def check_project(node: Node, project: str, facts: Facts, *, named: bool, otherwise: str = "") -> Check:
    """That the name of the Compose project does not hang on the directory: with another one, a stack gets new, empty volumes.

    Args:
        named: it stands in the Compose file or in deploy.toml.
        otherwise: another one, which an env file gives: Compose by itself would take that one.
    """
    if otherwise:
        return judged(
            "project name",
            "the Compose project has one name",
            f"name: is {project!r}, and COMPOSE_PROJECT_NAME in the env file is {otherwise!r}, which Compose would take",
            f'put the one that the volumes have into [stacks.{node.stack_name}] of deploy.toml: project = "{otherwise}", '
            f'or "{project}"; docker volume ls shows them',
        )
    running = f", under which {len(facts.containers)} containers are here" if facts.containers else ""
    found = {c.project.directory for c in facts.containers if c.project} if facts.unrecorded else set()
    if named and (elsewhere := sorted(map(str, found - {node.directory}))):
        return judged(
            "project name",
            "the Compose project has a fixed name, and lies where it was started",
            f"{project} was started by hand in {', '.join(elsewhere)}, and not in {node.directory}",
            f'put directory = "{elsewhere[0]}" into the node {node.name} of deploy.toml, or take the containers down first',
        )
    return judged(
        "project name",
        "the Compose project has a fixed name",
        ""
        if named
        else f"{node.stack.compose_shown} has no fixed name:; Compose would choose {project!r} by itself{running}",
        f'put project = "{project}" into [stacks.{node.stack_name}] of deploy.toml',
        found=project,
    )


def check_profiles(declared: Collection[str], facts: Facts) -> Iterator[Check]:
    """Whether something runs that a deployment leaves as it is: a service of a profile that is not active; nothing otherwise.

    Args:
        declared: the services of the Compose files, those of all profiles.
    """
    idle = sorted({c.service for c in facts.containers} & {*declared} - {*facts.services})
    if idle and facts.services:
        yield judged(
            "profiles",
            "all that runs of the stack is deployed",
            f"{' and '.join(idle)} runs here, of a profile that is not active: a deployment leaves it as it is, with its image",
            "take its profile along with COMPOSE_PROFILES in an env file or in the node's variables, or remove its containers",
            otherwise="warning",
        )


def check_reloads(node: Node, services: Mapping[str, Service], files: Collection[str]) -> Check:
    """That a changed file reaches who is told of it: one that is mounted by itself keeps its old content when it is replaced.

    Args:
        files: the paths that are shipped.
    """
    found = [
        f"{reload.service} mounts {path} by itself"
        for reload in node.stack.reloads
        for mount in services[reload.service].mounts
        if not reload.restart
        and (path := mount.shipped) is not None
        and path in files
        and PurePosixPath(path).is_relative_to(reload.path)
    ]
    return judged(
        "reloads",
        "a service that is told of changed files sees them",
        f"{'; '.join(found)}: until it is restarted it has the old content" if found else "",
        f"mount the directory, choose restart = true, or take the entry out of [[stacks.{node.stack_name}.reloads]]: "
        "then a changed file recreates the service",
    )


def check_files(node: Node, shipped: Shipped, facts: Facts) -> Iterator[Check]:
    """That all the files are there which the stack needs: shipped, or on the host already; and what an operator should know."""
    # Where nothing could be rendered, it may be for want of one of them.
    used = [e for e in shipped.expected if not facts.services or e.reference.used(facts.services)]
    lacking = [e for e in used if e.reference.needed and e.reference.path not in facts.present]
    known = "present" not in facts.problems and bool(facts.user)
    yield judged(
        "files",
        "every file and directory that the Compose files name is shipped, or is on the host already",
        "; ".join(
            f"{e.reference}, is not on the host, and is not shipped: {e.why}"
            for e in (lacking if known else ())
        ),
        "; ".join([*dict.fromkeys(e.hint for e in lacking), *_own(node, lacking)]),
        found=f"{len(shipped.files)} files are shipped",
    )
    yield check_places(node, {path: entry.mark for path, entry in shipped.files.items()}, facts)
    for note, hint in shipped.notes:
        yield Check("files", "what is deployed is what is meant", "warning", problem=note, hint=hint)


def _own(node: Node, lacking: Iterable[Expected]) -> Iterator[str]:
    """The line for what the stack may fill itself."""
    paths = dict.fromkeys(e.data for e in lacking if e.data)
    if paths:
        listed = ", ".join(f'"{path}"' for path in (*node.stack.data, *paths))
        yield f"what the stack fills itself is named in [stacks.{node.stack_name}]: data = [{listed}]"


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
