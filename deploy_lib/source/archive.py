"""An archive that has an image, as `docker save`, `buildx` and their like write it, read without being trusted.

It has a `manifest.json` (Docker's own format), or an `index.json` (an OCI layout), or both. What a layer is called after is
compared with its content before that goes anywhere: see `verify`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO, TypeVar

from deploy_lib.release.content import LAYER, Content, Layer, blob, sha256
from deploy_lib.release.platform import taken
from deploy_lib.source.manifests import Config, Descriptor, Index, Manifest, Saved, SavedList, read
from deploy_lib.source.tar import BrokenTarError, Span, index

_CHUNK = 256 * 1024
_MOST_TEXT = 4 * 1024 * 1024
"""Bytes of a manifest or a configuration: registries take no larger ones."""

_PACKED = {b"\x1f\x8b": f"{LAYER}+gzip", b"\x28\xb5\x2f\xfd": f"{LAYER}+zstd"}
"""How packed layers begin, and what they are then."""

M = TypeVar("M")


class BrokenArchiveError(ValueError):
    """It has no image, not a whole one, or several; the text says what is wrong, for people."""


class Archive:
    """An image in a file; it may be read by several threads.

    Attributes:
        contents: the image, for each platform that the archive has.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Reads what the archive has, and none of its layers.

        Args:
            file: a tar archive that is not packed; it stays open.

        Raises:
            BrokenArchiveError: it has not exactly one whole image.
        """
        self._file = file
        length = os.fstat(file.fileno()).st_size
        try:
            self._files = index(file, length)
        except BrokenTarError as problem:
            raise BrokenArchiveError(str(problem)) from None
        self._spans: dict[str, Span] = {}
        self.contents = tuple(self._read())

    def content_for(self, platform: str) -> Content | None:
        """The image for a host.

        Args:
            platform: such as "linux/amd64".
        """
        # What is for an older variant of a processor runs on a newer one, too.
        return taken(platform, sorted(self.contents, key=lambda c: c.variant), lambda each: each.platform)

    def blocks(self, layer: Layer, start: int = 0) -> Iterator[bytes]:
        """A layer's bytes.

        Args:
            start: those before it are left out.

        Raises:
            BrokenArchiveError: the file has become shorter.
        """
        span = self._spans[layer.digest]
        place, end = span.start + start, span.start + span.size
        while place < end:
            block = os.pread(self._file.fileno(), min(_CHUNK, end - place), place)
            if not block:
                raise BrokenArchiveError("it has become shorter since it was looked at")
            place += len(block)
            yield block

    def verify(self, layers: Sequence[Layer]) -> None:
        """Compares layers with what they are called after.

        Raises:
            BrokenArchiveError: one is not what it should be.
        """
        for layer in layers:
            found = hashlib.sha256()
            for block in self.blocks(layer):
                found.update(block)
            if f"sha256:{found.hexdigest()}" != layer.digest:
                raise BrokenArchiveError(
                    f"the layer {layer.digest} is damaged: its content has another SHA-256"
                )

    # --- reading --------------------------------------------------------------------------------------------

    def _read(self) -> list[Content]:
        if "index.json" in self._files and "oci-layout" in self._files:
            manifests = self._manifests(self._json("index.json", Index).manifests)
            found = [self._of_manifest(each) for each in manifests]
        elif "manifest.json" in self._files:
            saved = self._json("manifest.json", SavedList)
            if len(saved) != 1:
                raise _several([" ".join(each.tags) or each.config for each in saved])
            found = [self._saved(saved[0])]
        else:
            raise BrokenArchiveError(
                "it is a tar archive without an image: it has no manifest.json and no index.json"
            )
        platforms = [f"{each.platform}/{each.variant}".removesuffix("/") for each in found]
        if len(set(platforms)) != len(platforms):
            raise _several(platforms)
        if not found:
            raise BrokenArchiveError("it has no image")
        return found

    def _manifests(self, listed: Sequence[Descriptor], depth: int = 0) -> list[Descriptor]:
        """The manifests of the image; those that only describe another one, and those of platforms that were left out, are none."""
        found: dict[str, Descriptor] = {}
        names = list(dict.fromkeys(name for each in listed if (name := each.name)))
        own = {each.digest for each in listed}
        if not depth and len(names) > 1 and len(own) > 1:
            raise _several(names)
        for each in listed:
            if each.describes or blob(each.digest) not in self._files:
                continue
            if each.is_index:
                if depth > 2:
                    raise BrokenArchiveError("its index.json leads to indexes without end")
                inner = self._json(blob(each.digest), Index, each).manifests
                found |= {one.digest: one for one in self._manifests(inner, depth + 1)}
            else:
                found[each.digest] = each
        return list(found.values())

    def _of_manifest(self, descriptor: Descriptor) -> Content:
        manifest = self._json(blob(descriptor.digest), Manifest, descriptor)
        layers = []
        for each in manifest.layers:
            span = self._span(blob(each.digest))
            if span.size != each.size:
                raise BrokenArchiveError(
                    f"{each.digest} has {span.size} bytes, and its manifest says {each.size}"
                )
            layers.append((each.digest, span, _media(self._begins(span))))
        return self._content(blob(manifest.config.digest), layers, manifest.config.digest)

    def _saved(self, saved: Saved) -> Content:
        layers = []
        for path in saved.layers:
            span = self._span(path)
            layers.append(("", span, _media(self._begins(span))))
        digits = saved.config.rpartition("/")[2].removesuffix(".json")
        return self._content(saved.config, layers, f"sha256:{digits}" if len(digits) == 64 else "")

    def _content(self, path: str, layers: Sequence[tuple[str, Span, str]], digest: str) -> Content:
        text = self._text(path)
        if digest and sha256(text) != digest:
            raise BrokenArchiveError(f"{path} is damaged: its content has another SHA-256")
        config = _understood(Config, path, text)
        diffs = config.rootfs.diff_ids
        if len(diffs) != len(layers):
            raise BrokenArchiveError(f"{path} has {len(diffs)} layers, and the manifest has {len(layers)}")
        made = []
        for diff, (named, span, media) in zip(diffs, layers, strict=True):
            # What is not packed is called after its content already.
            known = named or (diff if media == LAYER else self._hashed(span))
            self._spans[known] = span
            made.append(Layer(diff, known, span.size, media))
        return Content(text, config.platform, tuple(made), config.variant)

    def _json(self, path: str, model: type[M], described: Descriptor | None = None) -> M:
        text = self._text(path)
        if described is not None and sha256(text) != described.digest:
            raise BrokenArchiveError(f"{path} is damaged: its content has another SHA-256")
        return _understood(model, path, text)

    def _text(self, path: str) -> bytes:
        span = self._span(path)
        if span.size > _MOST_TEXT:
            raise BrokenArchiveError(f"{path} has {span.size} bytes, which is too much for what it is")
        return os.pread(self._file.fileno(), span.size, span.start)

    def _span(self, path: str) -> Span:
        span = self._files.get(path)
        if span is None:
            raise BrokenArchiveError(f"it lacks {path}, which is part of its image")
        return span

    def _begins(self, span: Span) -> bytes:
        return os.pread(self._file.fileno(), min(4, span.size), span.start)

    def _hashed(self, span: Span) -> str:
        found, place, end = hashlib.sha256(), span.start, span.start + span.size
        while block := os.pread(self._file.fileno(), min(_CHUNK, end - place), place):
            found.update(block)
            place += len(block)
        return f"sha256:{found.hexdigest()}"


def _media(begins: bytes) -> str:
    return next((media for magic, media in _PACKED.items() if begins.startswith(magic)), LAYER)


def _understood(model: type[M], path: str, text: bytes) -> M:
    try:
        return read(text, model)
    except ValueError as problem:
        raise BrokenArchiveError(f"{path} makes no sense: {problem}") from None


def _several(names: Sequence[str]) -> BrokenArchiveError:
    if not names:
        return BrokenArchiveError("it has no image")
    return BrokenArchiveError(
        f"it has {len(names)} images ({', '.join(names)}), and one is wanted: save that one alone"
    )
