import secrets
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from deploy_lib.config import Environment, load
from deploy_lib.errors import UsageError
from deploy_lib.output.console import Console
from deploy_lib.release.release import Version
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.secrets.value import Secret
from deploy_lib.source import git
from lab import docker as build
from lab import pipeline
from lab.tags import RefusedError
from tests import ROOT

COMMITS = ["c" * 40, "b" * 40, "a" * 40]
"""Of main, newest first."""

BACKEND, NFS, GATEWAY = "ktrdr/ktrdr-backend", "ktrdr/ktrdr-nfs-server", "ktrdr/ktrdr-gateway"


class Registry:
    """One that keeps its tags in a dictionary."""

    def __init__(self) -> None:
        self.tags: dict[tuple[str, str], str] = {}
        self.moved: list[tuple[str, str, str]] = []

    def push(self, commit: str, *repositories: str) -> None:
        for name in repositories or (BACKEND, NFS, GATEWAY):
            self.tags[name, f"sha-{commit[:7]}"] = f"digest of {commit} {name}"

    def digest(self, repository: str, tag: str) -> str | None:
        return self.tags.get((repository, tag))

    def tag(self, repository: str, tag: str, new: str) -> str:
        self.moved.append((repository, tag, new))
        self.tags[repository, new] = self.tags[repository, tag]
        return self.tags[repository, new]

    @property
    def latest(self) -> list[str | None]:
        return [self.digest(name, "latest") for name in (BACKEND, NFS, GATEWAY)]


@pytest.fixture
def homelab() -> Environment:
    return load(ROOT, "homelab")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry()
    door = pipeline.Door("ghcr.io", "user", Secret(secrets.token_urlsafe(12)), made)  # type: ignore[arg-type]
    monkeypatch.setattr(pipeline, "door", lambda environment: door)
    monkeypatch.setattr(
        git, "candidates", lambda root, branch: [git.Commit(sha, "subject", 0) for sha in COMMITS]
    )
    return made


def move(environment: Environment) -> None:
    pipeline.move_latest(environment, Console())


def both(commit: str) -> list[str]:
    return [f"digest of {commit} {name}" for name in (BACKEND, NFS, GATEWAY)]


def test_latest_is_the_newest_commit_whatever_was_built_last(
    homelab: Environment, registry: Registry
) -> None:
    newest, older, _ = COMMITS
    registry.push(newest)
    move(homelab)
    registry.push(older)  # its build took longer
    move(homelab)
    assert registry.latest == both(newest)


def test_latest_goes_on_as_commits_get_their_images(homelab: Environment, registry: Registry) -> None:
    newest, older, oldest = COMMITS
    for commit in (oldest, older, newest):
        registry.push(commit)
        move(homelab)
        assert registry.latest == both(commit)


def test_a_commit_without_all_of_its_images_is_passed_over(homelab: Environment, registry: Registry) -> None:
    registry.push(COMMITS[0], BACKEND)
    registry.push(COMMITS[1])
    move(homelab)
    assert registry.latest == both(COMMITS[1])


def test_what_is_latest_already_is_not_written_again(homelab: Environment, registry: Registry) -> None:
    registry.push(COMMITS[0])
    move(homelab)
    written = len(registry.moved)
    move(homelab)
    assert len(registry.moved) == written


def test_no_commit_with_images_is_an_error(homelab: Environment, registry: Registry) -> None:
    registry.push(COMMITS[0], NFS)
    with pytest.raises(
        UsageError, match="none of the newest 20 commits of origin/main has all of its images"
    ):
        move(homelab)
    assert registry.moved == []


def test_an_unknown_image_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"makes no image 'bakend'(.|\n)*did you mean backend"):
        pipeline.own_image(ROOT, "bakend")


class Docker:
    """Notes what it is asked to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[tuple[str, ...]] = []
        self.env: dict[str, str] = {}
        monkeypatch.setattr(build, "run", self.run)
        monkeypatch.setattr(build, "ca_bundle", lambda: None)
        monkeypatch.setattr(build, "index_arguments", dict)

    def run(self, *arguments: str, env: Mapping[str, str] | None = None, **_: Any) -> str:
        self.ran.append(arguments)
        self.env |= env or {}
        return f"digest: sha256:{'ab' * 32}"

    def tags(self) -> list[str]:
        (command,) = [c for c in self.ran if c[0] == "buildx"]
        return [value for flag, value in pairwise(command) if flag == "--tag"]


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Docker:
    return Docker(monkeypatch)


VERSION = Version("sha-ccccccc", COMMITS[0])


def publish(environment: Environment, name: str, **options: Any) -> None:
    image = pipeline.own_image(ROOT, name)
    pipeline.publish(environment, image, VERSION, Console(), **options)


def test_the_workflow_s_build_is_one_command(
    homelab: Environment, registry: Registry, docker: Docker, tmp_path: Path
) -> None:
    publish(
        homelab, "backend", platforms="linux/amd64,linux/arm64", cache=True, source="https://github.com/o/r"
    )
    (command,) = [c for c in docker.ran if c[0] == "buildx"]
    text = " ".join(command)
    assert "--push --platform linux/amd64,linux/arm64" in text
    assert "--attest type=provenance,mode=max --attest type=sbom" in text
    assert "--cache-from type=gha,scope=backend --cache-to type=gha,scope=backend,mode=max" in text
    assert f"--build-arg VERSION=sha-ccccccc --build-arg REVISION={COMMITS[0]}" in text
    assert "--build-arg SOURCE=https://github.com/o/r" in text
    assert command[-1] == str(ROOT)
    assert docker.tags() == ["ghcr.io/ktrdr/ktrdr-backend:sha-ccccccc"]
    # A builder that asks for the host's network needs a permission, and it has no use for it there.
    assert "--network" not in text


def test_a_tag_of_its_own_is_given_once_and_never_moved(
    homelab: Environment, registry: Registry, docker: Docker
) -> None:
    fixed = pipeline.own_image(ROOT, "nfs-server").fixed
    assert fixed
    publish(homelab, "nfs-server", platforms="linux/amd64")
    assert docker.tags() == [f"ghcr.io/ktrdr/ktrdr-nfs-server:{tag}" for tag in ("sha-ccccccc", fixed)]
    docker.ran.clear()
    registry.tags[NFS, fixed] = "sha256:there"
    publish(homelab, "nfs-server", platforms="linux/amd64")
    assert docker.tags() == ["ghcr.io/ktrdr/ktrdr-nfs-server:sha-ccccccc"]


def test_the_first_image_of_its_name_gets_its_tag_although_the_registry_refuses_to_look(
    homelab: Environment, registry: Registry, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(repository: str, tag: str) -> str | None:
        raise RefusedError("ghcr.io refused the login")

    monkeypatch.setattr(registry, "digest", refuse)
    publish(homelab, "nfs-server", platforms="linux/amd64")
    assert len(docker.tags()) == 2


def test_the_login_of_the_environment_comes_before_the_vault(
    homelab: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = secrets.token_urlsafe(12)
    monkeypatch.setenv(pipeline.PASSWORD, password)
    monkeypatch.setenv(pipeline.USERNAME, "robot")
    assert pipeline.login(homelab) == ("robot", Secret(password))
    assert REDACTOR.clean(f"robot:{password}") == "robot:***"
    monkeypatch.delenv(pipeline.USERNAME)
    assert pipeline.login(homelab) == (homelab.registry.username, Secret(password))
