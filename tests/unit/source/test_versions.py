"""What `--tag` may mean, and what is deployed without it."""

import subprocess
from pathlib import Path

import pytest

from deploy_lib.config import Environment
from deploy_lib.errors import UsageError
from deploy_lib.release.release import Release, Version
from deploy_lib.source import versions
from tests.unit import sample


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def house(tmp_path: Path) -> Environment:
    """The sample project in a checkout of two commits, the first of which is tagged v1."""
    sample.project(tmp_path)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    git(tmp_path, "tag", "v1")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "two")
    return sample.environment(tmp_path)


def of(house: Environment, ref: str) -> Version:
    sha = git(house.root, "rev-parse", ref)
    return Version(f"sha-{sha[:7]}", sha)


def test_a_ref_a_sha_and_a_commits_tag_mean_the_same_version(house: Environment) -> None:
    full = git(house.root, "rev-parse", "v1")
    for text in ("HEAD~1", "main~1", full, f"sha-{full[:7]}"):
        assert versions.meant(house, text) == [of(house, "v1")]


def test_a_tag_of_no_commit_here_is_still_a_tag(house: Environment) -> None:
    for text in ("sha-fffffff", "latest", "1.4.2", "v2", "2.0-rc1", "2026.01"):
        assert versions.meant(house, text) == [Version(text)]


def test_what_is_an_image_tag_and_a_ref_is_both_and_that_is_said(house: Environment) -> None:
    both = versions.meant(house, "v1")
    assert both == [Version("v1"), of(house, "v1")]
    for taken in both:
        assert versions.ambiguous("v1", both, taken) == (
            f"v1 is an image tag, and a git ref for {both[1].tag}: {taken.tag} is taken"
        )
    assert versions.ambiguous("main", versions.meant(house, "main"), of(house, "main")) == ""
    assert versions.ambiguous(None, both, both[0]) == ""


@pytest.mark.parametrize("bad", ["sha-xyz", "sha-12345678", "nope", "--output=x", "a b", "HEAD^{/x}"])
def test_anything_else_is_refused(house: Environment, bad: str) -> None:
    with pytest.raises(UsageError, match=r"give an image tag \(sha-abc1234, 1.4.2, latest\)"):
        versions.meant(house, bad)


@pytest.mark.parametrize(("nearly", "right"), [("lates", "latest"), ("HAED", "HEAD"), ("mian", "main")])
def test_a_word_that_is_nearly_right_is_answered_with_a_question(
    house: Environment, nearly: str, right: str
) -> None:
    with pytest.raises(UsageError, match=f"did you mean {right}?"):
        versions.meant(house, nearly)


def test_a_shallow_clone_says_that_it_may_lack_the_commit(house: Environment, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{house.root}", str(shallow))
    with pytest.raises(UsageError, match="git fetch --unshallow"):
        versions.meant(sample.environment(shallow), "gone")


def test_the_default_is_the_head_a_branchs_newest_or_a_tag(house: Environment, tmp_path: Path) -> None:
    assert versions.versions(house, None) == [of(house, "HEAD")]
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", f"file://{house.root}", str(clone))
    text = sample.DEPLOY.replace('default_tag = "HEAD"', 'default_tag = "origin/main"')
    follows = sample.environment(clone, deploy=text)
    assert versions.versions(follows, None) == [of(house, "HEAD"), of(house, "HEAD~1")]
    fixed = sample.environment(clone, deploy=text.replace("origin/main", "stable"))
    assert versions.versions(fixed, None) == versions.versions(fixed, "stable") == [Version("stable")]


def test_the_projects_own_pattern_names_commits(house: Environment) -> None:
    more = "\n[versions]\ncommit_tag = 'build-{sha:10}'\n"
    environment = sample.environment(house.root, more=more)
    assert versions.of_commit(environment, "a" * 40).tag == "build-aaaaaaaaaa"
    with pytest.raises(UsageError, match=r"build-abc1234def, 1.4.2"):
        versions.meant(environment, "nope")


def test_without_images_of_its_own_a_release_is_called_after_the_checkout(
    house: Environment, tmp_path: Path
) -> None:
    plain = house.model_copy(update={"image_registry": "", "default_tag": "origin/main"})
    assert versions.versions(plain, None) == [of(house, "HEAD")]
    assert versions.versions(plain.model_copy(update={"default_tag": "1.0"}), None) == [Version("1.0")]
    nowhere = plain.model_copy(update={"root": Path("/")})
    assert versions.versions(nowhere, None) == [Version(versions.UNVERSIONED)]


def test_nor_can_one_of_its_versions_be_deployed(house: Environment) -> None:
    versions.require_own_images(house, "1.0")
    plain = house.model_copy(update={"image_registry": ""})
    versions.require_own_images(plain, None)
    with pytest.raises(UsageError, match=r"--tag 1\.0 names a version .* has no image_registry"):
        versions.require_own_images(plain, "1.0")


@pytest.mark.parametrize("branch", ["main", "master", "release/2"])
def test_the_branch_is_whatever_deploy_toml_says(house: Environment, branch: str) -> None:
    git(house.root, "update-ref", f"refs/remotes/origin/{branch}", "HEAD~1")
    follows = house.model_copy(update={"default_tag": f"origin/{branch}"})
    assert versions.versions(follows, None) == [of(house, "HEAD~1")]


def test_no_hint_names_a_tag_that_would_be_refused(house: Environment) -> None:
    node = next(iter(house.nodes.values()))
    release = Release("r1", "1.4", None, {}, {}, patches={"web": "web:patch x"})
    assert (
        versions.deploy_anew(house, node, release)
        == f"deploy it anew: {node.deploy_task} --tag 1.4 --image web=..."
    )
    bare = house.model_copy(update={"image_registry": ""})
    for environment, tag in ((bare, "1.4"), (house, versions.UNKNOWN)):
        plain = Release("r1", tag, None, {}, {})
        assert versions.typed(environment, plain) == ""
        assert "--tag" not in versions.deploy_anew(environment, node, plain)
