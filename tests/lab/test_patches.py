"""An image that is in no registry: from this machine's engine or from a file, through the session, and back again."""

import contextlib
import json
import re
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy_lib.cli.nodes import session_to
from deploy_lib.config import Environment
from deploy_lib.fleet.parallel import side_by_side
from deploy_lib.host.change.ship import Shipment, ship, tidy
from deploy_lib.host.look.layers import Stock, ask_packed, ask_stock
from deploy_lib.host.stack import HostStack
from deploy_lib.plan.patch import make_shipment, nearest
from deploy_lib.release.content import Layer
from deploy_lib.source.archive import Archive
from deploy_lib.source.offer import Offer, opened
from deploy_lib.ssh.session import Session
from lab import docker as build
from lab import hosts
from lab.layout import Lab
from tests.unit.made import layout, saved, tar

from .changes import restart_engine, unreachable_registry, until
from .conftest import BACKEND, FIRST, NODES, ROOT, Host, Run, command, environment

MEGABYTE = 1_000_000
NAME = f"lab-patch-{secrets.token_hex(4)}"


def patched(base: str, folder: Path, size: int = MEGABYTE) -> str:
    """The name of an image on this machine: another one with one more layer, of random bytes."""
    (folder / "extra").write_bytes(secrets.token_bytes(size))
    name = f"{NAME}:{secrets.token_hex(4)}"
    container = build.run("create", base).strip()
    build.run("cp", str(folder / "extra"), f"{container}:/extra")
    build.run("commit", container, name)
    build.run("rm", container)
    return name


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    yield
    if left := build.run("images", "-q", NAME).split():
        build.run("rmi", "-f", *left)


@pytest.mark.takes(30)
def test_a_patch_needs_no_registry_and_is_a_release_like_any_other(
    deploy: Run, core: Host, backend_image: str, back_to_first: None, tmp_path: Path
) -> None:
    patch = patched(backend_image, tmp_path)
    image = build.inspect(patch, "{{.Id}}")
    before = core.containers()
    with unreachable_registry(core.sh):
        done = deploy("--image", f"ktrdr-backend={patch}")
    assert (done.code, done.core["to"]) == (0, f"a patch of {FIRST}"), done.err
    sent = re.search(rf"{patch}: (\d+) of (\d+) layers, ", done.err)
    assert sent is not None, done.err
    assert 0 < int(sent[1]) < int(sent[2])
    after = core.containers()
    assert {name for name in after if after[name] != before[name]} == {"backend"}
    assert core.sh(f"docker inspect -f '{{{{.Image}}}}' {BACKEND}").strip() == image
    status = command("invoke", "status", "--json", "--node", "core")
    assert (status.code, status.core["to"], status.core["drift"]) == (0, f"a patch of {FIRST}", [])
    assert status.core["services"]["backend"]["tag"] == patch
    assert "a patch of" in command("invoke", "history", "--node", "core").out
    # The same again changes nothing, nor does it send anything.
    again = deploy("--image", f"ktrdr-backend={patch}")
    assert (again.code, again.core["outcome"]) == (0, "unchanged"), again.err
    # An ordinary deployment replaces it, and a rollback brings it back from what the host has kept.
    assert deploy("--tag", FIRST).core["to"] == FIRST
    build.run("rmi", "-f", patch)
    assert (
        core.sh("docker image prune -f >/dev/null; ls -a /opt/ktrdr-core/.deploy | grep incoming || true")
        == ""
    )
    assert not [
        each
        for each in command("invoke", "prune", "--dry-run", "--node", "core").out.split()
        if each == image
    ]
    back = command("invoke", "rollback", "--json", "--node", "core")
    assert (back.code, back.core["to"]) == (0, f"a patch of {FIRST}"), back.err
    assert core.sh(f"docker inspect -f '{{{{.Image}}}}' {BACKEND}").strip() == image


