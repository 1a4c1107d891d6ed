"""How a script and its environment reach a host: on standard input, never on a command line.

The remote command line is the same for every script, apart from one number: how many bytes of standard input are
the script. What follows them is the script's own standard input. The script's first and last lines are sentinels, so a
stream that was cut short, or that a login shell has read from, runs nothing at all.

sshd runs that command line by way of the user's login shell, which may print what it likes before and after: a greeting,
the output of a `.bashrc`. So a mark that nobody can guess is printed before the script's output and another one after it,
on standard output and on standard error, and what is not between them is not its own. The marks, too, come on standard
input: a shell that prints the command line before it runs it does not print them.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Mapping

from deploy_lib.errors import UsageError
from deploy_lib.shell import ScriptExit

VALUE_ROOM = 128 * 1024
"""Bytes that Linux lets one variable have, with its name, the `=` and the zero at its end (MAX_ARG_STRLEN)."""

TOTAL_ROOM = 1024 * 1024
"""Bytes that all variables of a script may have together: half of what Linux gives a program by default (ARG_MAX, a quarter of
the stack's limit), since the host's own variables and the arguments count as well."""

PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin:/snap/bin"
"""Where programs are looked for that a session's own PATH does not have; only root can change these."""

FOREIGN_KEPT = 2000
"""Bytes of foreign output that are kept, for messages: the last ones."""

_FIRST, _SENTINEL = "#:script", "#:whole"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Preamble:
    """Removes what a login shell has printed from a script's standard output.

    Attributes:
        mark: what the script prints on a line of its own before anything else.
        end: what is printed when the script has ended; it need not begin a line.
        passed: the mark has come; what comes from then on is the script's own.
    """

    def __init__(self) -> None:
        self.mark = f"#:begin:{secrets.token_hex(16)}"
        self.end = f"#:ended:{secrets.token_hex(16)}"
        self.passed = False
        self._foreign = b""
        self._ended = False
        self._held = b""

    def strip(self, chunk: bytes) -> bytes:
        """What of the next chunk is the script's own; what may be the beginning of the end is kept for the next call."""
        if not self.passed:
            before, found, chunk = (self._foreign + chunk).partition(f"{self.mark}\n".encode())
            self.passed = bool(found)
            self._foreign = before[-FOREIGN_KEPT:]
        if self._ended:
            return b""
        end = self.end.encode()
        own, found_end, _ = (self._held + chunk).partition(end)
        self._ended = bool(found_end)
        last = own.rfind(end[:1], max(0, len(own) - len(end) + 1))
        while not self._ended and last >= 0 and not end.startswith(own[last:]):
            last = own.find(end[:1], last + 1)
        self._held = own[last:] if last >= 0 and not self._ended else b""
        return own[: len(own) - len(self._held)]

    def twin(self) -> Preamble:
        """The same marks for another stream: standard error."""
        twin = Preamble()
        twin.mark, twin.end = self.mark, self.end
        return twin

    def errors(self, said: bytes) -> bytes:
        """What of standard error, as far as it has come, is the script's own; all of it where the script has not begun."""
        _, begun, own = said.partition(f"{self.mark}\n".encode())
        return (own if begun else said).partition(self.end.encode())[0]

    def rest(self) -> bytes:
        """What was kept, when nothing more comes."""
        rest, self._held = self._held, b""
        return rest

    @property
    def foreign(self) -> str:
        """What was printed before, its last lines, for messages."""
        lines = self._foreign.decode(errors="replace").strip().splitlines()[-5:]
        return "\n".join(lines)


def frame(
    script: str,
    env: Mapping[str, str] | None = None,
    preamble: Preamble | None = None,
    *,
    become: bool = False,
) -> tuple[str, bytes]:
    """The remote command line and the bytes to send first on its standard input.

    Args:
        script: POSIX shell text, run by the host's `sh`.
        env: variables exported to the script; any Unicode text without NUL.
        preamble: what its standard output is to be stripped by.
        become: it runs as root, by a sudo that asks nothing.

    Raises:
        UsageError: a name or a value that no environment can hold, or that a host's programs could not be started with.
    """
    require_room(env or {})
    lines = [assignment(name, value) for name, value in sorted((env or {}).items())]
    begin = [f"echo '{preamble.mark}'; echo '{preamble.mark}' >&2"] if preamble is not None else []
    text = "\n".join([_FIRST, *begin, *lines, script, _SENTINEL])
    block = _encode(text)
    # No core dumps: set before the first secret is read.
    reader = (
        f"ulimit -S -c 0 2>/dev/null; b=$(dd bs={len(block)} count=1 iflag=fullblock 2>/dev/null); "
        f'case $b in "{_FIRST}"*"{_SENTINEL}") eval "$b";; *) exit {ScriptExit.TRUNCATED};; esac'
    )
    shell = "sudo -n -- sh" if become else "sh"
    if preamble is None:
        return f"exec {shell} -c {shlex.quote(reader)}", block
    # Sessions without a terminal often have a short PATH, and Docker may be elsewhere (/usr/local/bin, /snap/bin).
    # A shell around it prints the mark of the end, whatever way the script ends. Each word is the same to sh, csh and fish.
    end = preamble.end.encode()
    around = f'PATH="${{PATH:-/usr/bin:/bin}}:{PLACES}"; export PATH; e=$(dd bs={len(end)} count=1 iflag=fullblock 2>/dev/null); sh -c "$1"; c=$?; printf %s "$e"; printf %s "$e" >&2; exit $c'
    return f"exec {shell} -c {shlex.quote(around)} - {shlex.quote(reader)}", end + block


def assignment(name: str, value: str) -> str:
    """One `export` line that gives `name` exactly this value, whatever characters it has.

    Raises:
        UsageError: no environment can hold this name or value.
    """
    if not _NAME.match(name):
        raise UsageError(f"{name!r} is not a name that an environment variable can have")
    if "\0" in value:
        raise UsageError(f"the value of {name} holds a NUL character, which no environment can carry")
    return f"export {name}={shlex.quote(value)}"


def require_room(env: Mapping[str, str]) -> None:
    """Refuses variables that are too large to start a program with (E2BIG).

    Raises:
        UsageError: naming the variable and its size, and never its value.
    """
    sizes = {name: len(name) + 2 + len(value.encode(errors="replace")) for name, value in env.items()}
    for name, size in sorted(sizes.items()):
        if size > VALUE_ROOM:
            raise UsageError(
                f"the value of {name} has {size - len(name) - 2} bytes; an environment has room for {VALUE_ROOM - len(name) - 2}",
                hint="a larger value has to reach the program as a file: make it shorter, or split it",
            )
    total = sum(sizes.values())
    if total > TOTAL_ROOM:
        largest = max(sizes, key=lambda name: sizes[name])
        raise UsageError(
            f"{len(sizes)} values have {total} bytes together; an environment has room for {TOTAL_ROOM}, "
            f"and the largest is {largest} with {sizes[largest]}",
            hint="make them shorter, or spread them over several stacks",
        )


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # The exception's own message would show the text around the fault, and with it a secret.
        raise UsageError("a value holds a lone surrogate, which is not text in UTF-8") from None
