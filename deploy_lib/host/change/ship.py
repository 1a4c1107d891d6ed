"""Shipping: an image through the session to a host, only the layers that it lacks, and on from where an earlier try was cut.

Layers lie in a directory of the stack's own, called after their content, until the engine has loaded them. A layer counts when its
SHA-256 is right; until then its name ends with `.part`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import ClassVar

from msgspec import Struct, field

from deploy_lib import layout
from deploy_lib.errors import DeployError, RemoteError
from deploy_lib.host.files import pack
from deploy_lib.host.stack import HostStack
from deploy_lib.release.content import Layer, blob
from deploy_lib.release.image import Image
from deploy_lib.shell import quote, words
from deploy_lib.source.archive import Archive, BrokenArchiveError
from deploy_lib.ssh.session import Session
from deploy_lib.values import Selective

STEP = "shipping images"
STALLED = 120.0
"""Seconds in which a host must have taken some of the bytes."""

LOADING = 1800.0
"""Seconds that an engine may take to load an image."""

CHECKING = 600.0
"""Seconds that a host may take to compute the SHA-256 of a layer."""

_AGAIN = "run the same command again: it goes on from what has arrived"

Read = Callable[[Layer, int], Iterator[bytes]]
"""Gives a layer's bytes, from one of them on."""

Sent = Callable[[int], object]
"""Gets how many bytes have been sent, or were there, each time some have."""


class Shipment(Selective, frozen=True):
    """An image for a host.

    Attributes:
        name: for people.
        image: by its id, as this host's store gives it.
        diffs: of all its layers, the lowest first.
        lacking: the layers that the host does not have; none where it has the whole image.
        files: what else its engine loads it with, by path.
        whole: bytes of all its layers.
        there: the host has the image.
    """

    HIDDEN: ClassVar[tuple[str, ...]] = ("files",)

    name: str
    image: Image
    diffs: tuple[str, ...] = ()
    lacking: tuple[Layer, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    whole: int = 0
    there: bool = False

    @property
    def size(self) -> int:
        """Bytes of the layers that are sent."""
        return sum(layer.size for layer in self.lacking)


class Delivery(Struct, frozen=True):
    """A shipment, and the archive that its layers are read from."""

    shipment: Shipment
    archive: Archive

    def read(self, layer: Layer, start: int) -> Iterator[bytes]:
        """A layer's bytes, from one of them on.

        Raises:
            DeployError: the file has changed.
        """
        try:
            yield from self.archive.blocks(layer, start)
        except BrokenArchiveError as error:
            raise DeployError(f"{self.shipment.name}: {error}", step=STEP, hint=_AGAIN) from None


def ship(session: Session, stack: HostStack, shipment: Shipment, read: Read, sent: Sent) -> None:
    """Sends what a host lacks of an image, and has it loaded.

    Raises:
        RemoteError: the session ended, no space, or the engine refused it. What has arrived stays, for another try.
        StoppedError: the operator pressed Ctrl-C.
    """
    for layer in shipment.lacking:
        if not _send(session, stack.directory, layer, read, sent) and not _send(
            session, stack.directory, layer, read, sent
        ):
            raise RemoteError(
                f"the layer {layer.digest} arrives damaged", node=session.node, step=STEP, hint=_AGAIN
            )
    said = session.run(
        load_script(stack.directory, shipment), stdin=pack(shipment.files), timeout=LOADING, step=STEP
    ).stdout
    if tuple(said.split()) != shipment.diffs:
        raise RemoteError(
            f"the engine has made another image of {shipment.name} than the one that was sent",
            node=session.node,
            step=STEP,
            hint="see what it says: docker image inspect " + str(shipment.image),
        )


def _send(session: Session, directory: PurePosixPath, layer: Layer, read: Read, sent: Sent) -> bool:
    """Sends one layer; False where its content is another one when it is there, so that it is sent anew."""
    with session.start(receive_script(directory, layer), timeout=STALLED, keep_stdin=True) as process:
        lines = iter(process)
        answer = next(lines, "")
        if answer.isdecimal():
            there = int(answer)
            sent(there)
            for block in read(layer, there):
                try:
                    process.feed(block)
                except RemoteError:
                    break  # a script that has ended says itself why
                process.extend(STALLED)
                sent(len(block))
            process.close_stdin()
            process.extend(CHECKING)
            answer = next(lines, "")
        else:
            sent(layer.size)
        process.read()
        code = process.wait()
        if code:
            problem = "; ".join(process.stderr.strip().splitlines()[-3:]) or f"exit status {code}"
            raise RemoteError(
                f"a layer cannot be received: {problem}", node=session.node, step=STEP, hint=_AGAIN
            )
    return answer == "whole"


def receive_script(directory: PurePosixPath, layer: Layer) -> str:
    """Takes a layer from standard input, after it has printed how many of its bytes are there already.

    Then it prints "whole", or "other" where they are not what they should be.
    """
    digits = layer.digest.removeprefix("sha256:")
    file = quote(directory / layout.INCOMING / blob(layer.digest))
    return f"""\
umask 077
f={file}
mkdir -p "${{f%/*}}" || exit
# After a power cut it may be another than what was renamed so.
if [ -f "$f" ]; then
  case $(sha256sum <"$f") in {digits}*) echo whole; exit;; *) rm -f "$f";; esac
fi
n=0
[ ! -f "$f.part" ] || n=$(wc -c <"$f.part") || exit
[ "$n" -le {layer.size} ] || {{ rm -f "$f.part"; n=0; }}
echo $((n))
cat >>"$f.part" || {{ r=$?; df -Ph "${{f%/*}}" >&2; exit $r; }}
n=$(wc -c <"$f.part") || exit
[ "$n" -ge {layer.size} ] || {{ echo "it was cut after $((n)) bytes" >&2; exit 1; }}
case $(sha256sum <"$f.part") in
  {digits}*) sync "$f.part"; mv -f "$f.part" "$f" && echo whole;;
  *) rm -f "$f.part"; echo other;;
esac
"""


def load_script(directory: PurePosixPath, shipment: Shipment) -> str:
    """Loads an image from what has arrived and from files that come on standard input, and prints the layers that it has then."""
    place = quote(directory / layout.INCOMING)
    files = sorted({*shipment.files, *(blob(layer.digest) for layer in shipment.lacking)})
    return f"""\
umask 077
mkdir -p {place} && cd {place} && tar -xf - || exit
e=$(tar -cf - {words(*files)} | docker load 2>&1 >/dev/null) || {{ printf '%s\\n' "$e" >&2; exit 1; }}
docker image inspect --format '{{{{range .RootFS.Layers}}}}{{{{.}}}} {{{{end}}}}' {quote(shipment.image)}
"""


def tidy(session: Session, stack: HostStack) -> None:
    """Removes what has arrived, when all of it is loaded."""
    session.run(forget_script(stack.directory), step=STEP)


def forget_script(directory: PurePosixPath) -> str:
    """Removes layers that have arrived."""
    return f"rm -rf {quote(directory / layout.INCOMING)}"
