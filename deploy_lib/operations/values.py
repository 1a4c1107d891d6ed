"""Secret values that run on a host: read from its containers, kept in a script's own memory, and never sent anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deploy_lib.operations.compose import ONEOFF_LABEL, PROJECT_LABEL, SERVICE_LABEL
from deploy_lib.operations.shell import words

Places = Mapping[str, tuple[tuple[str, str], ...]]
"""By environment name, the services that get a secret and where it lies in their containers."""


def capture(project: str, places: Places) -> str:
    """Shell text that reads each secret from a container that has it, a stopped one too, into `$old_NAME`.

    Byte for byte: the letter that ends the output keeps the shell from taking line ends off.
    """
    filters = words(
        *("--filter", f"label={PROJECT_LABEL}={project}", "--filter", f"label={ONEOFF_LABEL}=False")
    )
    function = f"""\
capture() {{
  for c in $(docker ps -aq --no-trunc {filters} --filter "label={SERVICE_LABEL}=$2"); do
    v=$(docker cp "$c:$3" - 2>/dev/null | tar -xOf - 2>/dev/null && echo x) || continue
    eval "old_$1=\\${{v%x}} has_$1=1"
    return 0
  done
  return 1
}}
"""
    calls = [
        " || ".join(f"capture {words(name, service, path)}" for service, path in where) + " || true"
        for name, where in sorted(places.items())
    ]
    return function + "\n".join(calls)


def restore(names: Iterable[str]) -> str:
    """Shell text that exports what was captured; a secret that was not keeps the value that the script was given."""
    return "\n".join(f'[ -z "${{has_{n}:-}}" ] || export {n}="$old_{n}"' for n in sorted(names)) or ":"


def require(names: Iterable[str]) -> str:
    """Shell condition: all of these have a value, captured or given.

    Compose, given none, would find out only after it has removed the container that is to be replaced.
    """
    return " && ".join(f'[ -n "${{{n}+set}}" ]' for n in sorted(names)) or "true"
