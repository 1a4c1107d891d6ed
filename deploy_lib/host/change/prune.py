"""Pruning: what no rollback could need any more."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable

from deploy_lib import layout
from deploy_lib.config import Backup
from deploy_lib.errors import DeployError, StoppedError
from deploy_lib.host.change import keeper
from deploy_lib.host.change.lock import owned
from deploy_lib.host.change.ship import forget_script
from deploy_lib.host.stack import HostStack
from deploy_lib.layout import KEEP
from deploy_lib.release.files import content_of
from deploy_lib.release.image import any_keep_tag
from deploy_lib.release.release import Release
from deploy_lib.shell import GONE, quote, words
from deploy_lib.ssh.session import Session

TIMEOUT = 600.0
"""Seconds that it may take, on a slow disk with many images."""

_REMOVED = "removed "

_STAMP, _DIGITS = "????????T??????Z", "????"
"""Patterns for the two ends of a backup's id."""


class PruneError(DeployError):
    """Some old files or images are still there."""


def remove_old(
    session: Session,
    stack: HostStack,
    kept: Iterable[Release],
    token: str,
    on_removed: Callable[[str], object],
    *,
    needed: Collection[str] = (),
    past: Iterable[Release] = (),
) -> None:
    """Removes what releases other than `kept` have left, and old backups.

    Args:
        token: the lock owner's; one whose lock has lapsed removes nothing.
        on_removed: gets each file and image as soon as it is removed, even when this fails afterwards.
        needed: see `pruned_after`.
        past: see `prune_script`.

    Raises:
        PruneError: not everything could be removed, or the operator pressed Ctrl-C.
        RemoteError: the host does not answer, or the session ended.
    """
    _run(
        session,
        locked_prune_script(stack, kept, token, needed=needed, past=past),
        on_removed,
        "some old files or images could not be removed",
    )


def foresee_removal(
    session: Session,
    stack: HostStack,
    kept: Iterable[Release],
    on_found: Callable[[str], object],
    *,
    needed: Collection[str] = (),
    past: Iterable[Release] = (),
) -> None:
    """Lists what `remove_old` would remove, and removes nothing.

    Args:
        on_found: gets each file, backup and image.
        needed: see `pruned_after`.
        past: see `prune_script`.

    Raises:
        PruneError: the list is not complete.
        RemoteError: the host does not answer, or the session ended.
    """
    _run(
        session,
        prune_script(stack, kept, needed=needed, past=past, dry_run=True),
        on_found,
        "some old files or images could not be listed",
    )


def _run(session: Session, text: str, on_line: Callable[[str], object], failed: str) -> None:
    with session.start(text, timeout=TIMEOUT) as process:
        try:
            for line in process:
                if line.startswith(_REMOVED):
                    on_line(line.removeprefix(_REMOVED))
            code = process.wait()
        except StoppedError as error:
            raise PruneError(
                "interrupted; some old files and images may still be there",
                step="prune",
                hint="run the same command again",
            ) from error
        if code:
            problem = process.stderr.strip() or f"exit status {code}"
            raise PruneError(f"{failed}: {problem}", step="prune")


def locked_prune_script(
    stack: HostStack,
    kept: Iterable[Release],
    token: str,
    *,
    needed: Collection[str] = (),
    past: Iterable[Release] = (),
) -> str:
    """The same as a script of its own: the next holder of the lock waits for it, as for a switch."""
    return f"""\
exec 9>>{quote(stack.directory / layout.SWITCH_LOCK)}
flock -n 9 || {{ echo 'a switch is still running' >&2; exit 1; }}
{owned(stack.directory, token)} || {{ echo 'the lock has lapsed' >&2; exit 1; }}
{prune_script(stack, kept, needed=needed, past=past)}"""


def _forget_arrived(stack: HostStack, dry_run: bool) -> str:
    """Removes the layers of an image that was being shipped when its session was cut, and that nobody went on with."""
    away = ":" if dry_run else forget_script(stack.directory)
    arrived = f"echo '{_REMOVED}layers of an image that never came whole'"
    return f"if [ -e {quote(stack.directory / layout.INCOMING)} ]; then {away} && {arrived} || left=1; fi"


_AWAY = 'away() { rm -f -- "$1"; }\n'

REMOVE = f"""\
discard() {{ docker rm "$1" >/dev/null; }}
{_AWAY}\
untag() {{ e=$(docker rmi "$1" 2>&1 >/dev/null) || gone "$e"; }}
erase() {{
  docker rmi "$1" >/dev/null 2>&1
  if e=$(docker image inspect "$1" 2>&1 >/dev/null); then return 1; fi
  gone "$e" || {{ left=1; return 1; }}
}}
"""
"""Shell functions that remove a file, a tag, and an image that no tag protects; the last fails when the image stays."""

