"""Backups of services' data: made and checked beside what runs.

Each is written under another name, checked and renamed; then what is known of it is written beside it. A file without that is
no backup, and the next script removes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from deploy_lib import layout
from deploy_lib.compose import labels
from deploy_lib.config import Backup
from deploy_lib.errors import CommandError, DeployError, RemoteError
from deploy_lib.host.change import backup_place
from deploy_lib.host.change.history import append_function
from deploy_lib.host.change.lock import owned
from deploy_lib.host.change.step import Step, script_of
from deploy_lib.host.stack import HostStack
from deploy_lib.release.backup import BackupFile, read_backup
from deploy_lib.release.history import Event
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.shell import IN_MEMORY, ScriptExit, quote, words
from deploy_lib.ssh.session import Session

_MADE = "=== made "

_GRACE = 60
"""Seconds beside those of the commands themselves."""


class BackupError(DeployError):
    """A backup could not be made, or is not whole; what runs was not touched."""


class Order(Struct, frozen=True):
    """One backup that is to be made.

    Attributes:
        file: what is known of it beforehand.
        event: for the history, once it is made.
    """

    backup: Backup
    file: BackupFile
    event: Event


def longest(backups: Iterable[Backup]) -> float:
    """Seconds that making these may take: each is written, and read again by its check."""
    return sum(2 * backup.timeout + _GRACE for backup in backups) + _GRACE


def make(
    session: Session, stack: HostStack, orders: Sequence[Order], token: str, prune: str = ":"
) -> list[BackupFile]:
    """Makes backups one after the other.

    Args:
        token: the lock owner's; one whose lock has lapsed makes none.
        prune: shell text that is run when all are made.

    Raises:
        BackupError: one could not be made, or its check refuses it. Those before it are there.
        RemoteError: the host does not answer, or the session ended.
    """
    script = make_script(stack, orders, token, prune)
    result = session.run(
        script, timeout=longest(order.backup for order in orders), check=False, step="backup"
    )
    if result.exit_code:
        raise _refused(result.exit_code, result.stderr, session.node)
    lines = [line for line in result.stdout.splitlines() if line.startswith(_MADE)]
    return [read_backup(line.removeprefix(_MADE)) for line in lines]


def verify(session: Session, stack: HostStack, backup: Backup, file: BackupFile) -> None:
    """Proves that a backup is as it was when it was made, and that the check still accepts it.

    Raises:
        BackupError: that is not so.
        RemoteError: the host does not answer, or the session ended.
    """
    script = verify_script(stack, backup, file)
    result = session.run(script, timeout=longest([backup]), check=False, step="verifying the backup")
    if result.exit_code:
        raise _refused(result.exit_code, result.stderr, session.node)


def _refused(code: int, said: str, node: str) -> DeployError:
    lines = REDACTOR.clean(said).strip().splitlines()
    what, _, hint = (lines[0] if lines else f"exit status {code}").partition("\t")
    what += "".join(f"\n    {line}" for line in lines[1:])
    if code == ScriptExit.EXPOSED:
        hint = "mount less of the host there: the directory that the container needs"
    if code in (ScriptExit.NO_BACKUP, ScriptExit.EXPOSED, ScriptExit.NOT_OURS):
        return BackupError(what, node=node, step="backup", hint=hint or None)
    if code == ScriptExit.LAPSED:
        return RemoteError("the deployment lock lapsed before the backup", node=node, step="backup")
    error = CommandError(f"the backup failed: {what}", node=node, step="backup")
    error.code = code
    return error


def make_script(stack: HostStack, orders: Sequence[Order], token: str, prune: str = ":") -> str:
    """The script; the next holder of the lock waits for it, as for a switch."""
    return f"""\
exec 9>>{quote(stack.directory / layout.SWITCH_LOCK)}
flock -n 9 || {{ echo 'a switch is still running on the host' >&2; exit {ScriptExit.BUSY}; }}
{owned(stack.directory, token)} || exit {ScriptExit.LAPSED}
{IN_MEMORY}\
{backup_place.prepared(stack)}
{append_function(stack)}
{work_function(stack)}
made=
{script_of(step for order in orders for step in make_steps(order))}
{prune}
:
"""


def make_steps(order: Order) -> list[Step]:
    """How one backup is made, in a script that has what `make_script` begins with."""
    backup, file = order.backup, order.file
    seconds, new = int(backup.timeout), f'"$d"/{file.id}.data.new'
    if backup.compress:
        # The status of what comes before a pipe is lost, so it is written down.
        dump = f"""\
