"""Which containers that somebody else has started stay, being as the new release has them; pure."""

from __future__ import annotations

from collections.abc import Mapping

from deploy_lib.host.look.facts import Facts
from deploy_lib.plan.adopted import as_others_start
from deploy_lib.release.files import followed
from deploy_lib.release.image import Image


def staying_as_started(
    facts: Facts,
    images: Mapping[str, Image],
    secrets: Mapping[str, str],
    mounted: Mapping[str, str],
    files: Mapping[str, str],
) -> dict[str, Image]:
    """By service, the reference that its containers were started from: with it, instead of the digest, Compose leaves them alone.

    Args:
        images, secrets, mounted: of the new release; see `Release`.
        files: the marks of its files, by path.
    """
    before = facts.proven
    found: dict[str, Image] = {}
    for name, image in images.items():
        containers = facts.of(name)
        if not containers or not all(map(as_others_start, containers)):
            continue
        reference = containers[0].image
        same = all(c.image == reference and c.image_id == facts.id_of(image) for c in containers)
        if not same or reference == image or not facts.still_leads(reference, image):
            continue
        if before is not None and before.kind != "adopted":
            release = before.release
            stays = (
                release.as_started.get(name) == reference
                and release.secrets.get(name) == secrets.get(name)
                and release.mounted.get(name) == mounted.get(name)
            )
        else:
            stays = (
                name in facts.alike and all(c.healthy for c in containers) and _unchanged(facts, name, files)
            )
        if stays:
            found[name] = reference
    return found


def _unchanged(facts: Facts, name: str, files: Mapping[str, str]) -> bool:
    """Whether what Compose does not look at is surely the same: the files that are mounted, secrets as files, and configs."""
    service = facts.services[name]
    if service.contents or service.sources or service.foreign:
        return False
    places = [path for mount in service.mounts if (path := mount.shipped) is not None]
    places += service.reads
    own = [path for path in followed(files) if any(path == p or path.startswith(f"{p}/") for p in places)]
    return all(path in files and facts.files.get(path) == files[path] for path in own)
