"""What a commit's image is called, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deploy_lib.config.versions import Versions

SHAS = st.text("0123456789abcdef", min_size=40, max_size=40)


@given(SHAS, st.sampled_from(["sha-{sha:7}", "{sha:40}", "v.{sha:12}-amd64", "a.b-{sha:8}"]))
def test_the_digits_come_back_out_of_the_tag(sha: str, pattern: str) -> None:
    versions = Versions(commit_tag=pattern)
    digits = versions.digits_of(versions.tag_of(sha))
    assert digits
    assert sha.startswith(digits)


@pytest.mark.parametrize(
    "tag", ["1.4.2", "sha-abc123", "sha-abc12345", "sha-ABC1234", "xsha-abc1234", "sha-abc1234\n"]
)
def test_another_tag_is_no_commits(tag: str) -> None:
    assert Versions().digits_of(tag) is None


def test_what_stands_around_the_digits_is_taken_literally() -> None:
    assert Versions(commit_tag="v.{sha:7}").digits_of("vxabc1234") is None


@pytest.mark.parametrize(
    "pattern", ["latest", "{sha:6}", "{sha:41}", "{sha}", "-{sha:7}", "a b{sha:7}", "{sha:7}{sha:7}"]
)
def test_a_pattern_that_cannot_name_a_commit_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="needs"):
        Versions(commit_tag=pattern)
