"""How a script and its environment reach a host: on standard input, never on a command line.

The remote command line is the same for every script, apart from one number: how many bytes of standard input are
the script. What follows them is the script's own standard input. The script's last line is a sentinel, so a stream
that was cut short runs nothing at all.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from deploy_lib.errors import UsageError
from deploy_lib.shell import ScriptExit

_SENTINEL = "#:whole"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def frame(script: str, env: Mapping[str, str] | None = None) -> tuple[str, bytes]:
    """The remote command line and the bytes to send first on its standard input.

    Args:
        script: POSIX shell text, run by the host's `sh`.
        env: variables exported to the script; any Unicode text without NUL.

    Raises:
        UsageError: a name or a value that no environment can hold.
    """
    lines = [assignment(name, value) for name, value in sorted((env or {}).items())]
    text = "\n".join([*lines, script, _SENTINEL])
    block = _encode(text)
    reader = f'b=$(head -c {len(block)}); case $b in *"{_SENTINEL}") eval "$b";; *) exit {ScriptExit.TRUNCATED};; esac'
    return f"exec sh -c {shlex.quote(reader)}", block


def assignment(name: str, value: str) -> str:
    """One `export` line that gives `name` exactly this value, whatever characters it has."""
    if not _NAME.match(name):
        raise UsageError(f"{name!r} is not a name that an environment variable can have")
    if "\0" in value:
        raise UsageError(f"the value of {name} holds a NUL character, which no environment can carry")
    return f"export {name}={shlex.quote(value)}"


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # The exception's own message would show the text around the fault, and with it a secret.
        raise UsageError("a value holds a lone surrogate, which is not text in UTF-8") from None
