"""What the fields of deploy.toml have in common."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from deploy_lib.config import reserved

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
ProjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*$")]
Seconds = Annotated[float, Field(gt=0, le=3600)]
VersionNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$")]
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
SecretName = Annotated[EnvName, AfterValidator(reserved.free)]


def inside(path: str) -> str:
    """The path as it is, when it is one inside the folder of deploy.toml.

    Raises:
        ValueError: it is not.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ValueError("this must be a path inside the folder of deploy.toml")
    return path


RelativePath = Annotated[str, AfterValidator(inside)]


def _directory(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise ValueError("this must be the path of a directory on the host, without ..")
    return f"/{'/'.join(parts)}"


Directory = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]+$"), AfterValidator(_directory)]
"""A directory on a host, always written in the same way."""


def several(value: object) -> object:
    """Lets one text stand for a list of one."""
    return (value,) if isinstance(value, str) else value


Paths = Annotated[tuple[RelativePath, ...], Field(strict=False), BeforeValidator(several)]
"""One path, or a list of them."""


class Model(BaseModel):
    """A table of deploy.toml: nothing is converted, unknown keys are refused, and what was read stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
