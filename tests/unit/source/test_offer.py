"""What is given as `--image`: a file, packed or not, or an image of this machine's engine."""

import gzip
import importlib
import os
import shutil
import time
from pathlib import Path
from threading import Thread

import pytest

from deploy_lib.errors import UsageError
from deploy_lib.release.content import sha256
from deploy_lib.source import offer
from deploy_lib.source.offer import is_file, opened
from tests.unit.made import config, saved, tar

LAYERS = [b"base" * 5000, b"top"]


def zstd(content: bytes) -> bytes:
    try:
        module = importlib.import_module("compression.zstd")
    except ImportError:
        module = importlib.import_module("backports.zstd")
    packed: bytes = module.compress(content)
    return packed


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("web.tar", tar(saved(LAYERS))),
        ("web.tar.gz", gzip.compress(tar(saved(LAYERS)), mtime=0)),
        ("web.tgz", gzip.compress(tar(saved(LAYERS)), mtime=0)),
        ("web.tar.zst", zstd(tar(saved(LAYERS)))),
        ("no-suffix", zstd(tar(saved(LAYERS)))),
    ],
)
def test_a_file_is_read_however_it_is_packed(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    said: list[str] = []
    with opened([("web", str(path)), ("jobs", str(path))], said.append) as offers:
        assert [each.archive.contents[0].digest for each in offers] == [sha256(config(LAYERS))] * 2
        assert offers[0].archive is offers[1].archive
        offers[0].archive.verify(offers[0].archive.contents[0].layers)
        assert (offers[0].shown, offers[0].typed) == (name, f"--image web={path}")
    # It is unpacked once, whatever it is for.
    assert said == ([] if name == "web.tar" else [f"unpacking {name}"])


@pytest.mark.parametrize("packed", [False, True])
def test_a_pipe_is_read_like_a_file(packed: bool, tmp_path: Path) -> None:
    path, content = tmp_path / "pipe", tar(saved(LAYERS))
    os.mkfifo(path)
    writes = Thread(target=path.write_bytes, args=[gzip.compress(content) if packed else content])
    writes.start()
    with opened([("web", str(path))], lambda _: None) as (offered,):
        assert offered.archive.contents[0].digest == sha256(config(LAYERS))
    writes.join()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("web.tar", b"", "it is no tar archive"),
        ("web.tar", tar(saved(LAYERS))[:9000], "it ends after 9000 bytes"),
        ("web.tar.gz", gzip.compress(tar(saved(LAYERS)), mtime=0)[:-20], "it is cut short"),
        ("web.tar.gz", b"\x1f\x8b\x08\x00" + b"x" * 100, "cannot be unpacked"),
        ("web.tar.gz", gzip.compress(b"hello", mtime=0), "it is no tar archive"),
        ("web.tar.zst", zstd(tar(saved(LAYERS)))[:-5], "it is cut short"),
        ("web.tar.zst", b"\x28\xb5\x2f\xfd" + b"x" * 100, "cannot be unpacked"),
        ("web.tar.xz", b"\xfd7zXZ\x00" + b"x" * 600, "it is no tar archive"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(
    name: str, content: bytes, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=problem) as raised, opened([("web", str(path))], print) as offers:
        assert offers[0].archive
    assert str(raised.value).startswith(f"--image web={path}: ")
    assert len(str(raised.value).splitlines()) == 2


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="there is no file"),
        opened([("web", "~no-such-user/web.tar")], print),
    ):
        pass
    with pytest.raises(UsageError, match="there is no file"), opened([("web", "nowhere/web.tar")], print):
        pass
    with (
        pytest.raises(UsageError, match="cannot be read: Is a directory"),
        opened([("web", str(tmp_path))], print),
    ):
        pass


def test_a_disk_that_is_full_is_said_before_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "web.tar.gz"
    path.write_bytes(gzip.compress(tar(saved(LAYERS)), mtime=0))
    monkeypatch.setattr(offer, "_LEFT", 2**62)
    with pytest.raises(UsageError, match="no room to unpack"), opened([("web", str(path))], print) as offers:
        assert offers[0].archive


def program(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "bin" / "docker"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")


ID = f"sha256:{'7' * 64}"


def test_an_image_of_the_engine_is_saved_by_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "web.tar").write_bytes(tar(saved(LAYERS)))
    asked = f'echo "$*" >>{tmp_path}/asked; case $1 in image) echo {ID};; save) cat {tmp_path}/web.tar;; esac'
    program(tmp_path, asked, monkeypatch)
    with opened([("web", "web:patch")], print) as offers:
        assert offers[0].archive.contents[0].digest == sha256(config(LAYERS))
        assert offers[0].shown == "web:patch"
    lines = (tmp_path / "asked").read_text().splitlines()
    assert lines == ["image inspect --format {{.Id}} -- web:patch", f"save {ID}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("echo 'Error: No such image: web:patch' >&2; exit 1", "No such image: web:patch"),
        ("exit 1", "docker does not have it"),
        (
            f"case $1 in image) echo {ID};; *) echo no space >&2; exit 1;; esac",
            "docker save failed: no space",
        ),
        (f"case $1 in image) echo {ID};; *) echo half of it;; esac", "it is no tar archive"),
    ],
)
def test_what_the_engine_refuses_is_said(
    text: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, text, monkeypatch)
    with pytest.raises(UsageError, match=problem), opened([("web", "web:patch")], print) as offers:
        assert offers[0].archive


def test_a_machine_without_docker_needs_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with (
        pytest.raises(UsageError, match="no Docker on this machine") as raised,
        opened([("web", "web:1")], print),
    ):
        pass
    assert "docker save" in str(raised.value.hint)


def test_what_looks_like_a_file_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("patch").write_bytes(b"")
    given = ["./web", "/a/web", "~/web", "web.tar", "web.tar.gz", "web.tar.zst", "patch"]
    assert all(is_file(each) for each in given)
    assert not any(is_file(each) for each in ("web:patch", "registry.example/house/web:1", "7f3a2b"))


def test_nobody_waits_for_what_nobody_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = tmp_path / "started"
    program(
        tmp_path,
        f"case $1 in image) echo {ID};; save) echo $$ >{started}; exec sleep 600;; esac",
        monkeypatch,
    )
    began = time.monotonic()
    with opened([("web", "web:patch")], print):
        while not started.exists() or not started.read_text().strip():
            assert time.monotonic() < began + 60
            time.sleep(0.02)
    assert not Path(f"/proc/{started.read_text().strip()}").exists()
