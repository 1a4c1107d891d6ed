import subprocess
from pathlib import Path

import pytest

from deploy_lib import git
from deploy_lib.errors import UsageError
from deploy_lib.release import Version


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    def run(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    run("init", "-q", "-b", "main")
    (tmp_path / "a").write_text("1")
    run("add", "a")
    run("commit", "-q", "-m", "one")
    run("tag", "v1")
    (tmp_path / "a").write_text("2")
    run("commit", "-q", "-am", "two")
    return tmp_path


def sha(repository: Path, ref: str) -> str:
    return subprocess.run(
        ["git", "rev-parse", ref], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_ref_a_sha_and_a_tag_mean_the_same_version(repository: Path) -> None:
    full = sha(repository, "v1")
    expected = Version(f"sha-{full[:7]}", full)
    assert [git.version_of(repository, t) for t in ("v1", "HEAD~1", full, f"sha-{full[:7]}", full[:9])] == [
        expected
    ] * 5


def test_a_tag_of_no_commit_here_is_still_a_tag(repository: Path) -> None:
    assert git.version_of(repository, "sha-fffffff") == Version("sha-fffffff", None)
    assert git.version_of(repository, "latest") == Version("latest", None)


@pytest.mark.parametrize("bad", ["sha-xyz", "sha-12345678", "nope", "--output=x", "a b", "HEAD^{/x}"])
def test_anything_else_is_refused(repository: Path, bad: str) -> None:
    with pytest.raises(UsageError, match="give sha- and 7"):
        git.version_of(repository, bad)


def test_head_and_changes(repository: Path) -> None:
    assert git.head(repository).sha == sha(repository, "HEAD")
    assert not git.is_dirty(repository)
    (repository / "new").write_text("x")
    assert git.is_dirty(repository)


def test_without_origin_main_it_says_what_to_do(repository: Path) -> None:
    with pytest.raises(UsageError, match="git fetch origin main"):
        git.candidates(repository)


def test_outside_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not in a git checkout"):
        git.head(tmp_path)