echo 1 >"$t/status"
{{ work {seconds} {words(*backup.command)} </dev/null 2>"$t/said"; echo $? >"$t/status"; }} | gzip -c >{new} 2>"$t/zip" || cat "$t/zip" >>"$t/said"
r=$(cat "$t/status")
[ ! -s "$t/zip" ] || [ "$r" != 0 ] || r=1"""
    else:
        dump = f'work {seconds} {words(*backup.command)} </dev/null >{new} 2>"$t/said"; r=$?'
    steps = [
        Step(f"i={quote(file.id)}\n{_find(backup)}"),
        Step(
            f"""\
{dump}
[ "$r" = 0 ] || fail "the backup of "{quote(f"{backup.name} failed")}": $(ended $r {seconds})"
[ "$({unpack(file, new)} 2>/dev/null | head -c 1 | wc -c)" -eq 1 ] || fail {quote(f"the backup of {backup.name} is empty")}""",
            (words("docker", "exec", "-i", f"CONTAINER-OF-{backup.service}", *backup.command),),
        ),
        Step(
            _check(backup, file, new),
            (words("docker", "exec", "-i", f"CONTAINER-OF-{backup.service}", *backup.check),),
        ),
        Step(f"""\
z=$(stat -c %s {new}) && h=$(sha256sum <{new}) || fail 'the backup cannot be read'
printf '%s,"size":%s,"sha256":"%s"}}\\n' {quote(file.head)} "$z" "${{h%% *}}" >"$d/$i.json.new" && sync {new} "$d/$i.json.new" &&
  mv -f {new} "$d/$i.data" && mv -f "$d/$i.json.new" "$d/$i.json" && sync "$d" || fail 'the backup cannot be kept'
printf '%s\\n' {quote(order.event.line())} | append || fail 'the backup is there, but the history cannot be written'
made="$made $i"
printf '{_MADE}%s\\n' "$(cat "$d/$i.json")\""""),
    ]
    return steps


def verify_script(stack: HostStack, backup: Backup, file: BackupFile) -> str:
    """Reads a backup's file to its end, and hands it to its check."""
    path = f'"$d"/{quote(file.id)}.data'
    return f"""\
{IN_MEMORY}\
{backup_place.existing(stack)}
h=$(sha256sum <{path}) || fail {quote(f"the backup {file.id} cannot be read")}
[ "${{h%% *}}" = {quote(file.sha256)} ] || fail {quote(f"the backup {file.id} is not as it was when it was made")}
{work_function(stack)}
i={quote(file.id)}
{_find(backup)}
{_check(backup, file, path)}
"""


def unpack(file: BackupFile, path: str) -> str:
    """Shell command that prints what a backup's program has printed.

    Args:
        path: as a shell word.
    """
    return f"gzip -dc <{path}" if file.compressed else f"cat {path}"


def work_function(stack: HostStack) -> str:
    """Shell functions `find_in SERVICE`, which sets `$container`, as nothing else does, and `work SECONDS COMMAND...`, which runs a
    command there; `$i` is the id of the backup that it is about.

    A call that does not end in time ends here alone: what it has started in the container is looked for by a variable of its
    environment, since it may still write.
    """
    found = f"{stack.project.filters} {labels.NO_ONE_OFF} {labels.of_service_in('1')}"
    return f"""\
find_in() {{ container=$(docker ps -q --no-trunc {found} | head -n 1) && [ -n "$container" ]; }}
work() {{
  s=$1; shift
  timeout -k 10 "$s" docker exec -i -e "{_MARK}=$i" "$container" "$@" 9>&-
  r=$?
  [ $r = 0 ] || timeout -k 5 20 docker exec "$container" sh -c {quote(_END)} "$i" </dev/null >/dev/null 2>&1 9>&-
  return $r
}}"""


_MARK = "DEPLOY_BACKUP"

_END = f"""\
for p in /proc/[0-9]*; do
  if tr '\\0' '\\n' 2>/dev/null <"$p/environ" | grep -qx "{_MARK}=$0"; then kill -9 "${{p#/proc/}}"; fi
done"""


def _find(backup: Backup) -> str:
    what = f"{backup.service} does not run, so its data cannot be read"
    return f"find_in {quote(backup.service)} || fail {quote(what)}"


def _check(backup: Backup, file: BackupFile, path: str) -> str:
    seconds = int(backup.timeout)
    # A check may end before it has read everything.
    return f"""\
{unpack(file, path)} 2>/dev/null | work {seconds} {words(*backup.check)} >/dev/null 2>"$t/said"
r=$?
[ $r = 0 ] || fail "the check of "{quote(backup.name)}" refuses the backup: $(ended $r {seconds})\""""
