"""Fleet tasks: `invoke --list` shows them. Hosts come from deploy.toml, which DEPLOY_ENV picks an environment of."""

from __future__ import annotations

import os
import time
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

import deploy_lib.cli.start  # noqa: F401 - it comes first
import lab.tasks
from deploy_lib.cli.deploy import (
    CORE_HELP,
    HELP,
    NODE_HELP,
    PRUNE_HELP,
    ROLLBACK_HELP,
    ROTATE_HELP,
    WORKERS_HELP,
    deploy_stack,
    flags,
    roll_back,
)
from deploy_lib.cli.deploy import prune as prune_nodes
from deploy_lib.cli.deploy import rotate_secrets as rotate
from deploy_lib.cli.history import HISTORY_HELP, tell_history
from deploy_lib.cli.logs import LOGS_HELP, show_logs
from deploy_lib.cli.preflight import PREFLIGHT_HELP
from deploy_lib.cli.preflight import preflight as check_all
from deploy_lib.cli.status import STATUS_HELP, show_status
from deploy_lib.fleet.interruption import listen

ROOT = Path(__file__).resolve().parent


@task(auto_shortflags=False, help={**CORE_HELP, **NODE_HELP}, iterable=["node"])
def deploy_core(
    c: Context,
    node: list[str],
    tag: str = "",
    service: str = "",
    dry_run: bool = False,
    skip_validation: bool = False,
    no_rollback: bool = False,
    wait_lock: str = "",
    parallel: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Deploy the core stack."""
    deploy_stack(ROOT, "core", nodes=node, **flags(locals()))


@task(auto_shortflags=False, help={**WORKERS_HELP, **NODE_HELP}, iterable=["node"])
def deploy_workers(
    c: Context,
    node: list[str],
    tag: str = "",
    replicas_backtest: str = "",
    replicas_training: str = "",
    dry_run: bool = False,
    skip_validation: bool = False,
    no_rollback: bool = False,
    wait_lock: str = "",
    parallel: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Deploy the worker stack, side by side on its nodes."""
    deploy_stack(ROOT, "workers", nodes=node, **flags(locals()))


@task(auto_shortflags=False, help={**WORKERS_HELP, **NODE_HELP}, iterable=["node"])
def deploy_all(
    c: Context,
    node: list[str],
    tag: str = "",
    replicas_backtest: str = "",
    replicas_training: str = "",
    dry_run: bool = False,
    skip_validation: bool = False,
    no_rollback: bool = False,
    wait_lock: str = "",
    parallel: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Deploy every stack: the core first, then the workers; if one node fails, all go back."""
    deploy_stack(ROOT, None, nodes=node, **flags(locals()))


@task(
    auto_shortflags=False,
    help={**ROLLBACK_HELP, **NODE_HELP, "parallel": HELP["parallel"]},
    iterable=["node"],
)
def rollback(
    c: Context,
    node: list[str],
    tag: str = "",
    dry_run: bool = False,
    skip_validation: bool = False,
    no_rollback: bool = False,
    wait_lock: str = "",
    parallel: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Go back to the release before, on the nodes that the newest release touched, or to a tag, on all."""
    roll_back(ROOT, nodes=node, **flags(locals()))


@task(auto_shortflags=False, help=ROTATE_HELP, iterable=["node"])
def rotate_secrets(
    c: Context,
    node: list[str],
    dry_run: bool = False,
    wait_lock: str = "",
    parallel: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Apply what was changed at the secrets' source: in the containers, in PostgreSQL and in Grafana."""
    rotate(ROOT, nodes=node, **flags(locals()))


@task(auto_shortflags=False, help={**PRUNE_HELP, **NODE_HELP}, iterable=["node"])
def prune(
    c: Context,
    node: list[str],
    wait_lock: str = "",
    parallel: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Remove the files and images that no rollback could need."""
    prune_nodes(ROOT, nodes=node, **flags(locals()))


@task(
    auto_shortflags=False,
    help={**PREFLIGHT_HELP, **NODE_HELP, "parallel": HELP["parallel"]},
    iterable=["node"],
)
def preflight(
    c: Context, node: list[str], tag: str = "", parallel: str = "", json: bool = False, debug: bool = False
) -> None:
    """Check all that a deployment would check, and change nothing."""
    check_all(ROOT, nodes=node, **flags(locals()))


@task(
    auto_shortflags=False, help={**STATUS_HELP, **NODE_HELP, "parallel": HELP["parallel"]}, iterable=["node"]
)
def status(c: Context, node: list[str], parallel: str = "", json: bool = False, debug: bool = False) -> None:
    """Show what runs where, and how it differs from what was recorded."""
    show_status(ROOT, nodes=node, **flags(locals()))


@task(auto_shortflags=False, help={**LOGS_HELP, **NODE_HELP}, iterable=["node"])
def logs(
    c: Context,
    node: list[str],
    service: str = "",
    follow: bool = False,
    tail: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Show what the containers have said."""
    show_logs(ROOT, nodes=node, **flags(locals()))


@task(
    auto_shortflags=False, help={**HISTORY_HELP, **NODE_HELP, "parallel": HELP["parallel"]}, iterable=["node"]
)
def history(
    c: Context,
    node: list[str],
    tail: str = "",
    parallel: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Show what was deployed when, by whom, and what came of it."""
    tell_history(ROOT, nodes=node, **flags(locals()))


@task(
    auto_shortflags=False,
    help={"tag": "the image tag; otherwise that of the checkout's commit", "push": "push it, too"},
)
def build_backend(c: Context, tag: str = "", push: bool = False) -> None:
    """Build the backend image, and push it to the environment's registry."""
    from lab.backend import build_image

    build_image(ROOT, tag=tag, push=push)


@task(auto_shortflags=False, help={"stack": "core or workers"})
def validate_env(c: Context, stack: str) -> None:
    """Check that the variables are set which a stack cannot do without."""
    from deploy_lib.cli.validate_env import validate_env

    validate_env(ROOT, stack)


@task(auto_shortflags=False)
def demo(c: Context) -> None:
    """Start the lab, build the image, and deploy the stacks to it."""
    from lab.demo import run

    run(ROOT)


@task(auto_shortflags=False)
def lint(c: Context) -> None:
    """Check style and types."""
    listen()
    c.run("ruff check . && ruff format --check . && mypy")


@task(
    auto_shortflags=False,
    help={
        "full": "the long tail of the fault matrix, too, which takes much longer",
        "labs": "so many processes share the tests, each with a lab of its own",
    },
)
def test(c: Context, full: bool = False, labs: int = 3) -> None:
    """Run the checks: style, types, and the unit, ssh and lab tests."""
    from lab.tasks import speaking

    began = os.environ.get("RUN_BEGAN", str(time.time()))
    lint(c)
    with speaking() as console:
        from lab.engine import programs

        # The ssh tests run a server of their own.
        programs({"sshd": "openssh-server", "ssh": "openssh-client"}, console.say)
    chosen = "" if full else ' -m "not full"'
    # Who does what: tests/sharing.py.
    shared = f"-n {labs} --max-worker-restart {labs} --durations 20"
    c.run(f"pytest{chosen} {shared}", env={"RUN_BEGAN": began})


ns = Collection(
    *(deploy_core, deploy_workers, deploy_all, rollback, rotate_secrets, prune),
    *(preflight, status, history, logs),
    *(validate_env, build_backend, demo, lint, test),
    lab=lab.tasks.ns,
)
