"""Content: an image as files that travel by their SHA-256, and how an engine is given it, also where it has some layers already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from deploy_lib.values import replace

CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


class Layer(Struct, frozen=True):
    """One layer.

    Attributes:
        diff: `sha256:...` of its files as a plain tar stream: the same for whichever way it is packed.
        digest: `sha256:...` of the bytes that travel, which may be packed.
        size: bytes of those.
        media: their type in a manifest.
    """

    diff: str
    digest: str
    size: int
    media: str = LAYER


class Content(Struct, frozen=True, dict=True):
    """An image for one platform.

    Attributes:
        config: the file that says how it is run and which layers it has; its SHA-256 is that of the whole image.
        platform: such as "linux/amd64".
        layers: the lowest first.
        variant: of the processor, such as "v7"; "" for any.
    """

    config: bytes
    platform: str
    layers: tuple[Layer, ...]
    variant: str = ""

    @cached_property
    def digest(self) -> str:
        """`sha256:...` of its configuration: the id of the image in Docker's classic store."""
        return sha256(self.config)

    @cached_property
    def manifest(self) -> bytes:
        """Its manifest, the same for the same layers; its SHA-256 is the image's id in containerd's store."""
        layers = [{"mediaType": each.media, "digest": each.digest, "size": each.size} for each in self.layers]
        config = {"mediaType": CONFIG, "digest": self.digest, "size": len(self.config)}
        return _json({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers})

    @property
    def size(self) -> int:
        """Bytes of all its layers."""
        return sum(each.size for each in self.layers)

    def shared(self, diffs: Sequence[str]) -> int:
        """How many of its layers, from the lowest on, are those of another image.

        Args:
            diffs: of the other image, the lowest first.
        """
        count = 0
        for own, other in zip(self.layers, diffs, strict=False):
            if own.diff != other:
                break
            count += 1
        return count

    def beginning_with(self, known: Sequence[Layer]) -> Content:
        """The same image, whose lowest layers are packed as these are."""
        return replace(self, layers=(*known, *self.layers[len(known) :]))

    def for_classic(self, tag: str) -> dict[str, bytes]:
        """The files beside its layers with which Docker's classic store loads it.

        That store looks for a layer in the archive only where it does not have it.

        Args:
            tag: that it is to have.
        """
        layers = [blob(each.digest) for each in self.layers]
        listed = [{"Config": blob(self.digest), "RepoTags": [tag], "Layers": layers}]
        return {"manifest.json": _json(listed), blob(self.digest): self.config}

    def for_containerd(self, tag: str) -> dict[str, bytes]:
        """The files beside its layers with which containerd's store loads it.

        That store takes a layer that the archive lacks from what it has, by the digest of its bytes.

        Args:
            tag: that it is to have.
        """
        found = {"mediaType": MANIFEST, "digest": sha256(self.manifest), "size": len(self.manifest)}
        named = {**found, "annotations": {"io.containerd.image.name": tag}}
        return {
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}),
            blob(sha256(self.manifest)): self.manifest,
            blob(self.digest): self.config,
        }


def blob(digest: str) -> str:
    """The path of a file that is called after its content."""
    kind, _, digits = digest.partition(":")
    return f"blobs/{kind}/{digits}"


def sha256(content: bytes) -> str:
    """`sha256:...` of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(data: Mapping[str, object] | Sequence[object]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
