"""Archives of images: whichever program wrote them, and whatever is wrong with them."""

import gzip
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy_lib.release.content import LAYER, sha256
from deploy_lib.source.archive import Archive, BrokenArchiveError
from tests.unit.made import INDEX, config, digits, layout, saved, tar

LAYERS = [b"base" * 300, b"middle" * 10, b"top"]
Open = Callable[[Mapping[str, bytes | str] | bytes], Archive]


@pytest.fixture
def open_archive(tmp_path: Path) -> Open:
    def opened(files: Mapping[str, bytes | str] | bytes) -> Archive:
        path = tmp_path / "image.tar"
        path.write_bytes(files if isinstance(files, bytes) else tar(files))
        return Archive(path.open("rb"))

    return opened


@pytest.mark.parametrize(
    "files",
    [
        saved(LAYERS),
        layout(LAYERS, packed=False),
        layout(LAYERS),
        layout(LAYERS, nested=True),
        {**layout(LAYERS), **saved(LAYERS)},
    ],
    ids=["docker", "plain", "packed", "nested", "both"],
)
def test_it_is_the_same_image_whoever_wrote_it(files: Mapping[str, bytes | str], open_archive: Open) -> None:
    archive = open_archive(files)
    (content,) = archive.contents
    assert (content.platform, content.digest) == ("linux/amd64", sha256(config(LAYERS)))
    assert [each.diff for each in content.layers] == [sha256(layer) for layer in LAYERS]
    archive.verify(content.layers)
    for layer, plain in zip(content.layers, LAYERS, strict=True):
        read = b"".join(archive.blocks(layer))
        assert len(read) == layer.size
        assert (read if layer.media == LAYER else gzip.decompress(read)) == plain
        assert b"".join(archive.blocks(layer, 2)) == read[2:]


def test_a_layer_may_be_packed_in_dockers_format(open_archive: Open) -> None:
    files = saved(LAYERS)
    packed = gzip.compress(LAYERS[0])
    files[f"{0:064d}/layer.tar"] = packed
    (content,) = open_archive(files).contents
    assert (content.layers[0].digest, content.layers[0].diff) == (sha256(packed), sha256(LAYERS[0]))
    assert content.layers[0].media.endswith("+gzip")


def test_a_layer_may_be_there_twice(open_archive: Open) -> None:
    archive = open_archive(saved([LAYERS[0], LAYERS[1], LAYERS[0]]))
    (content,) = archive.contents
    assert content.layers[0] == content.layers[2]
    archive.verify(content.layers)


def test_each_platform_is_found(open_archive: Open) -> None:
    archive = open_archive(layout(LAYERS, ["amd64", "arm64"], nested=True))
    assert [each.platform for each in archive.contents] == ["linux/amd64", "linux/arm64"]
    found = archive.content_for("linux/arm64")
    assert found is not None
    assert found.digest == sha256(config(LAYERS, "arm64"))
    assert archive.content_for("linux/s390x") is None
    assert open_archive(layout(LAYERS, ["386"])).content_for("linux/amd64") is not None


def test_the_oldest_variant_of_a_processor_runs_on_all(open_archive: Open) -> None:
    archive = open_archive(layout(LAYERS, ["amd64", "arm/v7", "arm/v6"]))
    assert [archive.content_for(f"linux/{name}") for name in ("amd64", "arm")] == [
        next(c for c in archive.contents if c.digest == sha256(config(LAYERS, name)))
        for name in ("amd64", "arm/v6")
    ]


def test_platforms_that_were_left_out_are_passed_over(open_archive: Open) -> None:
    files = layout(LAYERS, ["amd64", "arm64"], nested=True)
    inner = json.loads(files["index.json"])["manifests"][0]
    arm = json.loads(files[f"blobs/sha256/{inner['digest'][7:]}"])["manifests"][1]
    del files[f"blobs/sha256/{arm['digest'][7:]}"]
    assert [each.platform for each in open_archive(files).contents] == ["linux/amd64"]


def with_index(files: dict[str, bytes | str], **more: object) -> dict[str, bytes | str]:
    return {**files, "index.json": json.dumps({**json.loads(files["index.json"]), **more}).encode()}


