import pytest

from deploy_lib.release.files import Entry, content_of, digest, entry, followed, mode_of, target_of
from deploy_lib.release.release import Release


@pytest.mark.parametrize(
    ("it", "mark", "content", "mode", "target"),
    [
        (Entry(b"x"), digest(b"x"), digest(b"x"), "644", ""),
        (Entry(b"x", 0o755), f"{digest(b'x')}:755", digest(b"x"), "755", ""),
        (Entry(target="../a:b"), "link:../a:b", "", "644", "../a:b"),
        (Entry(folder=True), "directory", "", "644", ""),
    ],
)
def test_a_mark_says_what_lies_there(it: Entry, mark: str, content: str, mode: str, target: str) -> None:
    assert it.mark == mark
    assert content_of(mark) == content
    assert target_of(mark) == target
    if content:
        assert mode_of(mark) == mode


def test_content_alone_is_a_file_that_everybody_may_read() -> None:
    assert entry(b"x") == Entry(b"x")
    assert "secret" not in repr(Entry(b"secret"))


def test_what_is_reached_through_a_link_changes_with_what_it_leads_to() -> None:
    files = {
        "real/a": "1",
        "alias": "link:real",
        "conf/link": "link:../alias/a",
        "round": "link:round",
        "conf/b": "2",
    }
    found = followed(files)
    assert found["alias/a"] == "1"
    assert followed({**files, "real/a": "3"})["conf/link"] != found["conf/link"]
    assert found["conf/b"] == "2"


def test_a_release_says_what_compose_is_given_and_an_earlier_one_does_not() -> None:
    release = Release(
        "r", "t", None, {}, {}, compose_files=("a", "b"), env_files=("e",), inputs=("a", "b", "e", "c")
    )
    assert Release.from_dict(release.as_dict()) == release
    earlier = Release("r", "t", None, {}, {})
    assert "compose_files" not in earlier.as_dict()
    assert release.same_content(earlier)
    assert not release.same_content(
        Release("r", "t", None, {}, {}, compose_files=("b", "a"), env_files=("e",))
    )
