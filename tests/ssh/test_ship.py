"""Shipping an image over a real session: only what is lacking, on from where it was cut, and never what arrived damaged."""

import io
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from deploy_lib.errors import PreflightError, RemoteError, StoppedError
from deploy_lib.host.change import ship as shipping_there
from deploy_lib.host.change.prune import prune_script
from deploy_lib.host.change.ship import Delivery, Shipment, ship
from deploy_lib.node.shipping import deliver, size, told_of
from deploy_lib.node.site import Site
from deploy_lib.output.console import Console
from deploy_lib.release.content import Content, Layer, blob, sha256
from deploy_lib.release.image import Image
from deploy_lib.source.archive import Archive
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace
from tests.unit import build
from tests.unit.made import config, saved, tar

BLOBS = [os.urandom(3_000_000), os.urandom(1_000_000)]
LAYERS = tuple(Layer(sha256(each), sha256(each), len(each)) for each in BLOBS)
CONTENT = Content(config(BLOBS), "linux/amd64", LAYERS)
IMAGE = Image.parse(CONTENT.digest)
TAG = "h.example/keep:1"

DOCKER = """\
#!/bin/sh
case $1 in
  load) mkdir -p loaded && tar -xf - -C loaded && echo yes >loaded/whole;;
  image) [ -e loaded/whole ] && cat DIFFS;;
esac
"""


