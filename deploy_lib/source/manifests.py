"""The files of an archive that say which image it has: those of Docker's own format, and those of an OCI layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

from msgspec import DecodeError, Meta, Struct, field, json

T = TypeVar("T")

Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]
Size = Annotated[int, Meta(ge=0)]

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_DESCRIBES = "vnd.docker.reference.type"
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


def read(text: bytes, kind: type[T]) -> T:
    """A file of this module; keys that it does not know are passed over.

    Raises:
        ValueError: it makes no sense; in words, why.
    """
    try:
        return json.decode(text, type=kind)
    except (DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise ValueError(str(problem)) from None


class Platform(Struct, frozen=True):
    """What an image is for."""

    os: str = ""
    architecture: str = ""


class Descriptor(Struct, frozen=True):
    """What leads to another file of an OCI layout."""

    digest: Digest
    size: Size
    media: str = field(default="", name="mediaType")
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


class Index(Struct, frozen=True):
    """`index.json`, and what else lists manifests."""

    manifests: tuple[Descriptor, ...]


class Manifest(Struct, frozen=True):
    """One image for one platform."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


class Saved(Struct, frozen=True):
    """One image of `manifest.json`: paths in the archive."""

    config: str = field(name="Config")
    layers: tuple[str, ...] = field(name="Layers")
    named: tuple[str, ...] | None = field(default=None, name="RepoTags")

    @property
    def tags(self) -> tuple[str, ...]:
        """Its references."""
        return self.named or ()


SavedList = tuple[Saved, ...]
"""`manifest.json`."""


class RootFS(Struct, frozen=True):
    """The layers, each by the SHA-256 of what it is when it is not packed."""

    diff_ids: tuple[Digest, ...]


class Config(Struct, frozen=True):
    """An image's configuration."""

    os: str
    architecture: str
    rootfs: RootFS
    variant: str = ""

    @property
    def platform(self) -> str:
        """Such as "linux/amd64"."""
        return f"{self.os}/{self.architecture}"
