"""Host tasks: `fab --list` shows them. The host comes from -H, and its stack from deploy.toml."""

from __future__ import annotations

from pathlib import Path

from invoke.collection import Collection
from invoke.tasks import task

from deploy_lib.cli.checking import PREFLIGHT_HELP
from deploy_lib.cli.checking import preflight as check_all
from deploy_lib.cli.deploying import HELP, deploy_stack
from deploy_lib.cli.looking import LOGS_HELP, LOOK_HELP, show_logs, show_status
from deploy_lib.ssh.connection import StrictConnection

ROOT = Path(__file__).resolve().parent.parent


@task(auto_shortflags=False, help=HELP)
def deploy_core(
    c: StrictConnection,
    tag: str = "",
    service: str = "",
    dry_run: bool = False,
    wait_lock: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Deploy the core stack to the host."""
    deploy_stack(
        ROOT,
        "core",
        connection=c,
        tag=tag,
        service=service,
        wait_lock=wait_lock,
        dry_run=dry_run,
        as_json=json,
        debug=debug,
    )


@task(auto_shortflags=False, help=PREFLIGHT_HELP)
def preflight(c: StrictConnection, tag: str = "", json: bool = False, debug: bool = False) -> None:
    """Check all that a deployment to the host would check, and change nothing."""
    check_all(ROOT, connection=c, tag=tag, as_json=json, debug=debug)


@task(auto_shortflags=False, help=LOOK_HELP)
def status(c: StrictConnection, json: bool = False, debug: bool = False) -> None:
    """Show what runs on the host, and how it differs from what was recorded."""
    show_status(ROOT, connection=c, as_json=json, debug=debug)


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
    show_logs(ROOT, connection=c, service=service, follow=follow, tail=tail, as_json=json, debug=debug)


ns = Collection(deploy_core, preflight, status, logs)
