"""Drift: how a host differs from its record, and what a restore has left of its data, in words; pure."""

from __future__ import annotations

from collections.abc import Iterator

from deploy_lib.host.look.facts import Facts
from deploy_lib.release.history import Event
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release


def drift(facts: Facts) -> tuple[str, ...]:
    """Each difference; none for a host that is as recorded. Where nothing is recorded, whatever runs is one."""
    proven = facts.proven
    return tuple(_differences(facts, proven) if proven else _unrecorded(facts))


def restore_problem(facts: Facts) -> str:
    """What a restore has left, where that is unknown; "" otherwise."""
    begun = facts.unsettled_restore
    if begun is None:
        return ""
    came = "was interrupted" if begun.kind == "restoring" else "failed, and could not be undone"
    file, *before = begun.backups or ("?",)
    known = f", and {before[0]} as they were before it" if before else ""
    return (
        f"the restore of {file}, begun by {begun.who} on {begun.origin} at {begun.at}, {came}: it is unknown what the data are. "
        f"Put a backup back (restore --backup ID): {file} has what was to be restored{known}"
    )


def _differences(facts: Facts, proven: Event) -> Iterator[str]:
    release = proven.release
    for service in sorted(release.images):
        yield from _service(facts, proven, service)
    for container in facts.containers:
        if container.service not in {*release.images, *release.idle}:
            yield f"{container.name} is not part of the release"
    if facts.lost(release):
        yield (
            f"{len(facts.lost(release))} secret values are no longer in memory (was the host rebooted?): services that use "
            "them do not start again before the next deployment, which brings them back"
        )
    for image in sorted(set(release.images.values())):
        yield from _image(facts, image, release)
    for path in sorted({*release.files, *facts.files}):
        if path not in facts.files:
            yield f"the file {path} is missing"
        elif path not in release.files:
            yield f"the file {path} is not part of the release: remove it, or take it into the checkout"
        elif facts.files[path] != release.files[path]:
            yield f"the file {path} was edited on the host"


def _service(facts: Facts, proven: Event, service: str) -> Iterator[str]:
    image, expected = proven.release.images[service], proven.release.replicas.get(service, 1)
    containers = facts.of(service)
    if not containers and expected:
        yield f"{service} is missing: it has no container"
    elif len(containers) != expected:
        yield f"{service} has {_count(len(containers))}, and the release has {expected}"
    for container in containers:
        if container.done and service in proven.release.ends:
            continue
        if container.state != "running":
            yield f"{container.name} is {container.state}"
        elif container.health == "unhealthy":
            yield f"{container.name} is unhealthy"
        elif lost := facts.cut_off(container):
            yield f"{container.name} is cut off: {lost.why}"
        # An adopted project's containers may have been started from other names for the same images.
        built = facts.id_of(image)
        if container.image != image and container.image_id != (built or str(image)):
            yield f"{container.name} runs {container.image}, and the release has {image}"
        elif built is not None and container.image_id != built:
            yield f"{container.name} runs another image than {image}"
        elif service in proven.hashes and facts.remade(container, proven):
            yield f"{container.name} was created with another configuration than the release's"


def _image(facts: Facts, image: Image, release: Release) -> Iterator[str]:
    built = facts.id_of(image)
    if built is None:
        yield f"the image {image} is not on the host any more"
        return
    # Two services may have one tag, of which only one was taken anew.
    same = {facts.id_of(each) for each in release.images.values() if each.unpinned == image.unpinned}
    protecting = sorted(tag for tag in facts.tags if tag.startswith(image.keep_tags))
    for tag in (image.listed_tag, *protecting):
        if facts.tags.get(tag, built) not in (same if tag == image.listed_tag else {built}):
            yield (
                f"the tag {tag} on the host points to another image than the release's ({image.digest}); "
                f"this puts it back: docker tag {built} {tag}"
            )


def _unrecorded(facts: Facts) -> Iterator[str]:
    if facts.containers:
        yield f"{_count(len(facts.containers))} of the stack run here without a record: the next deployment adopts them"


def _count(number: int) -> str:
    return "1 container" if number == 1 else f"{number} containers"
