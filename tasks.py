"""Fleet tasks: `invoke --list` shows them. Hosts come from deploy.toml, which DEPLOY_ENV picks an environment of."""

from __future__ import annotations

from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

import lab.tasks
from deploy_lib.cli.checking import PARALLEL_HELP, PREFLIGHT_HELP
from deploy_lib.cli.checking import preflight as check_all
from deploy_lib.cli.deploying import HELP, NODE_HELP, deploy_stack
from deploy_lib.cli.looking import LOGS_HELP, LOOK_HELP, show_logs, show_status

ROOT = Path(__file__).resolve().parent


@task(auto_shortflags=False, help={**HELP, **NODE_HELP}, iterable=["node"])
def deploy_core(
    c: Context,
    node: list[str],
    tag: str = "",
    service: str = "",
    dry_run: bool = False,
    wait_lock: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Deploy the core stack."""
    deploy_stack(
        ROOT,
        "core",
        nodes=node,
        tag=tag,
        service=service,
        wait_lock=wait_lock,
        dry_run=dry_run,
        as_json=json,
        debug=debug,
    )


@task(auto_shortflags=False, help={**PREFLIGHT_HELP, **PARALLEL_HELP, **NODE_HELP}, iterable=["node"])
def preflight(
    c: Context, node: list[str], tag: str = "", parallel: str = "", json: bool = False, debug: bool = False
) -> None:
    """Check all that a deployment would check, and change nothing."""
    check_all(ROOT, nodes=node, tag=tag, parallel=parallel, as_json=json, debug=debug)


@task(auto_shortflags=False, help={**LOOK_HELP, **PARALLEL_HELP, **NODE_HELP}, iterable=["node"])
def status(c: Context, node: list[str], parallel: str = "", json: bool = False, debug: bool = False) -> None:
    """Show what runs where, and how it differs from what was recorded."""
    show_status(ROOT, nodes=node, parallel=parallel, as_json=json, debug=debug)


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
    show_logs(ROOT, nodes=node, service=service, follow=follow, tail=tail, as_json=json, debug=debug)


@task(
    auto_shortflags=False,
    help={"tag": "the image tag; otherwise that of the checkout's commit", "push": "push it, too"},
)
def build_backend(c: Context, tag: str = "", push: bool = False) -> None:
    """Build the backend image, and push it to the environment's registry."""
    from deploy_lib.cli.building import build_image

    build_image(ROOT, tag=tag, push=push)


@task(auto_shortflags=False, help={"stack": "core or workers"})
def validate_env(c: Context, stack: str) -> None:
    """Check that the variables are set which a stack cannot do without."""
    from deploy_lib.cli.validating import validate_env

    validate_env(ROOT, stack)


@task(auto_shortflags=False)
def demo(c: Context) -> None:
    """Start the lab, build the image, and deploy the stacks to it."""
    from lab.demo import run

    run(ROOT)


@task(auto_shortflags=False)
def lint(c: Context) -> None:
    """Check style and types."""
    c.run("ruff check . && ruff format --check . && mypy")


@task(auto_shortflags=False)
def test(c: Context) -> None:
    """Run every check: style, types, and the unit, ssh and lab tests."""
    from lab.tasks import speaking

    lint(c)
    with speaking() as console:
        from lab.engine import programs

        # The ssh tests run a server of their own.
        programs({"sshd": "openssh-server", "ssh": "openssh-client"}, console.say)
    c.run("pytest tests/unit tests/ssh tests/lab")


ns = Collection(
    deploy_core, preflight, status, logs, build_backend, validate_env, demo, lint, test, lab=lab.tasks.ns
)
