"""Host tasks: `fab --list` shows them. The host comes from -H, and its stack from deploy.toml."""

from __future__ import annotations

from pathlib import Path

from invoke.collection import Collection
from invoke.tasks import task

import deploy_lib.cli.start  # noqa: F401 - it comes first
from deploy_lib.cli.deploy import CORE_HELP, ROLLBACK_HELP, WORKERS_HELP, deploy_stack, flags, roll_back
from deploy_lib.cli.history import HISTORY_HELP, tell_history
from deploy_lib.cli.logs import LOGS_HELP, show_logs
from deploy_lib.cli.preflight import PREFLIGHT_HELP
from deploy_lib.cli.preflight import preflight as check_all
from deploy_lib.cli.status import STATUS_HELP, show_status
from deploy_lib.ssh.connection import StrictConnection

ROOT = Path(__file__).resolve().parent.parent


def _here(flags_help: dict[str, str]) -> dict[str, str]:
    """Without what means nothing on one host."""
    return {flag: text for flag, text in flags_help.items() if flag != "parallel"}


@task(auto_shortflags=False, help=_here(CORE_HELP))
def deploy_core(
    c: StrictConnection,
    tag: str = "",
    service: str = "",
    dry_run: bool = False,
    skip_validation: bool = False,
    no_rollback: bool = False,
    wait_lock: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Deploy the core stack to the host."""
    deploy_stack(ROOT, "core", connection=c, **flags(locals()))


@task(auto_shortflags=False, help=_here(WORKERS_HELP))
def deploy_workers(
    c: StrictConnection,
    tag: str = "",
    replicas_backtest: str = "",
    replicas_training: str = "",
    dry_run: bool = False,
    skip_validation: bool = False,
    no_rollback: bool = False,
    wait_lock: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Deploy the worker stack to the host."""
    deploy_stack(ROOT, "workers", connection=c, **flags(locals()))


@task(auto_shortflags=False, help=ROLLBACK_HELP)
def rollback(
    c: StrictConnection,
    tag: str = "",
    dry_run: bool = False,
    skip_validation: bool = False,
    no_rollback: bool = False,
    wait_lock: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Take the host back to the release before, or to one by its tag."""
    roll_back(ROOT, connection=c, **flags(locals()))


@task(auto_shortflags=False, help=PREFLIGHT_HELP)
def preflight(c: StrictConnection, tag: str = "", json: bool = False, debug: bool = False) -> None:
    """Check all that a deployment to the host would check, and change nothing."""
    check_all(ROOT, connection=c, **flags(locals()))


@task(auto_shortflags=False, help=STATUS_HELP)
def status(c: StrictConnection, json: bool = False, debug: bool = False) -> None:
    """Show what runs on the host, and how it differs from what was recorded."""
    show_status(ROOT, connection=c, **flags(locals()))


@task(auto_shortflags=False, help=LOGS_HELP)
def logs(
    c: StrictConnection,
    service: str = "",
    follow: bool = False,
    tail: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Show what the host's containers have said."""
    show_logs(ROOT, connection=c, **flags(locals()))


@task(auto_shortflags=False, help=HISTORY_HELP)
def history(c: StrictConnection, tail: str = "", json: bool = False, debug: bool = False) -> None:
    """Show what was deployed to the host when, by whom, and what came of it."""
    tell_history(ROOT, connection=c, tail=tail, json=json, debug=debug)


ns = Collection(deploy_core, deploy_workers, rollback, preflight, status, history, logs)
