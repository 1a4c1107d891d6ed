"""Putting a backup back: as a switch of its own kind, which outlives its session and waits for a verdict as any other does."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from deploy_lib import layout
from deploy_lib.compose import labels
from deploy_lib.config import Backup
from deploy_lib.host.change import backup as backups
from deploy_lib.host.change.step import Step
from deploy_lib.host.change.switch import Work
from deploy_lib.host.stack import HostStack
from deploy_lib.release.backup import BackupFile
from deploy_lib.shell import quote, words


def restore_work(
    stack: HostStack,
    backup: Backup,
    file: BackupFile,
    now: BackupFile | None,
    stop: Sequence[str],
    left: Collection[str] = (),
) -> Work:
    """What a restore does, and how it is undone.

    Args:
        file: what is put back.
        now: of the data that are there; None where there is none, so that nothing can be undone.
        stop: services that stand still meanwhile.
        left: those of them that an earlier restore has left stopped.
    """
    return Work(
        name="restore",
        forward=restore_steps(stack, backup, file, stop, left),
        back=_back(stack, now),
        seconds=longest(stack, backup),
    )


def longest(stack: HostStack, backup: Backup) -> float:
    """Seconds that putting a backup back may take: services are stopped for it, and started again, and then what
    lives in their containers."""
    return backup.timeout + 3 * stack.settings.switch_timeout


def restore_steps(
    stack: HostStack, backup: Backup, file: BackupFile, stop: Sequence[str], left: Collection[str] = ()
) -> list[Step]:
    """The steps, in a shell function that ends with the first one that fails; `$still` has the containers of the
    services that stand still.
    """
    filters = f"{stack.project.filters} {labels.NO_ONE_OFF}"
    # What does not run has done its work, or was stopped by somebody, and is not started; but for what a restore has left so that
    # a power cut has ended. One after the other: of several in one assignment, only the last one's failure would be seen.
    those = " && ".join(
        f'still="$still "$(docker ps {"-aq" if name in left else "-q"} --no-trunc {filters} {labels.of_service(name)})'
        for name in stop
    )
    seconds = int(stack.settings.switch_timeout)
    names = words(*(f"CONTAINERS-OF-{name}" for name in stop))
    what = quote(f"{backup.service} does not run, so nothing can be put into it")
    return [
        Step(f"""\
touched= still=
{backups.work_function(stack)}
# give: hands its standard input to the command that makes it the service's data.
give() {{
  work {int(backup.timeout)} {words(*backup.restore)} >/dev/null 2>"$l/said"
  r=$?
  sed 's/^/  /' "$l/said" | tail -n 20
  # A file that could not be read to its end has not been put back, whatever the command made of it.
  [ ! -e "$l/torn" ] || r=1
  rm -f "$l/torn" "$l/said"
  return $r
}}
torn() {{ case $1 in 0|141) ;; *) touch "$l/torn";; esac; }}
stand() {{ [ -z "$still" ] || timeout -k 10 {seconds} docker stop $still >/dev/null; }}
go_on() {{ [ -z "$still" ] || timeout -k 10 {seconds} docker start $still >/dev/null && rejoin; }}
i={quote(file.id)}
find_in {quote(backup.service)} || {{ echo {what}; return 1; }}
{f"{those} && still=$(echo $still) || return" if those else ":"}"""),
        Step("stand || return", (f"docker stop {names}",) if stop else ()),
        Step(
            f"touched=1\n{_give(stack, file)} || return",
            (words("docker", "exec", "-i", f"CONTAINER-OF-{backup.service}", *backup.restore),),
        ),
        Step("go_on || return", (f"docker start {names}",) if stop else ()),
    ]


def _back(stack: HostStack, now: BackupFile | None) -> str:
    """Shell text for a function that puts back what was there before, where that may have been touched.

    Where that is impossible, what was stopped stays so: nobody knows what it would work on.
    """
    if now is None:
        undo = "echo 'there is no backup of the data that were there'; return 1"
    else:
        undo = f"i={quote(now.id)}; stand || return; {_give(stack, now)} || return"
    waited = '[ -z "$touched$still" ] || engine || return'
    return f'{waited}\nif [ -n "$touched" ]; then {undo}; fi\ngo_on || return'


def _give(stack: HostStack, file: BackupFile) -> str:
    path = quote(stack.directory / layout.BACKUPS / f"{file.id}.data")
    return f"{{ {backups.unpack(file, path)}; torn $?; }} | give"