def two_saved() -> dict[str, bytes | str]:
    one, other = saved(LAYERS, ["web:1"]), saved(LAYERS[:1], ["web:2"])
    listed = [*json.loads(one["manifest.json"]), *json.loads(other["manifest.json"])]
    return {**one, **other, "manifest.json": json.dumps(listed).encode()}


def without(files: dict[str, bytes | str], ends: str) -> dict[str, bytes | str]:
    return {name: each for name, each in files.items() if not name.endswith(ends)}


def damaged(files: dict[str, bytes | str], content: bytes) -> dict[str, bytes | str]:
    name = next(name for name, each in files.items() if each == content)
    return {**files, name: content.replace(b"amd64", b"amd46")}


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (b"", "it is no tar archive"),
        (b"#!/bin/sh\n" * 100, "it is no tar archive"),
        (tar(saved(LAYERS))[:1500], "it ends after 1500 bytes, in the middle of"),
        ({"hello.txt": b"hello"}, "it has no manifest.json and no index.json"),
        (two_saved(), r"it has 2 images \(web:1, web:2\)"),
        ({"manifest.json": b"[]"}, "it has no image"),
        ({"manifest.json": b"{}"}, "manifest.json makes no sense"),
        ({"manifest.json": b"[" * 100_000}, "manifest.json makes no sense"),
        ({"manifest.json": b" " * 5_000_000}, "which is too much"),
        (without(saved(LAYERS), "1/layer.tar"), "it lacks .*1/layer.tar"),
        (without(saved(LAYERS), f"{digits(config(LAYERS))}.json"), "it lacks"),
        (damaged(saved(LAYERS), config(LAYERS)), "is damaged"),
        (damaged(layout(LAYERS), config(LAYERS)), "is damaged"),
        (with_index(layout(LAYERS), manifests=[]), "it has no image"),
        (with_index(layout(LAYERS), manifests=[{"digest": "sha256:../../x", "size": 1}]), "makes no sense"),
        (without(layout(LAYERS), digits(gzip.compress(LAYERS[2], mtime=0))), "it lacks"),
    ],
)
def test_what_is_not_one_whole_image_is_refused(
    files: Mapping[str, bytes | str] | bytes, problem: str, open_archive: Open
) -> None:
    with pytest.raises(BrokenArchiveError, match=problem):
        open_archive(files)


def test_an_index_that_leads_to_itself_has_an_end(open_archive: Open) -> None:
    files: dict[str, bytes | str] = {"oci-layout": b"{}"}
    leads = b'{"manifests": []}'
    for _ in range(5):
        files[f"blobs/sha256/{digits(leads)}"] = leads
        each = {"mediaType": INDEX, "digest": f"sha256:{digits(leads)}", "size": len(leads)}
        leads = json.dumps({"manifests": [each]}).encode()
    with pytest.raises(BrokenArchiveError, match="without end"):
        open_archive({**files, "index.json": leads})


def test_a_damaged_layer_is_found_before_it_is_sent(open_archive: Open) -> None:
    archive = open_archive({**saved(LAYERS), f"{2:064d}/layer.tar": b"tip"})
    (content,) = archive.contents
    archive.verify(content.layers[:2])
    with pytest.raises(BrokenArchiveError, match="is damaged"):
        archive.verify(content.layers)


def test_a_file_that_becomes_shorter_is_noticed(open_archive: Open, tmp_path: Path) -> None:
    archive = open_archive(saved(LAYERS))
    (tmp_path / "image.tar").write_bytes(b"")
    with pytest.raises(BrokenArchiveError, match="shorter"):
        list(archive.blocks(archive.contents[0].layers[0]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), packed=st.booleans())
def test_whatever_is_changed_is_another_image_or_refused(
    data: st.DataObject, packed: bool, open_archive: Open
) -> None:
    changed = bytearray(tar(layout(LAYERS, nested=packed) if packed else saved(LAYERS)))
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BrokenArchiveError):
        archive = open_archive(bytes(changed))
        for content in archive.contents:
            archive.verify(content.layers)
            for layer in content.layers:
                assert sha256(b"".join(archive.blocks(layer))) == layer.digest