FORESEE = f"""\
dropped=
discard() {{ :; }}
away() {{ :; }}
untag() {{ dropped="$dropped $1"; }}
erase() {{
  # Docker takes an image away by its id where what is left of its names is of one repository, and at most one tag.
  repository= tag=
  for n in $(docker image inspect -f '{{{{range .RepoTags}}}}{{{{println .}}}}{{{{end}}}}{{{{range .RepoDigests}}}}{{{{println .}}}}{{{{end}}}}' "$1"); do
    case " $dropped " in *" $n "*) continue;; esac
    case $n in
      {KEEP}@*) continue;;
      *@*) r=${{n%@*}};;
      *) r=${{n%:*}}; [ -z "$tag" ] || return 1; tag=$n;;
    esac
    [ "${{repository:-$r}}" = "$r" ] || return 1
    repository=$r
  done
}}
"""
"""The same for a dry run: they change nothing, and say what would be removed."""


def prune_script(
    stack: HostStack,
    kept: Iterable[Release],
    *,
    needed: Collection[str] = (),
    past: Iterable[Release] = (),
    dry_run: bool = False,
) -> str:
    """Shell text that removes files and images of releases other than `kept`, and old backups; it goes on after a failure, and
    fails at the end.

    Only images that this program has protected for this stack are removed, and never one that a container uses, be it somebody else's.

    Args:
        needed: see `pruned_after`.
        past: all releases that are recorded. A version before tagged their images with the stack's name, and such a tag of another
            image may be another deployment's.
        dry_run: it only lists what it would remove.
    """
    kept = list(kept)
    files = sorted({content_of(mark) for release in kept for mark in release.files.values()} - {""})
    images = [image for release in kept for image in release.images.values()]
    tags = sorted({tag for image in images for key in stack.keep_keys for tag in image.all_keep_tags(key)})
    images = [image for release in past for image in release.images.values()]
    former = sorted({tag for image in images for tag in image.all_keep_tags(stack.name)})
    return f"""\
{GONE}
{FORESEE if dry_run else REMOVE}left=
for x in {quote(stack.directory / layout.OBJECTS)}/*; do
  [ -e "$x" ] || continue
  case " {" ".join(files)} " in
    *" ${{x##*/}} "*) ;;
    *) if away "$x"; then echo "{_REMOVED}file ${{x##*/}}"; else left=1; fi;;
  esac
done
{_forget_arrived(stack, dry_run)}
{keeper.forget_old(stack, kept)}
tags=$(docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' {quote(KEEP)}) || left=1
for x in $tags; do
  case $x in {any_keep_tag(stack.keep_key)}) ;; *) case " {words(*former)} " in *" $x "*) ;; *) continue;; esac;; esac
  case " {words(*tags)} " in
    *" $x "*) ;;
    *)
      # Somebody else may have removed it since it was listed.
      i=$(docker image inspect -f '{{{{.Id}}}}' "$x" 2>/dev/null) || {{
        e=$(docker image inspect "$x" 2>&1 >/dev/null) || gone "$e" || left=1
        continue
      }}
      used=$(docker ps -aq --filter "ancestor=$i") || {{ left=1; continue; }}
      # Docker would remove the tag and leave the image, which nothing would find from then on.
      [ -z "$used" ] || continue
      untag "$x" || {{ left=1; continue; }}
      if erase "$i"; then echo "{_REMOVED}image $i"; fi;;
  esac
done
{_old_backups(stack, needed)}
[ -z "$left" ]
"""


def pruned_after(stack: HostStack, needed: Collection[str]) -> str:
    """Shell text that removes old backups alone; those that stay all the same are no failure.

    Those whose ids are in `$made` stay, too: the script that this comes after has just made them.

    Args:
        needed: ids of releases that a rollback would go to; of each, the newest backup of its data stays.
    """
    return f"{_AWAY}{_old_backups(stack, needed)}"


def _old_backups(stack: HostStack, needed: Collection[str]) -> str:
    """Shell text that removes the backups of each entry but the newest ones, by `away`; `$left` is set where one cannot be removed."""
    return "\n".join(_old_files(stack, backup, needed) for backup in stack.settings.backups) or ":"


def _old_files(stack: HostStack, backup: Backup, needed: Collection[str]) -> str:
    records = ('"release":' + json.dumps(release) for release in sorted(needed))
    of_release = " ".join(f"-e {quote(record)}" for record in records)
    mark = f'for x; do if grep -qsF {of_release} "$x"; then k=$x; fi; done' if needed else ":"
    return f"""\
set -- {quote(stack.directory / layout.BACKUPS)}/{_STAMP}-{backup.name}-{_DIGITS}.json
k=
{mark}
n=$(($# - {backup.keep}))
for x; do
  [ $n -gt 0 ] || break
  n=$((n - 1))
  [ "$x" != "$k" ] && [ -e "$x" ] || continue
  y=${{x##*/}}
  # One that was just made is old by its name alone: the clock of whoever asked for it is slow.
  case " $made " in *" ${{y%.json}} "*) continue;; esac
  if away "$x" && away "${{x%.json}}.data"; then echo "{_REMOVED}backup ${{y%.json}}"; else left=1; fi
done"""
