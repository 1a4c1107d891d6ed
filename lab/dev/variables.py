"""compose/.env.dev: made from its example, with values of its own where the example has none."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy_lib.errors import PreflightError, UsageError

FILE = Path("compose/.env.dev")
EXAMPLE = Path("compose/.env.dev.example")

_LINE = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII)
_USER = "UID:GID"


@dataclass(frozen=True)
class Line:
    """A line of the example; `name` is empty where it sets nothing."""

    text: str
    name: str = ""
    value: str = ""

    @property
    def secret(self) -> bool:
        """Whether its value is made on each machine."""
        return bool(self.name) and not self.value

    def filled(self) -> str:
        """The line with a value for this machine."""
        if self.secret:
            return f"{self.name}={secrets.token_urlsafe(24)}"
        return self.text.replace(_USER, f"{os.getuid()}:{os.getgid()}")


def parse(text: str) -> list[Line]:
    """The lines of an env file."""
    found = ((line, _LINE.fullmatch(line.strip())) for line in text.splitlines())
    return [Line(line, match[1], match[2]) if match else Line(line) for line, match in found]


def ensure(root: Path, *, data: str | None) -> str | None:
    """Makes .env.dev where it is missing, and adds what the example has got since.

    Args:
        root: the checkout.
        data: the volume that a database of this checkout has left, if there is one.

    Returns:
        What was done, in one line; None when nothing was.

    Raises:
        UsageError: a file cannot be read or written.
        PreflightError: the database was made with a password that went with an earlier .env.dev.
    """
    path = root / FILE
    try:
        example = parse((root / EXAMPLE).read_text(encoding="utf-8"))
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise UsageError(f"{FILE} is no plain file", hint="move it away; dev.up makes a new one")
        if not path.exists():
            if data is not None:
                raise PreflightError(
                    f"{FILE} is gone, and with it the password of the database in the volume {data}",
                    hint="put the file back, or remove the data: invoke dev.down --volumes",
                )
            _write(path, [line.filled() for line in example])
            return f"made {FILE} from {EXAMPLE.name}"
        lines = parse(path.read_text(encoding="utf-8"))
        path.chmod(0o600)
        known = {line.name for line in lines}
        new = [line for line in example if line.name and line.name not in known]
        if not new:
            return None
        _write(path, [*(line.text for line in lines), *(line.filled() for line in new)])
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{FILE}: {error}") from None
    return f"added to {FILE}: {', '.join(line.name for line in new)}"


def secret_values(root: Path) -> Mapping[str, str]:
    """The values in .env.dev that this machine made, by name; none while there is no such file."""
    try:
        made = {line.name for line in parse((root / EXAMPLE).read_text(encoding="utf-8")) if line.secret}
        lines = parse((root / FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}
    return {line.name: line.value for line in lines if line.name in made and line.value}


def _write(path: Path, lines: list[str]) -> None:
    """All at once, and readable by its owner alone from its first byte on."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.env.local")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
