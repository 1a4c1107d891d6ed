"""The backups that a host has, as it has recorded them."""

from __future__ import annotations

from deploy_lib import layout
from deploy_lib.errors import NotUnderstoodError
from deploy_lib.host.stack import HostStack
from deploy_lib.release.backup import BackupFile, read_listed
from deploy_lib.shell import THERE, ours, quote
from deploy_lib.ssh.session import Session

STEP = "listing the backups"


def list_backups(session: Session, stack: HostStack) -> list[BackupFile]:
    """Asks the host, read-only; the oldest comes first.

    Raises:
        RemoteError: it does not answer, or what it has recorded cannot be understood.
    """
    try:
        return read_listed(session.run(list_script(stack), step=STEP).stdout)
    except NotUnderstoodError as error:
        error.node, error.step = session.node, STEP
        raise


def list_script(stack: HostStack) -> str:
    """Prints a line for each backup, see `read_listed`."""
    directory = quote(stack.directory / layout.BACKUPS)
    return f"""\
{THERE}
{ours(stack.directory)}
backups() {{
  ours || return
  there {directory} || {{ [ $? = 1 ]; return; }}
  for x in {directory}/*.json; do
    # One that is removed meanwhile is none.
    j=$(cat "$x" 2>/dev/null) && [ -n "$j" ] || {{ [ ! -e "$x" ] || return 1; continue; }}
    printf '%s %s\\n' "$(stat -c %s "${{x%.json}}.data" 2>/dev/null || echo -)" "$j"
  done
}}
backups
"""