def shipment(**more: object) -> Shipment:
    made = Shipment(
        "web:patch",
        IMAGE,
        tuple(each.diff for each in LAYERS),
        LAYERS,
        CONTENT.for_classic(TAG),
        CONTENT.size,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def read(layer: Layer, start: int) -> Iterator[bytes]:
    content = BLOBS[LAYERS.index(layer)]
    for place in range(start, len(content), 100_000):
        yield content[place : place + 100_000]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stack's directory; `docker` is a stand-in that unpacks what it loads beside it."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "docker"
    diffs = tmp_path / "diffs"
    diffs.write_text(" ".join(each.diff for each in LAYERS))
    program.write_text(DOCKER.replace("loaded", str(tmp_path / "loaded")).replace("DIFFS", str(diffs)))
    program.chmod(0o755)
    plain = shipping_there.load_script
    monkeypatch.setattr(
        shipping_there, "load_script", lambda *given: f"PATH={tmp_path}/bin:$PATH\n{plain(*given)}"
    )
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def arrived(home: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in (home / ".deploy/incoming/blobs/sha256").iterdir()}


def test_the_engine_gets_one_archive_of_what_it_lacks(session: Session, home: Path) -> None:
    sent: list[int] = []
    ship(session, build.stack(str(home)), shipment(), read, sent.append)
    assert sum(sent) == CONTENT.size
    loaded = home.parent / "loaded"
    listed = json.loads((loaded / "manifest.json").read_text())
    assert listed == [
        {"Config": blob(CONTENT.digest), "RepoTags": [TAG], "Layers": [blob(each.digest) for each in LAYERS]}
    ]
    for content, layer in zip((*BLOBS, CONTENT.config), (*LAYERS, None), strict=True):
        assert (loaded / blob(layer.digest if layer else CONTENT.digest)).read_bytes() == content


def test_layers_that_are_there_are_not_sent(session: Session, home: Path) -> None:
    ship(session, build.stack(str(home)), shipment(lacking=LAYERS[1:]), read, lambda count: None)
    assert not (home.parent / "loaded" / blob(LAYERS[0].digest)).exists()
    ship(session, build.stack(str(home)), shipment(lacking=()), read, lambda count: None)


def cut(layer: Layer, start: int) -> Iterator[bytes]:
    for number, block in enumerate(read(layer, start)):
        if number == 12:
            raise ConnectionError("cut")
        yield block


def test_what_was_cut_goes_on_from_there(session: Session, home: Path) -> None:
    stack, whole = build.stack(str(home)), len(BLOBS[0])
    with pytest.raises(ConnectionError):
        ship(session, stack, shipment(), cut, lambda count: None)
    # The host may not have come to it yet.
    deadline = time.monotonic() + 20
    while not any(arrived(home).values()):
        assert time.monotonic() < deadline
    (name, there), *_ = arrived(home).items()
    assert name == f"{LAYERS[0].digest[7:]}.part"
    asked: list[int] = []

    def rest(layer: Layer, start: int) -> Iterator[bytes]:
        asked.append(start)
        yield from read(layer, start)

    ship(session, stack, shipment(), rest, lambda count: None)
    assert 0 < asked[0] < whole
    assert asked == [max(there, asked[0]), 0]
    # Both are whole: only the loading is done again.
    asked.clear()
    ship(session, stack, shipment(), rest, lambda count: None)
    assert asked == []


def test_what_arrived_damaged_is_sent_anew(session: Session, home: Path) -> None:
    part = home / ".deploy/incoming" / f"{blob(LAYERS[0].digest)}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"something else" * 1000)
    ship(session, build.stack(str(home)), shipment(), read, lambda count: None)
    assert (home.parent / "loaded" / blob(LAYERS[0].digest)).read_bytes() == BLOBS[0]
    # One that is longer than it should be, too.
    (home / ".deploy/incoming" / blob(LAYERS[0].digest)).rename(part)
    part.write_bytes(BLOBS[0] + b"more")
    ship(session, build.stack(str(home)), shipment(), read, lambda count: None)
    # And one that had arrived, and has lost what it had in a power cut.
    whole = home / ".deploy/incoming" / blob(LAYERS[0].digest)
    whole.write_bytes(bytes(len(BLOBS[0])))
    ship(session, build.stack(str(home)), shipment(), read, lambda count: None)
    assert (home.parent / "loaded" / blob(LAYERS[0].digest)).read_bytes() == BLOBS[0]


def test_a_source_that_is_damaged_is_an_error_and_never_loaded(session: Session, home: Path) -> None:
    def other(layer: Layer, start: int) -> Iterator[bytes]:
        yield bytes(layer.size - start)

    with pytest.raises(RemoteError, match="arrives damaged"):
        ship(session, build.stack(str(home)), shipment(), other, lambda count: None)
    assert not (home.parent / "loaded").exists()


def test_a_disk_that_is_full_is_said(session: Session, home: Path) -> None:
    (home / ".deploy").mkdir()
    (home / ".deploy/incoming").write_text("no directory")
    with pytest.raises(RemoteError, match=r"a layer cannot be received: .*incoming"):
        ship(session, build.stack(str(home)), shipment(), read, lambda count: None)


def test_an_engine_that_refuses_it_is_quoted(session: Session, home: Path) -> None:
    (home.parent / "bin/docker").write_text(
        "#!/bin/sh\ncat >/dev/null; echo 'invalid diffID for layer 1' >&2; exit 1\n"
    )
    with pytest.raises(RemoteError, match="invalid diffID for layer 1"):
        ship(session, build.stack(str(home)), shipment(), read, lambda count: None)
    # What has arrived stays for another try.
    assert set(arrived(home)) == {
        each.digest[7:] for each in (*LAYERS, replace(LAYERS[0], digest=CONTENT.digest))
    }


def test_an_image_that_became_another_one_is_refused(session: Session, home: Path) -> None:
    (home.parent / "diffs").write_text(LAYERS[0].diff)
    with pytest.raises(RemoteError, match="another image of web:patch"):
        ship(session, build.stack(str(home)), shipment(), read, lambda count: None)


def test_ctrl_c_ends_it(session: Session, home: Path) -> None:
    session.stop = threading.Event()

    def stopping(layer: Layer, start: int) -> Iterator[bytes]:
        for block in read(layer, start):
            yield block
            cast(threading.Event, session.stop).set()

    with pytest.raises(StoppedError):
        ship(session, build.stack(str(home)), shipment(), stopping, lambda count: None)
    session.stop = None


def site(session: Session, home: Path, err: io.StringIO) -> Site:
    stack = build.stack(str(home))
    job = SimpleNamespace(stack=stack, node=stack.node)
    return Site(cast("object", job), session, Console(err=err))  # type: ignore[arg-type]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    path = tmp_path / "web.tar"
    path.write_bytes(tar(saved(BLOBS)))
    return Archive(path.open("rb"))


def test_a_node_gets_what_its_plan_wants_and_is_tidy_afterwards(
    session: Session, home: Path, archive: Archive
) -> None:
    err = io.StringIO()
    given = site(session, home, err)
    deliver(given, [Delivery(shipment(), archive)], ())
    assert not (home / ".deploy").exists()
    deliver(given, [Delivery(shipment(), archive)], [IMAGE])
    assert (home.parent / "loaded/whole").exists()
    assert list((home / ".deploy").iterdir()) == []
    assert "web:patch: 2 of 2 layers, 3.8 MiB of 3.8 MiB" in err.getvalue()
    with pytest.raises(PreflightError, match="a moment ago"):
        deliver(given, [Delivery(shipment(there=True), archive)], [IMAGE])


def test_what_is_said_of_it_counts_what_is_sent() -> None:
    assert told_of(shipment(there=True)) == "web:patch: the host has it"
    assert told_of(shipment(lacking=())) == "web:patch: the host has all of its layers"
    assert [size(n) for n in (0, 1023, 1024, 5 * 1024**3, 5000 * 1024**3)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "5.0 GiB",
        "5000.0 GiB",
    ]


def test_what_never_came_whole_is_pruned(
    session: Session, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arriving = home / ".deploy/incoming/blobs"
    arriving.mkdir(parents=True)
    stack = build.stack(str(home))
    docker = "docker() { :; }\n"
    foreseen = session.run(docker + prune_script(stack, (), dry_run=True)).stdout
    assert arriving.exists()
    removed = session.run(docker + prune_script(stack, ())).stdout
    assert not arriving.exists()
    assert foreseen == removed == "removed layers of an image that never came whole\n"
