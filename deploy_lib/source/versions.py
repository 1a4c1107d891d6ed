"""Which versions of the project's own images may be meant, and what an image is called in one of them."""

from __future__ import annotations

from pathlib import Path

from deploy_lib.release.image import Image
from deploy_lib.release.release import Version


def versions(root: Path, tag: str | None, default: str) -> list[Version]:
    """The versions that may be meant, best first; the first one that has an image is taken.

    Raises:
        UsageError: the tag is none, or git cannot tell.
    """
    from deploy_lib.source import git

    if tag is not None:
        return [git.version_of(root, tag)]
    if default == "HEAD":
        return [git.head(root).version]
    return [commit.version for commit in git.candidates(root)]


def in_version(image: Image, placeholder: Version, version: Version) -> Image:
    """A reference that was rendered for one version, for another; one with a tag of its own stays as it is."""
    own = image.tag == placeholder.tag and not image.digest
    return image.with_tag(version.tag) if own else image
