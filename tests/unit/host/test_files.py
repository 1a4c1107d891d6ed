from deploy_lib.host.files import pack, unpack


def test_what_was_packed_is_unpacked() -> None:
    files = {"a": b"\x00\xff", "deep/er/b c": b"", "ü": b"x\n"}
    assert unpack(pack(files)) == files
    assert unpack(b"") == {}
