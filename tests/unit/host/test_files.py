import base64
import subprocess
from pathlib import Path, PurePosixPath

from deploy_lib.host.files import fetch_script, pack, unpack


def test_what_was_packed_is_unpacked() -> None:
    files = {"a": b"\x00\xff", "deep/er/b c": b"", "ü": b"x\n"}
    assert unpack(pack(files)) == files
    assert unpack(b"") == {}


def test_what_is_fetched_has_any_name(tmp_path: Path) -> None:
    (tmp_path / "-d").mkdir()
    names = ["-x", "--help", "-d/a b", "ü"]
    for name in names:
        (tmp_path / name).write_text(name)
    script = fetch_script(PurePosixPath(tmp_path), [*names, "-d", "gone"])
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert unpack(base64.b64decode(done.stdout)) == {name: name.encode() for name in names}
