import base64
import subprocess
from pathlib import Path, PurePosixPath

from deploy_lib.host.files import borrow, fetch_script, pack, unpack


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


def test_what_compose_reads_on_the_host_is_what_lies_there(tmp_path: Path) -> None:
    home, new = tmp_path / "srv/shop", tmp_path / "new/srv/shop"
    for path in ("a.env", "../b.env", "sub/.env", "there"):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text("old")
    new.mkdir(parents=True)
    (new / "there").write_text("new")
    paths = ("a.env", "../b.env", "sub/.env", "gone", "there")
    subprocess.run(["sh", "-ec", f"f={new}\n{borrow(PurePosixPath(home), paths)}"], check=True)
    found = {path: (new / path).read_text() for path in paths if (new / path).exists()}
    assert found == {"a.env": "old", "../b.env": "old", "sub/.env": "old", "there": "new"}
    subprocess.run(["sh", "-ec", borrow(PurePosixPath(home), ())], check=True)
