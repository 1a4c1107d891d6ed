"""Putting a release's files into place on a host: from the kept objects, renamed one by one, and services reloaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from msgspec import Struct, field

from deploy_lib import layout
from deploy_lib.compose import labels
from deploy_lib.compose.project import Project
from deploy_lib.config import Reload
from deploy_lib.release.files import FOLDER, content_of, mode_of, target_of
from deploy_lib.shell import quote, words


class Placement(Struct, frozen=True):
    """What changes among a stack's files.

    Attributes:
        files: by path, the mark of what is put into place; see `release/files.py`.
        dropped: paths that are removed.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    dropped: Sequence[str] = ()


def place(home: PurePosixPath, placement: Placement, *, objects: str = "", last_resort: bool = False) -> str:
    """Shell text that puts files into place: all are written beside their places first, compared with their SHA-256, brought to
    the disk, and then renamed.

    What lies in its place already is not written again: so a disk that is full keeps nobody from going back to it. A directory in
    a file's place goes when it is empty, as one that Docker has made; otherwise the text fails.

    Args:
        home: the stack's directory, which has the objects.
        objects: where the objects lie, when not there, as a shell word.
        last_resort: what cannot be brought to the disk is put into place all the same.
    """
    if not (placement.files or placement.dropped):
        return ":"
    new = {path: mark for path, mark in placement.files.items() if mark != FOLDER}
    triples = words(*(word for path, mark in sorted(placement.files.items()) for word in _triple(path, mark)))
    paths = words(*sorted(new))
    first, left = _in_the_way(placement)
    return f"""\
(
umask 022
mkdir -p {quote(home)} && cd {quote(home)} || exit
# lies_there PATH KIND WHAT
lies_there() {{
  case $2 in
    link) [ -L "$1" ] && [ "$(readlink -- "$1")" = "$3" ];;
    *) [ -f "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] && [ "$(stat -c %a -- "$1")" = "$2" ] && [ "$(sha256sum < "$1")" = "$3  -" ];;
  esac
}}
# put_beside PATH KIND WHAT
put_beside() {{
  case $2 in
    link) ln -s -- "$3" "$1.deploy-new";;
    *)
      (umask 077; cat {objects or quote(home / layout.OBJECTS)}/"$3" > "$1.deploy-new") && chmod "$2" -- "$1.deploy-new" &&
      {{ [ "$(sha256sum < "$1.deploy-new")" = "$3  -" ] || {{ echo "the content for $1 is not that of the release" >&2; false; }}; }};;
  esac
}}
give_up() {{
  for y in {paths}; do rm -f -- "$y.deploy-new"; done
  exit 1
}}
{_drop(first, left)}
set -- {triples}
while [ $# -gt 0 ]; do
  {{
    case $1 in */*) [ -d "${{1%/*}}" ] || mkdir -p -- "${{1%/*}}";; esac &&
    case $2 in
      {FOLDER}) if [ -L "$1" ] || [ -f "$1" ]; then rm -f -- "$1"; fi && mkdir -p -- "$1";;
      *) rm -rf -- "$1.deploy-new" && {{ lies_there "$1" "$2" "$3" || put_beside "$1" "$2" "$3"; }};;
    esac
  }} || give_up
  shift 3
done
# Names that last need contents that last: after a power cut, a name alone may have an empty file.
for x in {paths}; do
  if [ -f "$x.deploy-new" ] && [ ! -L "$x.deploy-new" ]; then printf '%s\\0' "$x.deploy-new"; fi
done | xargs -0 -r sync -- || {"true" if last_resort else "give_up"}
for x in {paths}; do
  [ -e "$x.deploy-new" ] || [ -L "$x.deploy-new" ] || continue
  if [ -d "$x" ] && [ ! -L "$x" ]; then rmdir -- "$x" || exit; fi
  mv -fT -- "$x.deploy-new" "$x" || exit
done
{_drop(sorted({*placement.dropped} - {*first}))}
)"""


def intact(home: PurePosixPath, placements: Iterable[Placement]) -> str:
    """Shell condition: no kept file that these need was changed; otherwise it prints which, and after a tab what fixes it.

    One that is absent is not looked at: it is brought, or nothing needs it before a host goes back.
    """
    marks = {mark for placement in placements for mark in placement.files.values()}
    digests = sorted(filter(None, map(content_of, marks)))
    if not digests:
        return "true"
    objects = home / layout.OBJECTS
    return f"""\
(
x=
for y in {words(*digests)}; do
  y={quote(objects)}/$y
  [ ! -e "$y" ] || [ "$(sha256sum < "$y")" = "${{y##*/}}  -" ] || x="$x $y"
done
[ -z "$x" ] || {{ printf 'files of the kept releases were changed:%s\\trm%s; the next deployment brings them anew\\n' "$x" "$x"; false; }}
)"""


