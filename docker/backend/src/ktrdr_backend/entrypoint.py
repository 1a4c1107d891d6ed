"""The image's entry point: NAME_FILE becomes NAME, for programs that read secrets from the environment only."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

SUFFIX = "_FILE"
SECRETS = Path("/run/secrets")
"""Where Compose and Swarm put secrets. A NAME_FILE that points elsewhere (SSL_CERT_FILE, say) is not meant for this."""


def resolve(environment: Mapping[str, str], directory: Path = SECRETS) -> dict[str, str]:
    """The environment with every `NAME_FILE` below `directory` read into `NAME`; a value is taken byte for byte.

    Raises:
        SystemExit: a file cannot be read or cannot be a variable, or NAME and NAME_FILE are both set.
    """
    resolved = dict(environment)
    for variable, path in environment.items():
        name = variable.removesuffix(SUFFIX)
        if name in ("", variable) or not Path(path).is_relative_to(directory):
            continue
        if name in environment:
            raise SystemExit(f"{name} and {variable} are both set")
        try:
            # Not read_text, which makes "\r\n" and "\r" into "\n".
            value = Path(path).read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            raise SystemExit(f"{variable}: {path} cannot be read") from None
        if "\0" in value:
            raise SystemExit(f"{variable}: {path} holds a NUL, which no variable can")
        resolved[name] = value
    return resolved


def main() -> None:
    """Replaces this process by the command given."""
    if len(sys.argv) < 2:
        raise SystemExit("usage: entrypoint COMMAND [ARGUMENT]...")
    environment = resolve(os.environ)
    os.execvpe(sys.argv[1], sys.argv[1:], environment)  # noqa: S606 - becoming the command is what this is for


if __name__ == "__main__":
    main()
