"""The files of an archive that say which image it has: those of Docker's own format, and those of an OCI layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_DESCRIBES = "vnd.docker.reference.type"
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore")


class Platform(_Model):
    """What an image is for."""

    os: str = ""
    architecture: str = ""


class Descriptor(_Model):
    """What leads to another file of an OCI layout."""

    media: str = Field("", alias="mediaType")
    digest: Digest
    size: int = Field(ge=0)
    annotations: Mapping[str, str] | None = None
    platform: Platform | None = None

    @property
    def is_index(self) -> bool:
        """Whether it leads to a list of manifests."""
        return self.media in _INDEXES

    @property
    def describes(self) -> bool:
        """Whether it is no image, but says something of one, such as how it was built."""
        return _DESCRIBES in (self.annotations or {})

    @property
    def name(self) -> str:
        """The reference that the image had; "" without one."""
        return next((name for key in _NAMES if (name := (self.annotations or {}).get(key))), "")


class Index(_Model):
    """`index.json`, and what else lists manifests."""

    manifests: tuple[Descriptor, ...]


class Manifest(_Model):
    """One image for one platform."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


class Saved(_Model):
    """One image of `manifest.json`: paths in the archive."""

    config: str = Field(alias="Config")
    layers: tuple[str, ...] = Field(alias="Layers")
    named: tuple[str, ...] | None = Field(None, alias="RepoTags")

    @property
    def tags(self) -> tuple[str, ...]:
        """Its references."""
        return self.named or ()


class SavedList(RootModel[tuple[Saved, ...]]):
    """`manifest.json`."""


class RootFS(_Model):
    """The layers, each by the SHA-256 of what it is when it is not packed."""

    diff_ids: tuple[Digest, ...]


class Config(_Model):
    """An image's configuration."""

    os: str
    architecture: str
    rootfs: RootFS

    @property
    def platform(self) -> str:
        """Such as "linux/amd64"."""
        return f"{self.os}/{self.architecture}"
