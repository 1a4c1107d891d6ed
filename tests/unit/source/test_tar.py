"""The index of a tar archive: the same as Python's own where that is sound, and a plain refusal of everything else."""

import io
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy_lib.source.tar import BLOCK, BrokenTarError, Span, index
from tests.unit.made import tar

NAMES = st.from_regex(r"[a-z0-9ü]{1,20}(/[a-z0-9]{1,60}){0,4}", fullmatch=True)
FILES = st.dictionaries(NAMES, st.binary(max_size=1200), max_size=6)


def read(archive: bytes) -> dict[str, bytes]:
    found = index(io.BytesIO(archive), len(archive))
    return {name: archive[span.start : span.start + span.size] for name, span in found.items()}


def folders_apart(files: dict[str, bytes]) -> bool:
    """Whether no file's path is also a folder of another one's: that is no tree of files."""
    return not any(other.startswith(f"{name}/") for name in files for other in files)


@given(
    FILES.filter(folders_apart),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_it_finds_what_was_put_in(files: dict[str, bytes], kind: int) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=kind) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1.5 if kind == tarfile.PAX_FORMAT else 1
            try:
                archive.addfile(info, io.BytesIO(content))
            except ValueError:
                return  # the oldest format has no room for this name
    assert read(stream.getvalue()) == files


@given(FILES.filter(folders_apart), st.data())
def test_whatever_is_cut_is_refused(files: dict[str, bytes], data: st.DataObject) -> None:
    whole = tar(files)
    ends = len(whole.rstrip(b"\0"))
    content = (ends + BLOCK - 1) // BLOCK * BLOCK
    cut = data.draw(st.integers(0, content))
    with pytest.raises(BrokenTarError):
        read(whole[:cut])


@given(FILES.filter(folders_apart), st.data())
def test_whatever_is_changed_is_read_or_refused(files: dict[str, bytes], data: st.DataObject) -> None:
    changed = bytearray(tar(files))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BrokenTarError):
        found = index(io.BytesIO(bytes(changed)), len(changed))
        assert all(span.start + span.size <= len(changed) for span in found.values())


@given(st.binary(max_size=3000))
def test_other_bytes_are_refused(content: bytes) -> None:
    with suppress(BrokenTarError):
        assert index(io.BytesIO(content), len(content)) == {}


def test_a_link_is_what_it_leads_to() -> None:
    found = read(tar({"a/layer.tar": b"one", "b/layer.tar": "../a/layer.tar", "c": "nowhere", "d": "d"}))
    assert found == {"a/layer.tar": b"one", "b/layer.tar": b"one"}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("folder/"))
        first, hard = tarfile.TarInfo("one"), tarfile.TarInfo("two")
        hard.type, hard.linkname = tarfile.LNKTYPE, "one"
        archive.addfile(first)
        archive.addfile(hard)
    assert set(read(stream.getvalue())) == {"one", "two"}


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../out"])
def test_what_leads_out_of_it_is_refused(name: str) -> None:
    with pytest.raises(BrokenTarError, match="leads out"):
        read(tar({name: b"x"}))
    with pytest.raises(BrokenTarError, match="leads out"):
        read(tar({"a": name if name.startswith(("/", "..")) else "../out"}))


def test_a_file_that_is_there_twice_is_refused() -> None:
    one = tar({"manifest.json": b"[]"})
    with pytest.raises(BrokenTarError, match="twice"):
        read(one[: 2 * BLOCK] + one)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE])
def test_what_no_image_has_is_refused(kind: bytes) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo("odd")
        info.type = kind
        archive.addfile(info)
    with pytest.raises(BrokenTarError, match="neither a file"):
        read(stream.getvalue())


def test_sizes_that_are_larger_than_the_file_are_refused() -> None:
    info = tarfile.TarInfo("big")
    for info.size in (10_000, 2**40):
        header = info.tobuf(tarfile.GNU_FORMAT)
        with pytest.raises(BrokenTarError, match="in the middle of 'big'"):
            read(header + b"\0" * 2 * BLOCK)
    fields = tarfile.TarInfo("x")
    fields.type, fields.size = tarfile.XHDTYPE, 1024 * 1024
    with pytest.raises(BrokenTarError, match="a header"):
        read(fields.tobuf() + b" " * 1024 * 1024 + b"\0" * BLOCK)


def test_an_empty_archive_has_nothing() -> None:
    assert index(io.BytesIO(b"\0" * 1024), 1024) == {}
    assert Span(0, 1) != Span(1, 1)
