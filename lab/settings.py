"""lab.toml: what a lab needs besides deploy.toml. All of its keys have defaults."""

from __future__ import annotations

import tomllib
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError, model_validator

from deploy_lib.config.fields import Model, Name, RelativePath
from deploy_lib.config.reading import explained
from deploy_lib.errors import UsageError

FILE = "lab.toml"

RELEASE = "trixie"
"""Debian's release that hosts are made of, unless lab.toml names another."""

AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]*[A-Za-z0-9._-]$")]
Release = Annotated[str, StringConstraints(pattern=r"^[a-z]+$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Shared(Model):
    """A directory that all hosts with this table have in common.

    Attributes:
        directory: where this host has it.
        volume: a volume of the node's Compose file whose data lies there.
    """

    directory: AbsolutePath
    volume: str | None = None


class NodeSpec(Model):
    """What lab.toml says of a node of deploy.toml.

    Attributes:
        ports: those that are published on this machine's loopback; otherwise all that its Compose file publishes.
        release: Debian's release that its host is made of.
    """

    ports: tuple[Port, ...] | None = Field(default=None, strict=False)
    release: Release | None = None
    shared: Shared | None = None


class ImageSpec(Model):
    """How an image is made; exactly one of the first three.

    Attributes:
        recipe: a folder with a Dockerfile that makes the real program another way, where the image cannot be pulled.
        standin: the same, for one that only answers in the place of the real program.
        dockerfile: of an image of the project's own, which is always built, and pushed to the lab's registry.
        context: the folder that `dockerfile` is built in; otherwise its own.
        arguments: build arguments; one that names an image makes this one depend on it.
    """

    recipe: RelativePath | None = None
    standin: RelativePath | None = None
    dockerfile: RelativePath | None = None
    context: str | None = None
    arguments: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_way(self) -> ImageSpec:
        if sum(way is not None for way in (self.recipe, self.standin, self.dockerfile)) != 1:
            raise ValueError("give exactly one of recipe, standin and dockerfile")
        if self.context is not None and self.dockerfile is None:
            raise ValueError("context goes with dockerfile")
        return self


class File(Model):
    """The whole of lab.toml.

    Attributes:
        environment: the environment of deploy.toml that the lab is.
        secrets: values of fields that must not be random, such as user names.
        images: by repository, or by repository:tag for one that no Compose file names.
    """

    environment: Name = "lab"
    release: Release = RELEASE
    secrets: dict[str, str] = Field(default_factory=dict)
    nodes: dict[Name, NodeSpec] = Field(default_factory=dict)
    images: dict[str, ImageSpec] = Field(default_factory=dict)


def parse(text: str) -> File:
    """The typed content of lab.toml.

    Raises:
        UsageError: naming the first wrong key.
    """
    try:
        return File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{FILE} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise explained(error, FILE, File) from None
