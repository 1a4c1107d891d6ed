"""The workflow's steps, run here: build, push, `latest`; and the pull with and without a login (the seed's task 0.3)."""

import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from deploy_lib.config import Environment
from deploy_lib.errors import DeployError
from deploy_lib.secrets.value import Secret
from lab import docker as build
from lab import hosts, pipeline
from lab.credentials import registry_password
from lab.layout import Lab

from .conftest import CHECKOUT, FIRST, ROOT, SECOND, command, copy_checkout

SOURCE = "https://git.example/o/r"


def git(root: Path, *arguments: str) -> str:
    own = ("-c", "user.name=t", "-c", "user.email=t@t.example", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *own, *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="module")
def repository(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of this project's files, whose commits are this test's own."""
    root = copy_checkout(lab, tmp_path_factory.mktemp("repository"))
    for name in ("lab.toml", ".dockerignore", ".gitignore", "pyproject.toml", "uv.lock"):
        shutil.copy(CHECKOUT / name, root / name)
    shutil.copytree(CHECKOUT / "docker", root / "docker", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "lab").symlink_to(CHECKOUT / "lab")
    git(root, "init", "-q")
    commit(root)
    return root


def commit(root: Path) -> str:
    """A commit of its own, whatever was committed in other runs: its tag is in no registry yet."""
    (root / "note").write_text(secrets.token_hex(8))
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "x")
    return git(root, "rev-parse", "HEAD").strip()


def tag_of(sha: str) -> str:
    return f"sha-{sha[:7]}"


@pytest.fixture
def registry(homes: Environment) -> pipeline.Registry:
    return pipeline.door(homes).registry


NAMES = {
    "backend": "ktrdr/ktrdr-backend",
    "nfs-server": "ktrdr/ktrdr-nfs-server",
    "gateway": "ktrdr/ktrdr-gateway",
}


@pytest.fixture(scope="module")
def published(repository: Path, homes: Environment, backend_image: str) -> Iterator[str]:
    """The repository's first commit; both images are in the registry, and `latest` leads to them."""
    for name in NAMES:
        outcome = command("invoke", "publish-image", "--image", name, "--source", SOURCE, root=repository)
        assert outcome.code == 0, outcome.err
    outcome = command("invoke", "move-latest", root=repository)
    assert outcome.code == 0, outcome.err
    sha = git(repository, "rev-parse", "HEAD").strip()
    yield sha
    # Each run has commits of its own: their names would pile up on this machine.
    for name in NAMES.values():
        build.run("rmi", f"{homes.registry_host}/{name}:{tag_of(sha)}")


@pytest.fixture
def logged_in(lab: Lab) -> Iterator[Mapping[str, str]]:
    with build.logged_in(lab.registry, "lab", Secret(registry_password(lab))) as env:
        yield env


@pytest.mark.parametrize("name", NAMES)
def test_an_image_says_which_commit_it_was_made_from_and_where_that_is(
    lab: Lab, published: str, logged_in: Mapping[str, str], name: str
) -> None:
    reference = f"{lab.registry}/{NAMES[name]}:{tag_of(published)}"
    build.run("pull", "-q", reference, env=logged_in)
    labels, check = json.loads(
        build.inspect(reference, "[{{json .Config.Labels}}, {{json .Config.Healthcheck.Test}}]") or "[]"
    )
    build.run("rmi", reference)
    said = {
        key.rpartition(".")[2]: labels[key] for key in labels if key.startswith("org.opencontainers.image.")
    }
    assert said == {
        "title": NAMES[name].rpartition("/")[2],
        "version": tag_of(published),
        "revision": published,
        "source": SOURCE,
    }
    assert check


PULL = """
export DOCKER_CONFIG=$(mktemp -d -p /dev/shm)
trap 'rm -rf "$DOCKER_CONFIG"' EXIT
if [ "$1" = login ]; then docker login -u lab --password-stdin "${2%%/*}" >/dev/null 2>&1; fi
docker pull -q "$2" 2>&1 && docker image inspect -f '{{.Id}}' "$2" && docker rmi "$2" >/dev/null
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_host_pulls_both_tags_with_a_login_and_is_refused_without(
    lab: Lab, homes: Environment, published: str, name: str
) -> None:
    password = registry_password(lab).encode()
    ids = set()
    for tag in ("latest", tag_of(published)):
        reference = f"{homes.registry_host}/{NAMES[name]}:{tag}"

        def pull(how: str, given: str = reference) -> str:
            return hosts.execute(lab, "core", "sh", "-c", PULL, "sh", how, given, stdin=password, check=False)

        assert "no basic auth credentials" in pull("without")
        ids.add(pull("login").split()[-1])
    (found,) = ids
    assert found.startswith("sha256:")


def test_a_wrong_password_is_refused(lab: Lab, published: str) -> None:
    wrong = Secret(secrets.token_urlsafe(12))
    with pytest.raises(DeployError, match="login failed"), build.logged_in(lab.registry, "lab", wrong):
        pass


def test_the_stack_s_own_tag_stays_what_it_was(lab: Lab, registry: pipeline.Registry, published: str) -> None:
    fixed = pipeline.own_image(ROOT, "nfs-server").fixed
    assert fixed
    before = registry.digest(NAMES["nfs-server"], fixed)
    assert before
    # The commit's image has other labels, and so another digest.
    assert registry.digest(NAMES["nfs-server"], tag_of(published)) != before


def test_an_older_commit_never_becomes_latest(
    repository: Path, registry: pipeline.Registry, published: str
) -> None:
    older, newer = commit(repository), commit(repository)
    backend = NAMES["backend"]

    def push(sha: str, tag: str) -> None:
        registry.tag(backend, tag, tag_of(sha))
        for other in {*NAMES.values()} - {backend}:
            registry.tag(other, tag_of(published), tag_of(sha))
        outcome = command("invoke", "move-latest", root=repository)
        assert outcome.code == 0, outcome.err

    push(newer, SECOND)
    assert registry.digest(backend, "latest") == registry.digest(backend, SECOND)
    push(older, FIRST)
    assert registry.digest(backend, "latest") == registry.digest(backend, SECOND)


def test_a_commit_that_lacks_an_image_does_not_become_latest(
    repository: Path, registry: pipeline.Registry, published: str
) -> None:
    before = registry.digest(NAMES["backend"], "latest")
    registry.tag(NAMES["backend"], FIRST, tag_of(commit(repository)))
    assert command("invoke", "move-latest", root=repository).code == 0
    assert registry.digest(NAMES["backend"], "latest") == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--image", "bakend"), "makes no image 'bakend'"),
        (("--image", "backend", "--platforms", "arm"), "--platforms: 'arm' is none"),
        (("--image", "backend", "--source", "https://u:p@h/r"), "--source"),
        (("--image", "backend", "--tag", "no-such-ref"), "neither an image tag nor a commit"),
    ],
)
def test_a_bad_argument_is_one_line(repository: Path, arguments: tuple[str, ...], said: str) -> None:
    outcome = command("invoke", "publish-image", *arguments, root=repository)
    assert outcome.code == 2
    assert said in outcome.err
