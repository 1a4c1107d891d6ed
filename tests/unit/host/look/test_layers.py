"""Which layers a host has: what its Docker says, and what containerd keeps."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from deploy_lib.errors import NotUnderstoodError, RemoteError
from deploy_lib.host.look.layers import STOCK, Stock, ask_packed, ask_stock, packed_script, read_stock
from deploy_lib.release.content import INDEX, MANIFEST, Content, Layer, blob, sha256
from deploy_lib.ssh.session import Session
from tests.unit.made import config

PLAIN = [b"base", b"top"]
DIFFS = tuple(sha256(each) for each in PLAIN)
LAYERS = tuple(
    Layer(diff, sha256(b"packed" + each), 6 + len(each), "a/type")
    for diff, each in zip(DIFFS, PLAIN, strict=True)
)
CONTENT = Content(config(PLAIN), "linux/amd64", LAYERS)
CLASSIC = '[["Backing Filesystem","extfs"],["Supports d_type","true"]]'
CONTAINERD = '[["driver-type","io.containerd.snapshotter.v1"]]'


def test_each_store_is_told_by_its_driver() -> None:
    assert read_stock(f"{CLASSIC}\nsha256:a sha256:1 sha256:2\nsha256:b\n") == Stock(
        False, {"sha256:a": ("sha256:1", "sha256:2"), "sha256:b": ()}
    )
    assert read_stock(f"{CONTAINERD}\n") == Stock(True, {})
    assert read_stock("null\n") == Stock(False, {})


def session(*answers: str | Exception) -> Session:
    left = list(answers)

    def run(*_: object, **__: object) -> object:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(stdout=answer)

    return cast(Session, SimpleNamespace(run=run, node="front"))


def test_an_answer_that_makes_no_sense_is_not_taken_for_no_layers() -> None:
    for said in ("", "permission denied\n"):
        with pytest.raises(NotUnderstoodError):
            ask_stock(session(said))
    assert ask_stock(session(f"{CLASSIC}\n")) == Stock(False, {})


def test_a_manifest_says_how_layers_are_packed() -> None:
    manifest = CONTENT.manifest.decode()
    found = ask_packed(session(manifest), sha256(CONTENT.manifest), DIFFS, "linux/amd64")
    assert found == LAYERS


def test_of_several_platforms_the_hosts_own_counts() -> None:
    other = Content(config(PLAIN, "arm64"), "linux/arm64", LAYERS[:1])
    listed = [
        {
            "mediaType": MANIFEST,
            "digest": sha256(each.manifest),
            "size": 1,
            "platform": {"os": "linux", "architecture": name},
        }
        for name, each in (("arm64", other), ("amd64", CONTENT))
    ]
    index = json.dumps({"mediaType": INDEX, "manifests": listed})
    answers = (index, CONTENT.manifest.decode())
    assert ask_packed(session(*answers), sha256(index.encode()), DIFFS, "linux/amd64") == LAYERS
    assert ask_packed(session(index), sha256(index.encode()), DIFFS, "linux/s390x") == ()


@pytest.mark.parametrize("answer", ["", "{}", "no", RemoteError("no space"), CONTENT.manifest.decode() + " "])
def test_what_is_not_known_is_sent(answer: str | Exception) -> None:
    assert ask_packed(session(answer), sha256(CONTENT.manifest), DIFFS, "linux/amd64") == ()


def test_a_manifest_of_another_number_of_layers_is_not_that_images() -> None:
    assert (
        ask_packed(session(CONTENT.manifest.decode()), sha256(CONTENT.manifest), DIFFS[:1], "linux/amd64")
        == ()
    )


def run(script: str, folder: Path, docker: str) -> str:
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{docker}\n")
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, env={"PATH": f"{folder}:/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_script_lists_each_image_once(tmp_path: Path) -> None:
    docker = f"""case "$*" in
  info*) echo '{CLASSIC}';;
  images*) printf '%s\\n' sha256:b sha256:a sha256:a;;
  *) shift 4; echo "$@" | tr ' ' '\\n'; exit 1;;
esac"""
    assert run(STOCK, tmp_path, docker).splitlines() == [CLASSIC, "sha256:a", "sha256:b"]


def test_containerds_own_file_is_read_where_that_is_allowed(tmp_path: Path) -> None:
    digest, root = sha256(b"manifest"), tmp_path / "root"
    saved = tmp_path / "saved" / blob(digest)
    saved.parent.mkdir(parents=True)
    saved.write_text("as docker saves it")
    docker = f"case $1 in info) echo {root};; save) tar -cf - -C {tmp_path}/saved blobs;; esac"
    assert run(packed_script("sha256:image", digest), tmp_path, docker) == "as docker saves it"
    kept = root / "containerd/daemon/io.containerd.content.v1.content" / blob(digest)
    kept.parent.mkdir(parents=True)
    kept.write_text("as containerd has it")
    assert run(packed_script("sha256:image", digest), tmp_path, docker) == "as containerd has it"
