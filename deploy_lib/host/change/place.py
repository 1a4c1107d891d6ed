"""Putting a release's files into place on a host: from the kept objects, renamed one by one, and services reloaded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.compose import labels
from deploy_lib.compose.project import Project
from deploy_lib.config import Reload
from deploy_lib.shell import quote, words


@dataclass(frozen=True)
class Placement:
    """What changes among a stack's files.

    Attributes:
        files: SHA-256 by path, of those that are put into place.
        dropped: paths that are removed.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    dropped: Sequence[str] = ()


def place(
    home: PurePosixPath, placement: Placement, into: PurePosixPath | None = None, *, objects: str = ""
) -> str:
    """Shell text that puts files into place: all are written beside their places first, compared with their SHA-256, and then
    renamed.

    Args:
        home: the stack's directory, which has the objects.
        into: where the files go, when not there.
        objects: where the objects lie, when not there, as a shell word.
    """
    if not (placement.files or placement.dropped):
        return ":"
    target = into or home
    pairs = words(*(word for pair in sorted(placement.files.items()) for word in pair))
    paths = words(*sorted(placement.files))
    drop = f"rm -f -- {words(*placement.dropped)}" if placement.dropped else ":"
    return f"""\
(
umask 022
mkdir -p {quote(target)} && cd {quote(target)} || exit
set -- {pairs}
while [ $# -gt 0 ]; do
  mkdir -p "$(dirname "$1")" && cat {objects or quote(home / layout.OBJECTS)}/"$2" > "$1.deploy-new" && {{
    [ "$(sha256sum < "$1.deploy-new")" = "$2  -" ] || {{ echo "the content for $1 is not that of the release" >&2; false; }}
  }} || {{
    for y in {paths}; do rm -f "$y.deploy-new"; done
    exit 1
  }}
  shift 2
done
for x in {paths}; do mv -f -- "$x.deploy-new" "$x" || exit; done
{drop}
)"""


def intact(home: PurePosixPath, placements: Iterable[Placement]) -> str:
    """Shell condition: no kept file that these need was changed; otherwise it prints which, and after a tab what fixes it.

    One that is absent is not looked at: it is brought, or nothing needs it before a host goes back.
    """
    digests = sorted({digest for placement in placements for digest in placement.files.values()})
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


def running(project: Project, service: str) -> str:
    """Shell text: the ids of a service's running containers."""
    return f"$(docker ps -q --no-trunc {project.filters} {labels.of_service(service)})"


def remember(project: Project, reloads: Sequence[Reload]) -> str:
    """Shell text for a function that notes which containers run, for `tell`; it returns with a failure when the engine does not answer."""
    # An engine under load may refuse once.
    return (
        "\n".join(
            f'{_variable(r)}="{now}" || {{ sleep 1; {_variable(r)}="{now}"; }} || return'
            for r in reloads
            for now in [running(project, r.service)]
        )
        or ":"
    )


def tell(project: Project, reloads: Sequence[Reload]) -> str:
    """Shell text for `forward` and `back`: reloads containers that were kept; new ones have read their files already."""
    return "\n".join(_tell(project, reload) for reload in reloads) or ":"


def _tell(project: Project, reload: Reload) -> str:
    # A container that is gone by now needs no reload.
    return f"""\
now="{running(project, reload.service)}" || return
for x in ${_variable(reload)}; do
  case $now in *"$x"*)
    {act(reload, '"$x"')} || {{ r=$?; now="{running(project, reload.service)}" || return; case $now in *"$x"*) return $r;; esac; }};;
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


def _variable(reload: Reload) -> str:
    return "before_" + re.sub(r"\W", "_", reload.service)


def _signal(signal: str) -> str:
    """Signals the main process from inside its container.

    Not by `docker kill -s`: the Engine takes that for a stop by hand, whatever the signal, and does not start the
    container again after a reboot (moby#41302).
    """
    return f"kill -s {signal.removeprefix('SIG')} 1"
