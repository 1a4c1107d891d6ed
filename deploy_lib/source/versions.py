"""Which versions of the project's own images may be meant, and what an image is called in one of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from deploy_lib.config import Environment, Node
from deploy_lib.errors import UsageError
from deploy_lib.names import did_you_mean
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release, Version
from deploy_lib.request import REF
from deploy_lib.source import git

_SHA = re.compile(r"[0-9a-f]{40}")
_NUMBER = re.compile(r"v?[0-9]+(\.[0-9]+)*([._-][A-Za-z0-9._-]*)?")
"""A plain version: 1.4.2, v2, 2.0-rc1."""

LATEST = "latest"

UNKNOWN = "unknown"
"""What a release is called that somebody else has started, and whose images tell no version."""

UNVERSIONED = "unversioned"
"""What a release is called that has no images of the project's own, from files that are in no git checkout."""


def versions(environment: Environment, tag: str | None) -> list[Version]:
    """The versions that may be meant, best first; the first one that has an image is taken.

    Args:
        tag: as `--tag` has it; None for the environment's default.

    Raises:
        UsageError: the tag is neither a tag nor a commit, or git does not answer.
    """
    if tag is not None:
        return meant(environment, tag)
    if not environment.image_registry:
        return [_of_files(environment)]
    if environment.follows is not None:
        return [of_commit(environment, c.sha) for c in git.candidates(environment.root, environment.follows)]
    return [Version(environment.fixed_tag) if environment.fixed_tag else head(environment)]


def require_own_images(environment: Environment, tag: str | None) -> None:
    """Refuses to deploy a version where nothing has one.

    Raises:
        UsageError: a tag was given, and the environment has no `image_registry`.
    """
    if tag is not None and not environment.image_registry:
        raise UsageError(
            f"--tag {tag} names a version of the project's own images, and environment {environment.name} has no image_registry",
            hint="leave it out: this checkout's files are deployed, with the images that they name",
        )


def typed(environment: Environment, release: Release) -> str:
    """The flags that name a release's version; "" where it has no tag, or none would be taken."""
    tag = environment.image_registry and release.tag not in (UNKNOWN, UNVERSIONED)
    images = (f" --image {service}=..." for service in sorted(release.patches))
    return (f" --tag {release.tag}" if tag else "") + "".join(images)


def deploy_anew(environment: Environment, node: Node, release: Release) -> str:
    """What deploys an earlier release from its sources, for a hint."""
    flags = typed(environment, release)
    files = "" if "--tag" in flags else ", from a checkout of the files that it was made from"
    return f"deploy it anew{files}: {node.deploy_task}{flags}"


def _of_files(environment: Environment) -> Version:
    """The version that this checkout's files are, where no image of the project's own has one."""
    if environment.fixed_tag:
        return Version(environment.fixed_tag)
    sha = git.known(environment.root, "HEAD")
    return of_commit(environment, sha) if sha else Version(UNVERSIONED)


def of_commit(environment: Environment, sha: str) -> Version:
    """The version that a commit is.

    Args:
        sha: all 40 digits.
    """
    return Version(environment.versions.tag_of(sha), sha)


def head(environment: Environment) -> Version:
    """The version that this checkout's own commit is.

    Raises:
        UsageError: there is no git checkout, or no commit in it.
    """
    return of_commit(environment, git.head(environment.root).sha)


def meant(environment: Environment, text: str) -> list[Version]:
    """The versions that an operator may mean by `--tag`: two where an image tag is the name of a commit, too.

    Args:
        text: an image tag (a commit's, a plain version such as 1.4.2, `latest`), a full SHA, or a git ref.

    Raises:
        UsageError: none of these.
    """
    policy, root = environment.versions, environment.root
    if _SHA.fullmatch(text):
        return [of_commit(environment, text)]
    if text in (LATEST, environment.fixed_tag):
        return [Version(text)]
    if digits := policy.digits_of(text):
        return [Version(text, git.known(root, digits))]
    found = [Version(text)] if _NUMBER.fullmatch(text) else []
    if re.fullmatch(REF, text):
        # An image tag needs no git; anything else does, so git's error is raised.
        sha = git.known(root, text) if found else git.resolve(root, text)
        found += [of_commit(environment, sha)] if sha else []
    if not found:
        raise _unknown(environment, text)
    return found


def ambiguous(tag: str | None, found: Sequence[Version], taken: Version | None) -> str:
    """A note for the operator about a tag that is also the name of a commit; "" for any other."""
    if tag is None or taken is None or len(found) == 1:
        return ""
    return f"{tag} is an image tag, and a git ref for {found[1].tag}: {taken.tag} is taken"


def _unknown(environment: Environment, text: str) -> UsageError:
    shallow = git.is_shallow(environment.root)
    question = did_you_mean(text, [LATEST, "HEAD", *git.refs(environment.root)])
    ways = (
        "fetch its whole history (git fetch --unshallow)" if shallow else "",
        f"give an image tag ({environment.versions.example}, 1.4.2, {LATEST}), a full SHA, or a git ref",
    )
    return UsageError(
        f"{text!r} is neither an image tag nor a commit of this {'shallow ' if shallow else ''}checkout",
        hint=f"{question} Otherwise " * bool(question) + ", or ".join(way for way in ways if way),
    )


def in_version(image: Image, placeholder: Version, version: Version) -> Image:
    """A reference that was rendered for one version, for another; one with a tag of its own stays as it is."""
    own = image.tag == placeholder.tag and not image.digest
    return image.with_tag(version.tag) if own else image
