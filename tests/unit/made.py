"""Images for tests, made of a few bytes, as the programs that save images write them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digits(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def config(layers: Sequence[bytes], architecture: str = "amd64") -> bytes:
    """A configuration.

    Args:
        layers: as they are when they are not packed.
        architecture: also with a variant, as in "arm/v7".
    """
    name, _, variant = architecture.partition("/")
    found = {"os": "linux", "architecture": name, **({"variant": variant} if variant else {})}
    return json.dumps(
        {**found, "rootfs": {"diff_ids": [f"sha256:{digits(each)}" for each in layers]}}
    ).encode()


def tar(files: Mapping[str, bytes | str]) -> bytes:
    """An archive; a text is what a link leads to."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def saved(layers: Sequence[bytes], tags: Sequence[str] = ("web:patch",)) -> dict[str, bytes | str]:
    """As `docker save` of Engine 24 and before: in folders, a layer that is there twice as a link."""
    files: dict[str, bytes | str] = {}
    paths: list[str] = []
    for number, layer in enumerate(layers):
        path = f"{number:064d}/layer.tar"
        first = layers.index(layer)
        files[path] = layer if first == number else f"../{first:064d}/layer.tar"
        paths.append(path)
    made = config(layers)
    name = f"{digits(made)}.json"
    files[name] = made
    listed = [{"Config": name, "RepoTags": list(tags), "Layers": paths}]
    return {**files, "manifest.json": json.dumps(listed).encode()}


def layout(
    layers: Sequence[bytes],
    architectures: Sequence[str] = ("amd64",),
    *,
    nested: bool = False,
    packed: bool = True,
) -> dict[str, bytes | str]:
    """An OCI layout, as `buildx` writes it: also with what says how it was built."""
    files: dict[str, bytes | str] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def put(content: bytes, media: str, **more: Any) -> dict[str, Any]:
        files[f"blobs/sha256/{digits(content)}"] = content
        return {"mediaType": media, "digest": f"sha256:{digits(content)}", "size": len(content), **more}

    manifests = []
    for architecture in architectures:
        blobs = [gzip.compress(each, mtime=0) if packed else each for each in layers]
        media = "application/vnd.oci.image.layer.v1.tar" + "+gzip" * packed
        manifest = {
            "schemaVersion": 2,
            "config": put(config(layers, architecture), "application/vnd.oci.image.config.v1+json"),
            "layers": [put(each, media) for each in blobs],
        }
        platform = {"os": "linux", "architecture": architecture}
        manifests.append(put(json.dumps(manifest).encode(), MANIFEST, platform=platform))
    if nested:
        about = put(b"{}", MANIFEST, annotations={"vnd.docker.reference.type": "attestation-manifest"})
        inner = json.dumps({"manifests": [*manifests, about]}).encode()
        manifests = [
            put(inner, INDEX, annotations={"io.containerd.image.name": "docker.io/library/web:patch"})
        ]
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
    return files
