"""Secrets from a JSON file that only its owner may read; meant for the lab."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from deploy_lib.config import SecretSpec
from deploy_lib.config.fields import RelativePath
from deploy_lib.errors import PreflightError
from deploy_lib.secrets.sources import Source
from deploy_lib.secrets.value import Secret


class File(Source):
    """A JSON object of field names and values, in a file that nobody else may read.

    Attributes:
        path: of the file, below the folder of deploy.toml.
    """

    at_hand = True

    source: Literal["file"]
    path: RelativePath

    def name(self, root: Path) -> str:
        """See `Source.name`."""
        return str(root / self.path)

    def fetch(self, specs: Mapping[str, SecretSpec], root: Path) -> Mapping[str, Secret]:
        """See `Source.fetch`."""
        path = root / self.path
        try:
            with path.open(encoding="utf-8") as file:
                _judge(path, os.fstat(file.fileno()))
                content = json.load(file)
        except FileNotFoundError:
            raise PreflightError(f"there is no secret file {path}") from None
        except (OSError, ValueError):
            # A JSON error's text would quote the file.
            raise PreflightError(f"{path} cannot be read as JSON") from None
        if not isinstance(content, dict):
            raise PreflightError(f"{path} does not hold a JSON object")
        return {
            name: Secret(content[spec.field])
            for name, spec in specs.items()
            if isinstance(content.get(spec.field), str)
        }


def _judge(path: Path, about: os.stat_result) -> None:
    """Refuses a file that others could have written, or can read."""
    mode = stat.S_IMODE(about.st_mode)
    if about.st_uid not in (0, os.geteuid()):
        raise PreflightError(
            f"{path} belongs to another user (uid {about.st_uid})",
            mend=f"as root: chown {os.geteuid()} {path}",
        )
    if mode & 0o077:
        raise PreflightError(f"{path} may be read by others (mode {mode:04o})", mend=f"chmod 600 {path}")