def test_what_makes_no_sense_is_said_before_anything_is_changed(
    deploy: Run, core: Host, lab: Lab, tmp_path: Path
) -> None:
    before = core.state()
    broken, other, arm = (tmp_path / f"{name}.tar" for name in ("broken", "other", "arm"))
    arm.write_bytes(tar(layout([b"layer" * 1000], ["arm64"])))
    whole = tar(saved([b"layer" * 1000]))
    broken.write_bytes(whole[:3000])
    other.write_bytes(whole.replace(b'"amd64"', b'"mips6"'))
    for given, code, said in (
        (f"ktrdr-backend={broken}", 2, "it ends after 3000 bytes"),
        (f"ktrdr-backend={other}", 2, "is damaged"),
        (f"ktrdr-backend={arm}", 3, "arm.tar is for linux/arm64, the host is linux/amd64"),
        ("ktrdr-backend=no/such:image", 2, "No such image"),
        ("ktrdr-backend", 2, "it is not NAME=REF"),
        ("ktrdr-backen=" + str(tmp_path / "whole.tar"), 2, "did you mean ktrdr-backend?"),
    ):
        (tmp_path / "whole.tar").write_bytes(whole)
        done = deploy("--image", given)
        assert done.code == code, done.err
        assert said.lower() in done.err.lower()
    assert core.state() == before


@pytest.fixture(params=["classic", "containerd"])
def store(request: pytest.FixtureRequest, lab: Lab) -> Iterator[str]:
    """C's engine has its images in one of its two stores."""
    file = "/etc/docker/daemon.json"

    def sh(script: str, *, check: bool = True) -> str:
        return hosts.execute(lab, "C", "sh", "-c", script, check=check)

    if request.param == "classic":
        yield "classic"
        return
    settings = json.loads(sh(f"cat {file}"))
    other = json.dumps({**settings, "features": {"containerd-snapshotter": True}})
    try:
        sh(f"cat >{file} <<'E'\n{other}\nE")
        restart_engine(sh)
        yield "containerd"
    finally:
        sh(f"cat >{file} <<'E'\n{json.dumps(settings)}\nE")
        restart_engine(sh)


class Way:
    """From an archive to a host, without the rest of a deployment."""

    def __init__(self, homes: Environment, node: str) -> None:
        found = homes.nodes[node]
        self.session: Session = session_to(homes, found)
        self.stack = HostStack(found, "a-patch")

    def look(self, offer: Offer) -> tuple[Stock, Shipment]:
        content = offer.archive.content_for("linux/amd64") or offer.archive.contents[0]
        stock, packed = ask_stock(self.session), tuple[Layer, ...]()
        best = nearest(content, stock)
        if stock.containerd and best and stock.images:
            packed = ask_packed(self.session, best, stock.images[best], content.platform)
        return stock, make_shipment(offer, content, stock, packed, "a-patch")

    def send(self, offer: Offer) -> None:
        _, shipment = self.look(offer)
        offer.archive.verify(shipment.lacking)
        ship(self.session, self.stack, shipment, offer.archive.blocks, lambda count: None)
        tidy(self.session, self.stack)


@pytest.mark.full
def test_both_stores_take_what_they_lack_and_have_whole_images_then(
    lab: Lab, homes: Environment, backend_image: str, store: str, tmp_path: Path
) -> None:
    hosts.execute(lab, "C", "docker", "load", stdin=_saved(backend_image, tmp_path))
    patch = patched(backend_image, tmp_path)
    way = Way(homes, "C")
    with opened([("x", patch)], lambda text: None) as (offer,):
        stock, shipment = way.look(offer)
        assert stock.containerd == (store == "containerd")
        assert [each.size > MEGABYTE for each in shipment.lacking] == [True]
        assert shipment.size < 1.1 * MEGABYTE
        way.send(offer)
        assert way.look(offer)[1].there
    made = str(shipment.image)
    found = hosts.execute(lab, "C", "docker", "run", "--rm", made, "sha256sum", "/extra").split()[0]
    assert found == subprocess.check_output(["sha256sum", tmp_path / "extra"], text=True).split()[0]
    # Nothing of it is borrowed: it can be saved whole, also when what it was sent on top of is gone.
    hosts.execute(lab, "C", "docker", "rmi", "-f", backend_image)
    (tmp_path / "again.tar").write_bytes(
        subprocess.check_output([build.docker(), "exec", lab.container("C"), "docker", "save", made])
    )
    archive = Archive((tmp_path / "again.tar").open("rb"))
    archive.verify(archive.contents[0].layers)
    hosts.execute(lab, "C", "docker", "rmi", "-f", made)


