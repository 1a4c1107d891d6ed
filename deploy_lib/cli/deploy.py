"""The deploy commands, whichever program they are given to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy_lib.cli.command import announce, command
from deploy_lib.cli.nodes import choose, deployments_on
from deploy_lib.config import Environment
from deploy_lib.errors import ExitCode
from deploy_lib.fleet.interruption import deafen
from deploy_lib.output import streams as stdio
from deploy_lib.output.console import Console
from deploy_lib.request import Request, whole_number, word
from deploy_lib.ssh.connection import StrictConnection

if TYPE_CHECKING:
    from deploy_lib.fleet.done import Done
    from deploy_lib.node.deployment import Deployment

NODE_HELP = {"node": "core, B, C or all; may be given more than once"}
HELP = {
    "tag": "sha-abc1234, a full SHA, a git ref, or latest; otherwise the environment's default",
    "service": "change this service only",
    "dry_run": "show what would change, and change nothing",
    "no_rollback": "leave a release that fails in place, to look at it (exit 11)",
    "skip_validation": "only warn of checks that fail, as far as anything can be done without them",
    "wait_lock": "seconds to wait for another deployment to end",
    "parallel": "how many nodes at once; otherwise all",
    "replicas_backtest": "backtest workers on each node; otherwise as many as it has, at first as deploy.toml says",
    "replicas_training": "training workers on each node; otherwise as many as it has, at first as deploy.toml says",
    "json": "one JSON document on standard output",
    "debug": "show what Compose says",
}
"""What the flags that `fab` and `invoke` share mean."""

CORE_HELP = {flag: text for flag, text in HELP.items() if not flag.startswith("replicas_")}
WORKERS_HELP = {flag: text for flag, text in HELP.items() if flag != "service"}

REPLICAS = "replicas_"
"""What the flags begin with that say how many replicas of a kind there are to be."""

ROLLBACK_HELP = {
    **{flag: HELP[flag] for flag in ("dry_run", "no_rollback", "wait_lock", "json", "debug")},
    "tag": "the release to go to; otherwise the one before",
    "skip_validation": "go back without the checks of the host",
}

ROTATE_HELP = {
    **{flag: HELP[flag] for flag in ("dry_run", "wait_lock", "parallel", "json", "debug")},
    "node": "core, B, C or all; may be given more than once; otherwise all",
}

PRUNE_HELP = {
    **{flag: HELP[flag] for flag in ("wait_lock", "parallel", "json")},
    "debug": "show what is removed",
}


def flags(given: Mapping[str, Any]) -> dict[str, Any]:
    """A task's own flags, out of its arguments: all but the context and the nodes."""
    return {name: value for name, value in given.items() if name not in ("c", "node")}


def deploy_stack(
    root: Path,
    stack: str | None,
    *,
    nodes: list[str] | None = None,
    connection: StrictConnection | None = None,
    **given: Any,
) -> None:
    """Deploys a stack to its nodes, or to the one at the other end of `connection`.

    Args:
        stack: None for the stacks of all nodes.
        given: the flags, see `HELP`, as they were given; `json` and the other switches are booleans, the rest are strings.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with _changing(root, f"deploy-{stack or 'all'}", stack, nodes, connection, given) as change:
        from deploy_lib.fleet.deploy import deploy

        change.done = deploy(change.environment, change.deployments, change.request, change.console)


def roll_back(
    root: Path,
    *,
    nodes: list[str] | None = None,
    connection: StrictConnection | None = None,
    **given: Any,
) -> None:
    """Takes nodes back to an earlier release.

    Args:
        given: the flags, see `ROLLBACK_HELP`.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with _changing(root, "rollback", None, nodes, connection, given) as change:
        from deploy_lib.fleet import rollback

        change.done = rollback.roll_back(
            change.environment,
            change.deployments,
            change.request,
            change.console,
            named=bool(nodes) or connection is not None,
        )


def rotate_secrets(root: Path, *, nodes: list[str] | None = None, **given: Any) -> None:
    """Gives nodes the secret values that were changed at their source.

    Args:
        given: the flags, see `ROTATE_HELP`.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with _changing(root, "rotate-secrets", None, nodes, None, given) as change:
        from deploy_lib.fleet import rotation

        change.done = rotation.rotate(change.environment, change.deployments, change.request, change.console)


def prune(root: Path, *, nodes: list[str] | None = None, **given: Any) -> None:
    """Removes the files and images on nodes that no rollback could need.

    Args:
        given: the flags, see `PRUNE_HELP`.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    with _changing(root, "prune", None, nodes, None, given) as change:
        from deploy_lib.fleet import pruning

        change.done = pruning.prune(change.deployments, change.request, change.console)


@dataclass
class _Change:
    """What a changing command works with, and what comes of it; nothing when it breaks off."""

    environment: Environment
    console: Console
    request: Request
    deployments: Sequence[Deployment]
    done: Done | None = None

    @property
    def nodes(self) -> Sequence[Deployment]:
        """The nodes that are reported."""
        return self.done.nodes if self.done else self.deployments


@contextmanager
def _changing(
    root: Path,
    name: str,
    stack: str | None,
    nodes: list[str] | None,
    connection: StrictConnection | None,
    given: Mapping[str, Any],
) -> Iterator[_Change]:
    """A command that changes hosts, from its arguments to its report."""
    as_json, debug = bool(given.get("json")), bool(given.get("debug"))
    with command(name, root, as_json=as_json, debug=debug) as (environment, console, report):
        request = _request(name, given)
        stdio.wait_for_readers(request.dry_run)
        chosen = choose(environment, stack, nodes, connection)
        announce(console, environment, chosen)

        from deploy_lib.cli import report as reporting

        with deployments_on(chosen, environment, request, console, connection) as deployments:
            change = _Change(environment, console, request, deployments)
            try:
                yield change
                if not request.dry_run:
                    deafen()
                report.exit = change.done.exit if change.done else ExitCode.DONE
                for deployment in change.nodes:
                    if deployment.error is not None:
                        console.error(deployment.error)
            finally:
                report.nodes = {d.node.name: reporting.as_dict(d, change.done) for d in change.nodes}
                report.release = next((found for d in change.nodes if (found := d.release_name)), None)
        if request.dry_run and change.done:
            for deployment in change.nodes:
                reporting.show_plan(console, deployment, change.done.previews.get(deployment.node.name))
        else:
            reporting.show_services(console, change.nodes)


def _request(name: str, given: Mapping[str, Any]) -> Request:
    parallel = whole_number("--parallel", given.get("parallel"), 0, range(1, 101))
    return Request(
        command=name,
        tag=word("--tag", given.get("tag")),
        service=word("--service", given.get("service")),
        dry_run=bool(given.get("dry_run")),
        no_rollback=bool(given.get("no_rollback")),
        skip_validation=bool(given.get("skip_validation")),
        wait_lock=whole_number("--wait-lock", given.get("wait_lock"), 0),
        parallel=parallel or None,
        replicas={
            flag.removeprefix(REPLICAS): whole_number(f"--{flag.replace('_', '-')}", text, 0, range(0, 101))
            for flag, text in given.items()
            if flag.startswith(REPLICAS) and text
        },
    )
