"""Programs that keep a secret in their own data: one file each, found by its `kind` (`config/open_set.py`).

A program's file has one class made from `Program`. Its fields are the keys of a `[[stacks.*.apply]]` table, its methods the
shell text with which `host/change/apply.py` changes the secret, proves the change, and goes back. docs/secrets.md
says how to add one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from deploy_lib.config import Apply
from deploy_lib.config.fields import Seconds
from deploy_lib.secrets.value import Secret
from deploy_lib.shell import quote, words

REFUSED = 41
"""Exit status of a program's refusal. `docker exec` has 1 for a container that is gone or stopped by then, which is none."""

_GET = """\
get() { IFS= read -r l && v=$(printf %s "$l" | base64 -d && echo x) && v=${v%x}; }
"""
"""In a container: the next value into `$v`, byte for byte."""


class Program(Apply, ABC):
    """A program whose copy of a secret can be changed while it runs.

    The shell text of `keeps`, `change` and `takes` is the body of a function on the host, for `sh`; `inside` makes one. It may
    use every secret of the stack by its name, `$old_NAME`, the value of before, `$new_NAME`, the value that it shall have, and
    `$APPLY_NAME`, what `hand` made of that, from the first to the last moment of a rotation. What it prints may be read by anybody: no value must stand in it but in
    `keeps`' standard output, and none on a command line. A host that went down in the middle leaves the program with either
    value: `keeps` and `change` have to work with both.

    Attributes:
        timeout: seconds until it must take a new value.
    """

    timeout: Seconds = 60

    @abstractmethod
    def keeps(self) -> str:
        """Prints what the program has of the secret, in the form that `change` takes; fails while it does not answer."""

    @abstractmethod
    def change(self) -> str:
        """Makes the program keep `$1`: what `hand` made of a new value, or what `keeps` has printed."""

    @abstractmethod
    def takes(self) -> str:
        """Tries the value `$1` as its users would: status 0 when taken, `REFUSED`, or another when nobody answers."""

    def unfit(self, value: Secret) -> str:
        """Why the program cannot take a value; "" when it can."""
        # Who reads a file with `$(cat FILE)`, as the entry points of images do, does not get it.
        ends = value.reveal().endswith("\n")
        return f"{self.secret} ends in a line break, which is lost where its file is read" if ends else ""

    def hand(self, value: Secret) -> Secret:
        """What `change` is given for a new value: a hash, for a program that takes one, so that it never sees the value."""
        return value

    def inside(
        self, script: str, *values: str, interpreter: str = "sh", arguments: tuple[str, ...] = ()
    ) -> str:
        """Shell text that runs a script in the service's container.

        Args:
            script: its `get` puts the next of the values into `$v`.
            values: as words of the host's shell, such as `"$1"`; they go in on standard input, so no command line has them.
            interpreter: the container's shell.
            arguments: the script's `$1` and so on; for what is no secret.
        """
        command = words(self.service, interpreter, _GET + script, *arguments)
        return f"feed {' '.join(values)} | inside {command}"


def literal(text: str) -> str:
    """A text that is no secret as one of `inside`'s values."""
    return quote(text)