def _saved(image: str, folder: Path) -> bytes:
    build.run("save", "-o", str(folder / "base.tar"), image)
    return (folder / "base.tar").read_bytes()


def small() -> bytes:
    """A layer of one megabyte that nobody has."""
    return tar({"small": secrets.token_bytes(MEGABYTE)})


@pytest.mark.full
def test_one_layer_of_a_large_image_takes_hardly_longer_than_that_layer_alone(
    lab: Lab, homes: Environment, tmp_path: Path
) -> None:
    """500 MB to three hosts, of which one layer of 1 MB has changed."""
    layers = [tar({f"large/{n}": secrets.token_bytes(100 * MEGABYTE)}) for n in range(5)]
    base = tar(saved([*layers, small()], ["large:base"]))
    for node in NODES:
        hosts.execute(lab, node, "docker", "load", stdin=base)
    ways = [Way(homes, node) for node in NODES]
    for way in ways:
        way.session.open()

    def seconds(*content: bytes) -> float:
        path = tmp_path / f"{secrets.token_hex(4)}.tar"
        path.write_bytes(tar(saved([*content, small()], [])))
        began = time.monotonic()
        with opened([("x", str(path))], lambda text: None) as (offer,):
            side_by_side(ways, lambda way: way.send(offer), None)
        took = time.monotonic() - began
        path.unlink()
        return took

    # The least of some: what else goes on on this machine only ever adds.
    pairs = [(seconds(*layers), seconds()) for _ in range(5)]
    large, alone = (min(column) for column in zip(*pairs, strict=True))
    print(f"of a large image {large:.2f} s, alone {alone:.2f} s: {large / alone:.2f}")  # noqa: T201
    for node in NODES:
        hosts.execute(
            lab,
            node,
            "sh",
            "-c",
            "docker rmi -f large:base $(docker images -q ktrdr-deploy.local/keep | sort -u) 2>&1 || true",
        )
    assert large < 1.5 * alone


@pytest.mark.full
def test_what_was_cut_in_the_middle_goes_on(
    deploy: Run, core: Host, homes: Environment, backend_image: str, back_to_first: None, tmp_path: Path
) -> None:
    patch = patched(backend_image, tmp_path, 150 * MEGABYTE)
    incoming = "/opt/ktrdr-core/.deploy/incoming/blobs/sha256"
    size = f"cat {incoming}/*.part 2>/dev/null | wc -c"
    typed = ["invoke", "deploy-core", "--image", f"ktrdr-backend={patch}"]
    with subprocess.Popen(typed, cwd=ROOT, env=environment(), stderr=subprocess.DEVNULL) as running:
        until(lambda: int(core.sh(size)) > 5 * MEGABYTE, "nothing arrived", 120)
        running.send_signal(signal.SIGKILL)
    # The host has noticed it when the lock is free.
    until(
        lambda: core.sh("flock -n /opt/ktrdr-core/.deploy/lock echo free || true"), "the session does not end"
    )
    there = int(core.sh(size))
    assert 5 * MEGABYTE < there < 150 * MEGABYTE
    # What is sent the second time begins there: the file only ever grows.
    sizes, over = [there], threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            with contextlib.suppress(ValueError):
                sizes.append(int(core.sh(size)))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        done = deploy("--image", f"ktrdr-backend={patch}", "--wait-lock", "60")
    finally:
        over.set()
        watching.join()
    assert (done.code, done.core["to"]) == (0, f"a patch of {FIRST}"), done.err
    grown = [size for size in sizes if size]
    assert grown == sorted(grown)
    assert len(set(grown)) > 1
