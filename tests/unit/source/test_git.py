import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy_lib.errors import UsageError
from deploy_lib.source import git, git_files
from deploy_lib.source.git_files import Listed

MAIN = "origin/main"


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


def test_a_ref_is_resolved_and_what_is_none_is_none(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    full = sha(repository, "v1")
    for ask in (git.resolve, git.known):
        assert [ask(repository, ref) for ref in ("v1", "HEAD~1", full, full[:9])] == [full] * 4
        assert [ask(repository, ref) for ref in ("nope", "", "f" * 40)] == [None] * 3
    assert git.refs(repository) == ["main", "v1"]
    outside = tmp_path_factory.mktemp("none")
    assert (git.known(outside, "HEAD"), git.refs(outside), git.is_shallow(outside)) == (
        None,
        [],
        False,
    )
    with pytest.raises(UsageError, match="not in a git checkout"):
        git.resolve(outside, "HEAD")


def test_head_and_changes(repository: Path) -> None:
    assert git.head(repository).sha == sha(repository, "HEAD")
    assert not git.is_dirty(repository)
    (repository / "new").write_text("x")
    assert git.is_dirty(repository)


def test_a_subject_can_be_printed_whatever_its_bytes_are(repository: Path) -> None:
    # By hand, for `git commit` itself would mend them.
    raw = subprocess.run(
        ["git", "cat-file", "commit", "HEAD"], cwd=repository, check=True, capture_output=True
    )
    changed = raw.stdout.replace(b"two", b"latin \xe9 and two\nlines")
    hashing = ["git", "hash-object", "-t", "commit", "-w", "--stdin"]
    made = subprocess.run(hashing, cwd=repository, check=True, capture_output=True, input=changed)
    git_in(repository, "update-ref", "HEAD", made.stdout.decode().strip())
    assert git.head(repository).subject == "latin \ufffd and two lines"
    assert git.head(repository).age_seconds >= 0


def test_what_the_user_has_configured_changes_no_answer(clone: Path) -> None:
    for name, value in (
        ("log.showSignature", "true"),
        ("status.showUntrackedFiles", "no"),
        ("status.showStash", "true"),
        ("color.ui", "always"),
    ):
        git_in(clone, "config", name, value)
    assert not git.look(clone, MAIN).dirty
    (clone / "new").write_text("x")
    assert git.look(clone, MAIN).dirty
    assert git.is_dirty(clone)
    assert [c.subject for c in git.candidates(clone, MAIN)] == ["two", "one"]
    assert git.behind(clone, sha(clone, "HEAD~1"), MAIN) == 1


def test_without_origin_main_it_says_what_to_do(repository: Path) -> None:
    with pytest.raises(UsageError, match="git fetch origin main"):
        git.candidates(repository, MAIN)
    with pytest.raises(UsageError, match="git fetch upstream release/2"):
        git.candidates(repository, "upstream/release/2")


def test_outside_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not in a git checkout"):
        git.head(tmp_path)


@pytest.fixture
def clone(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose origin/main is both commits; another one is made on top of it."""
    path = tmp_path_factory.mktemp("clone")
    git_in(path, "clone", "-q", f"file://{repository}", ".")
    return path


def git_in(path: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=path, check=True, capture_output=True)


def test_a_fresh_clone_is_clean_pushed_and_on_main(clone: Path) -> None:
    found = git.look(clone, MAIN)
    assert (found.branch, found.dirty, found.shallow, found.pushed, found.on_branch) == (
        "main",
        False,
        False,
        True,
        True,
    )
    assert found.tip is not None
    assert found.tip.sha == found.head.sha == sha(clone, "HEAD")
    git_in(clone, "fetch", "-q")
    seconds = git.look(clone, MAIN).fetched_seconds
    assert seconds is not None
    assert seconds < 60


def test_what_was_not_pushed_or_is_elsewhere_is_known(clone: Path) -> None:
    (clone / "a").write_text("3")
    assert git.look(clone, MAIN).dirty
    git_in(clone, "switch", "-q", "-c", "topic")
    git_in(clone, "commit", "-q", "-am", "three")
    found = git.look(clone, MAIN)
    assert (found.branch, found.pushed, found.on_branch) == ("topic", False, False)
    git_in(clone, "push", "-q", "origin", "topic")
    assert (git.look(clone, MAIN).pushed, git.look(clone, MAIN).on_branch) == (True, False)
    git_in(clone, "switch", "-q", "--detach", "HEAD~1")
    assert (git.look(clone, MAIN).branch, git.look(clone, MAIN).on_branch) == ("", True)


def test_how_far_a_release_is_behind(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert git.behind(clone, sha(clone, "HEAD"), MAIN) == 0
    assert git.behind(clone, sha(clone, "HEAD~1"), MAIN) == 1
    assert git.behind(clone, "f" * 40, MAIN) is None
    assert git.behind(clone, None, MAIN) is None
    assert git.behind(tmp_path_factory.mktemp("none"), sha(clone, "HEAD"), MAIN) is None


def test_a_worktree_is_a_checkout_like_any_other(clone: Path, tmp_path: Path) -> None:
    worktree = tmp_path / "beside"
    git_in(clone, "worktree", "add", "-q", "-b", "other", str(worktree), "origin/main")
    found = git.look(worktree, MAIN)
    assert (found.branch, found.dirty, found.pushed, found.on_branch) == ("other", False, True, True)
    assert found.head.sha == sha(worktree, "HEAD")
    assert git.known(worktree, "v1") == sha(clone, "v1")
    (worktree / "a").write_text("changed")
    assert git.look(worktree, MAIN).dirty
    assert not git.look(clone, MAIN).dirty


def test_a_shallow_clone_is_said_to_be_one(repository: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    git_in(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", str(shallow))
    assert git.look(shallow, MAIN).shallow
    assert git.behind(shallow, sha(shallow, "HEAD"), MAIN) is None
    assert git.is_shallow(shallow)
    assert git.candidates(shallow, MAIN)[0].sha == sha(repository, "HEAD")


def test_a_worktree_s_own_fetch_counts(clone: Path, tmp_path: Path) -> None:
    worktree = tmp_path / "beside"
    git_in(clone, "worktree", "add", "-q", "-b", "other", str(worktree), "origin/main")
    git_in(clone, "fetch", "-q")
    os.utime(clone / ".git/FETCH_HEAD", (1, 1))
    assert git.look(worktree, MAIN).fetched_seconds is None
    git_in(worktree, "fetch", "-q")
    seconds = git.look(worktree, MAIN).fetched_seconds
    assert seconds is not None
    assert seconds < 60


def test_a_hook_s_own_repository_is_not_taken_for_the_checkout(
    repository: Path, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git_in(repository, "commit", "-q", "--allow-empty", "-m", "elsewhere")
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository))
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository / ".git/index"))
    assert git.head(clone).subject == "two"
    assert git_files.listed(clone, ".") == {"a": Listed(executable=False)}
    assert not git_files.ignores(clone, "a")


def test_a_ref_is_no_option(clone: Path) -> None:
    assert git.resolve(clone, "--all") is None


# --- git that does not answer ---------------------------------------------------------------------------------

EVERY_QUESTION = [
    lambda root: git.look(root, MAIN),
    git.head,
    lambda root: git.candidates(root, MAIN),
    git.is_dirty,
    lambda root: git.resolve(root, "main"),
    lambda root: git_files.listed(root, "."),
    lambda root: git_files.ignores(root, "a"),
]


@pytest.mark.parametrize("ask", EVERY_QUESTION)
def test_without_git_it_says_so(
    clone: Path, ask: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UsageError, match="git is not installed, or not in PATH"):
        ask(clone)


@pytest.mark.parametrize("ask", EVERY_QUESTION)
def test_a_checkout_of_another_owner_is_told_as_that(
    clone: Path, ask: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Git's own way to test it: as if the checkout were another user's.
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    with pytest.raises(UsageError, match="dubious ownership") as caught:
        ask(clone)
    assert f"git config --global --add safe.directory {clone}" in str(caught.value)


def test_the_checkout_to_be_trusted_is_the_whole_of_it(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    (clone / "deploy").mkdir()
    with pytest.raises(UsageError) as caught:
        git.head(clone / "deploy")
    assert f"safe.directory {clone};" in str(caught.value)


@pytest.mark.parametrize("meaning", ["LITERAL", "ICASE", "GLOB", "NOGLOB"])
def test_how_the_caller_s_git_takes_paths_is_its_own(
    clone: Path, meaning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"GIT_{meaning}_PATHSPECS", "1")
    assert [*git_files.listed(clone, "a")] == ["a"]


@pytest.mark.parametrize("ask", EVERY_QUESTION)
@pytest.mark.parametrize("part", ["HEAD", "config", "refs", "objects"])
def test_a_broken_checkout_is_an_error_that_can_be_read(
    clone: Path, ask: Callable[[Path], object], part: str
) -> None:
    path = clone / ".git" / part
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.write_bytes(b"\xff\0[")
    with pytest.raises(UsageError, match="git"):
        ask(clone)


def test_a_tag_needs_no_git(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert git.known(clone, "f" * 7) is None
    assert git.behind(clone, "f" * 40, MAIN) is None
