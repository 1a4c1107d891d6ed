"""Which layers a host has, and in which of Docker's two stores: what need not be sent to it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from deploy_lib.answers import understand
from deploy_lib.errors import RemoteError
from deploy_lib.release.content import Layer, blob, sha256
from deploy_lib.shell import quote
from deploy_lib.source.manifests import Index, Manifest, read
from deploy_lib.ssh.session import Session

SAVING = 600.0
"""Seconds that a host may take to read one of its images."""

_CONTENT = "io.containerd.content.v1.content"
"""The directory in which containerd keeps files, by their content."""

_SNAPSHOTTER = "io.containerd.snapshotter"


class Stock(Struct, frozen=True):
    """What a host's engine has.

    Attributes:
        containerd: its images are in containerd's store, and not in Docker's classic one.
        images: by id, the layers of each image, the lowest first: `sha256:...` of what they are when they are not packed.
    """

    containerd: bool = False
    images: Mapping[str, tuple[str, ...]] | None = None


def ask_stock(session: Session) -> Stock:
    """Asks for the layers of all images.

    Raises:
        RemoteError: the host does not answer.
    """
    answer = session.run(STOCK, step="looking for layers")
    return understand("the list of its layers", lambda: read_stock(answer.stdout))


STOCK = """\
docker info --format '{{json .DriverStatus}}' || exit
i=$(docker images -aq --no-trunc) || exit
# One may go away meanwhile: its layers are then sent, too.
[ -z "$i" ] || docker image inspect --format '{{.Id}}{{range .RootFS.Layers}} {{.}}{{end}}' $(printf '%s\\n' "$i" | sort -u) 2>/dev/null
true
"""


def read_stock(said: str) -> Stock:
    """What `STOCK` has printed.

    Raises:
        ValueError: it is something else.
    """
    first, *lines = said.strip().splitlines()
    if not first.startswith(("[", "null")):
        raise ValueError(first)
    rows = (line.split() for line in lines)
    return Stock(_SNAPSHOTTER in first, {row[0]: tuple(row[1:]) for row in rows if row})


def ask_packed(session: Session, image: str, diffs: tuple[str, ...], platform: str) -> tuple[Layer, ...]:
    """The layers of an image of containerd's store as they are packed there; none where it does not say.

    Docker itself tells it in one way only: it writes the whole image out, of which the manifest is kept. That costs the host some
    seconds, and the network nothing. A user who may read containerd's files need not ask Docker.

    Args:
        image: its id, which is the digest of its manifest, or of a list of manifests.
        diffs: see `Stock`.
        platform: such as "linux/amd64".
    """
    try:
        found = _manifest(session, image, image, platform)
    except (RemoteError, ValueError):
        return ()
    if found is None or len(found.layers) != len(diffs):
        return ()
    return tuple(
        Layer(diff, each.digest, each.size, each.media)
        for diff, each in zip(diffs, found.layers, strict=True)
    )


def _manifest(session: Session, image: str, digest: str, platform: str) -> Manifest | None:
    said = session.run(packed_script(image, digest), timeout=SAVING, step="looking for layers").stdout
    if sha256(said.encode()) != digest:
        return None
    try:
        return read(said.encode(), Manifest)
    except ValueError:
        index = read(said.encode(), Index)
    fitting = (
        each.digest
        for each in index.manifests
        if each.platform
        and not each.describes
        and f"{each.platform.os}/{each.platform.architecture}" == platform
    )
    chosen = next(fitting, None)
    return None if chosen is None or chosen == digest else _manifest(session, image, chosen, platform)


def packed_script(image: str, digest: str) -> str:
    """Prints one of an image's manifests: from where containerd keeps it, as far as this user may look there."""
    file = quote(f"{_CONTENT}/{blob(digest)}")
    return f"""\
r=$(docker info --format '{{{{.DockerRootDir}}}}') || exit
for d in "$r/containerd/daemon" /var/lib/containerd; do
  if [ -r "$d"/{file} ]; then cat "$d"/{file}; exit; fi
done
docker save {quote(image)} | tar -xOf - {quote(blob(digest))}
"""