def _triple(path: str, mark: str) -> tuple[str, str, str]:
    """A path, what lies there, and from which object or whereto."""
    if mark == FOLDER:
        return path, FOLDER, ""
    if target := target_of(mark):
        return path, "link", target
    return path, mode_of(mark), content_of(mark)


def _in_the_way(placement: Placement) -> tuple[list[str], list[str]]:
    """What has to go first: files where there will be a directory; those of a directory where there will be a file, and the
    directories that they leave."""
    new = {path for path, mark in placement.files.items() if mark != FOLDER}
    folders = {folder for path in placement.files for folder in _above(path)}
    first = sorted(p for p in placement.dropped if p in folders or not new.isdisjoint(_above(p)))
    left = {f for path in first for f in _above(path) if not new.isdisjoint(_above(f))}
    return first, sorted(left, reverse=True)


def _above(path: str) -> set[str]:
    """The directories that a path lies in."""
    return {str(folder) for folder in PurePosixPath(path).parents} - {"."}


def _drop(paths: Sequence[str], also: Sequence[str] = ()) -> str:
    """Shell text that removes files and links, and directories that are empty.

    Args:
        also: directories, those below others first.
    """
    if not (paths or also):
        return ":"
    return f"""\
for x in {words(*paths, *also)}; do
  if [ -d "$x" ] && [ ! -L "$x" ]; then rmdir -- "$x" 2>/dev/null || true; else rm -f -- "$x" || exit; fi
done"""


def running(project: Project, service: str) -> str:
    """Shell text: the ids of a service's running containers."""
    return f"$(docker ps -q --no-trunc {project.filters} {labels.of_service(service)})"


def remember(project: Project, reloads: Sequence[Reload]) -> str:
    """Shell text for a function that notes which containers run, for `tell`; it returns with a failure when the engine does not answer."""
    return "\n".join(_now(project, reload, _noted(n)) for n, reload in enumerate(reloads)) or ":"


def tell(project: Project, reloads: Sequence[Reload]) -> str:
    """Shell text for `forward` and `back`: reloads containers that were kept; new ones have read their files already."""
    return "\n".join(_tell(project, reload, _noted(n)) for n, reload in enumerate(reloads)) or ":"


def _noted(number: int) -> str:
    """The variable with the containers of a reload. Services' names may differ in signs alone that no variable has."""
    return f"before_{number}"


def _now(project: Project, reload: Reload, variable: str) -> str:
    # An engine under load may refuse once.
    now = f'{variable}="{running(project, reload.service)}"'
    return f"{now} || {{ sleep 1; {now}; }} || return"


def _tell(project: Project, reload: Reload, noted: str) -> str:
    now = _now(project, reload, "now")
    # A container that is gone by now needs no reload.
    return f"""\
{now}
for x in ${noted}; do
  case $now in *"$x"*)
    {act(reload, '"$x"')} || {{ r=$?; {now}; case $now in *"$x"*) return $r;; esac; }};;
  esac
done"""


def act(reload: Reload, container: str) -> str:
    """Shell text that reloads one container.

    Args:
        container: as a shell word.
    """
    tell_it = (
        f"docker exec {container} sh -c {quote(_signal(reload.signal))} >/dev/null"
        if reload.signal
        else f"docker restart {container} >/dev/null"
    )
    return f"docker exec {container} {words(*reload.check)} && {tell_it}" if reload.check else tell_it


def _signal(signal: str) -> str:
    """Signals the main process from inside its container.

    Not by `docker kill -s`: the Engine takes that for a stop by hand, whatever the signal, and does not start the
    container again after a reboot (moby#41302).
    """
    return f"kill -s {signal.removeprefix('SIG')} 1"


def note(home: PurePosixPath, paths: Sequence[str]) -> str:
    """Shell text that keeps which paths below the stack's directory are this program's, so that a host can say what lies there."""
    place = quote(home / layout.PATHS)
    return f"printf '%s\\n' {words(*sorted(paths))} > {place}.new && sync {place}.new && mv -f {place}.new {place}"
