"""What only a shell gave to containers that somebody else has started, kept on their host for a later rollback.

The values stay where they were: in a container, which Docker keeps for root alone, in its environment or as files, as those had
them whose they are. It is never started; it is removed when no kept release needs it.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from deploy_lib import layout
from deploy_lib.host.stack import HostStack
from deploy_lib.release.release import Release
from deploy_lib.shell import ScriptExit, quote, words

_FILES = "/kept"
"""Where the container has its files."""


class Keeper(Struct, frozen=True):
    """A container that keeps values.

    Attributes:
        release: the id of the release that they are for.
        variables: names of variables that only a shell had.
        secrets: names of declared secrets; those that run when they are needed count before these.
        image: any that the host has and keeps as long.
        files: those of all names that containers have as files alone, which `docker inspect` does not show.
    """

    release: str
    variables: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    image: str = ""
    files: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.variables, *self.secrets)


def keep(stack: HostStack, keeper: Keeper | None) -> str:
    """Shell text that keeps captured values, or ends the script: nothing was changed. Takes what `values.capture` has read.

    Another attempt at the same adoption keeps what an earlier one has kept and no container has any more: one may have been
    removed meanwhile. What was kept is there until all of it is kept again.
    """
    if keeper is None:
        return ":"
    name = _name(stack, keeper.release)
    fresh = f"{name}{_FRESH}"
    labels = [
        word
        for label, value in (
            (layout.VARIABLES_LABEL, stack.project_name),
            (layout.RELEASE_LABEL, keeper.release),
        )
        for word in ("--label", f"{label}={value}")
    ]
    unknown = f"""[ $? = 1 ] || {{ printf '%s\\n' "$e"; exit {ScriptExit.NO_OLD_VALUES}; }}"""
    earlier = "\n".join(
        f'[ -n "${{has_{n}:-}}" ] || {{ kept {n} && old_{n}=${{v%x}} has_{n}=1; }} || {unknown}'
        for n in keeper.names
    )
    given = "\n".join(
        f'  [ -z "${{has_{n}:-}}" ] || {{ export {n}="$old_{n}"; set -- "$@" -e {n}; }}'
        for n in keeper.names
        if n not in keeper.files
    )
    # In memory, where the switch's log lies, for as long as it takes.
    copied = "\n".join(
        [
            "  umask 077; k=$(mktemp -d) || exit; trap 'rm -rf \"$k\"' EXIT",
            *(f'  [ -z "${{has_{n}:-}}" ] || printf %s "$old_{n}" >"$k/{n}" || exit' for n in keeper.files),
            f'  docker cp "$k" {quote(f"{fresh}:{_FILES}")} 2>&1 >/dev/null',
        ]
    )
    create = words("docker", "create", "--name", fresh, *labels, "--network", "none", "--pull", "never")
    # By name alone: Docker's client takes the values from its own environment, and no process list shows them.
    return f"""\
{_KEPT}{_find(stack, keeper)}
{earlier}
w=$(
  set --
{given}
  docker rm -f {quote(fresh)} >/dev/null 2>&1
  {create} "$@" --entrypoint true {quote(keeper.image)} 2>&1 >/dev/null || exit
{f"  ({chr(10)}{copied}{chr(10)}  ) || exit{chr(10)}" if keeper.files else ""}\
  docker rm -f {quote(name)} >/dev/null 2>&1
  {words("docker", "rename", fresh, name)} 2>&1
) || {{ printf 'what only a shell had cannot be kept: %s\\n' "$w"; exit {ScriptExit.NO_OLD_VALUES}; }}"""


_FRESH = "-new"
"""Ends the name of a container that does not have all of it yet."""


def _name(stack: HostStack, release: str) -> str:
    """What the container is called. Its name tells whose it is: in the label a version before had the stack's name, which
    several deployments of a host may have.

    Args:
        release: its id, or shell text for it.
    """
    return f"{stack.project_name}-{release}-variables"


def _find(stack: HostStack, keeper: Keeper) -> str:
    """Shell text that puts the id of the container into `$c`, "" where there is none; a whole one, if there are two."""
    filters = words(
        *("--filter", f"name=^{_name(stack, keeper.release)}({_FRESH})?$"),
        *("--filter", f"label={layout.RELEASE_LABEL}={keeper.release}"),
    )
    found = f"docker ps -a --no-trunc {filters} --format '{{{{.Names}}}} {{{{.ID}}}}'"
    return f"""\
c=$({found}) || {{ echo 'Docker does not list what it keeps'; exit {ScriptExit.NO_OLD_VALUES}; }}
c=$(printf '%s\\n' "$c" | LC_ALL=C sort | head -n 1); c=${{c##* }}"""


_KEPT = f"""\
# kept NAME: 0 with what the container $c keeps under that name in $v, 1 where it does not, 2 when that is unknown, with the cause in $e.
kept() {{
  [ -n "$c" ] || return 1
  environment "$c" "$1"
  case $? in 0) ;; 1) file "$c" {_FILES}/"$1";; *) return 2;; esac
}}
"""


def recall(stack: HostStack, keepers: Iterable[Keeper]) -> str:
    """Shell text that reads values back, as `values.capture` does, or ends the script: nothing was changed.

    A variable that only a shell had is what it was, whatever a container of that name has been given since.
    """
    lines = [_KEPT]
    for keeper in keepers:
        lines.append(_find(stack, keeper))
        for name in keeper.names:
            first = f'[ -z "${{has_{name}:-}}" ] && ' if name in keeper.secrets else ""
            lines.append(
                f"if {first}kept {name}; then old_{name}=${{v%x}} has_{name}=1; fi\n"
                f'[ -n "${{has_{name}:-}}" ] || {{ echo {quote(f"{name}, which that release needs, is kept nowhere on the host any more")}; '
                f"exit {ScriptExit.NO_OLD_VALUES}; }}"
            )
    return "\n".join(lines)


def forget_old(stack: HostStack, kept: Iterable[Release]) -> str:
    """Shell text that removes what is kept for other releases than these; takes `$left` of the pruning."""
    ids = words(*sorted({release.carried_from for release in kept if release.carried_from}))
    label = quote(f"label={layout.VARIABLES_LABEL}")
    form = quote(f'{{{{.ID}}}} {{{{.Names}}}} {{{{.Label "{layout.RELEASE_LABEL}"}}}}')
    own = _name(stack, '"$x"')
    return f"""\
docker ps -a --filter {label} --format {form} | {{
  r=0
  while read -r i n x; do
    case $n in {own}|{own}{_FRESH}) ;; *) continue;; esac
    case " {ids} " in *" $x "*) ;; *) discard "$i" || r=1;; esac
  done
  [ $r = 0 ]
}} || left=1"""
