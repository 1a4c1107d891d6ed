"""Which platforms of an image a host's engine runs."""

import pytest

from deploy_lib.release.platform import runs_on, taken


@pytest.mark.parametrize(
    ("host", "image", "runs"),
    [
        ("linux/amd64", ["linux/386"], True),
        ("linux/arm64", ["linux/arm"], True),
        ("linux/arm64", ["linux/arm/v7"], True),
        ("linux/x86_64", ["linux/amd64"], True),
        ("linux/386", ["linux/amd64"], False),
        ("linux/arm", ["linux/arm64"], False),
        ("linux/amd64", ["linux/arm64", "linux/arm"], False),
        ("linux/arm64", ["linux/amd64", "linux/386"], False),
        ("linux/amd64", ["windows/amd64"], False),
        ("linux/s390x", ["linux/s390x"], True),
        ("linux/amd64", [], False),
    ],
)
def test_an_engine_runs_the_older_word_size_of_its_own_processor_too(
    host: str, image: list[str], runs: bool
) -> None:
    assert runs_on(host, image) is runs


def test_its_own_platform_comes_first() -> None:
    assert taken("linux/amd64", ["linux/386", "linux/amd64"], str) == "linux/amd64"
