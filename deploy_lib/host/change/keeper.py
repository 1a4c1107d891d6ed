"""What only a shell gave to containers that somebody else has started, kept on their host for a later rollback.

The values stay where they were: in a container, which Docker keeps for root alone, in its environment or as files, as those had
them whose they are. It is never started; it is removed when no kept release needs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from deploy_lib import layout
from deploy_lib.host.stack import HostStack
from deploy_lib.release.release import Release
from deploy_lib.shell import ScriptExit, quote, words

_FILES = "/kept"
"""Where the container has its files."""


@dataclass(frozen=True)
class Keeper:
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
    """Shell text that keeps captured values, or ends the script: nothing was changed. Takes what `values.capture` has read."""
    if keeper is None:
        return ":"
    name = f"{stack.project_name}-{keeper.release}-variables"
    labels = [
        word
        for label, value in ((layout.VARIABLES_LABEL, stack.name), (layout.RELEASE_LABEL, keeper.release))
        for word in ("--label", f"{label}={value}")
    ]
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
            f'  docker cp "$k" {quote(f"{name}:{_FILES}")} 2>&1 >/dev/null',
        ]
    )
    create = words("docker", "create", "--name", name, *labels, "--network", "none", "--pull", "never")
    # By name alone: Docker's client takes the values from its own environment, and no process list shows them.
    return f"""\
w=$(
  set --
{given}
  docker rm -f {quote(name)} >/dev/null 2>&1
  {create} "$@" --entrypoint true {quote(keeper.image)} 2>&1 >/dev/null{" || exit" if keeper.files else ""}
{f"{copied}{chr(10)}" if keeper.files else ""}) || {{ printf 'what only a shell had cannot be kept: %s\\n' "$w"; exit {ScriptExit.NO_OLD_VALUES}; }}"""


def recall(stack: HostStack, keepers: Iterable[Keeper]) -> str:
    """Shell text that reads values back, as `values.capture` does, or ends the script: nothing was changed.

    A variable that only a shell had is what it was, whatever a container of that name has been given since.
    """
    lines = []
    for keeper in keepers:
        filters = words(
            *("--filter", f"label={layout.VARIABLES_LABEL}={stack.name}"),
            *("--filter", f"label={layout.RELEASE_LABEL}={keeper.release}"),
        )
        lines.append(f"c=$(docker ps -aq --no-trunc {filters} | head -n 1)")
        for name in keeper.names:
            first = f'[ -z "${{has_{name}:-}}" ] && ' if name in keeper.secrets else ""
            lines.append(
                f'if {first}[ -n "$c" ] && {{ environment "$c" {name} || file "$c" {_FILES}/{name}; }}; then old_{name}=${{v%x}} has_{name}=1; fi\n'
                f'[ -n "${{has_{name}:-}}" ] || {{ echo {quote(f"{name}, which that release needs, is kept nowhere on the host any more")}; '
                f"exit {ScriptExit.NO_OLD_VALUES}; }}"
            )
    return "\n".join(lines) or ":"


def forget_old(stack: HostStack, kept: Iterable[Release]) -> str:
    """Shell text that removes what is kept for other releases than these; takes `$left` of the pruning."""
    ids = words(*sorted({release.carried_from for release in kept if release.carried_from}))
    label = quote(f"label={layout.VARIABLES_LABEL}={stack.name}")
    form = quote(f'{{{{.ID}}}} {{{{.Label "{layout.RELEASE_LABEL}"}}}}')
    return f"""\
docker ps -a --filter {label} --format {form} | {{
  r=0
  while read -r i x; do
    case " {ids} " in *" $x "*) ;; *) discard "$i" || r=1;; esac
  done
  [ $r = 0 ]
}} || left=1"""
