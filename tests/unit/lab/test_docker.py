import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy_lib.errors import DeployError, PreflightError
from deploy_lib.secrets.value import Secret
from lab import docker as build

FAKE = """\
#!/bin/sh
printf '%s\\n' "$*" >>"{log}"
env >>"{log}.env"
case "$1 $2" in
    "buildx version") exit {buildx} ;;
    "--version "*) echo "Docker version {version}, build x" ;;
    "login "*) cat >"{log}.stdin"; echo "$DOCKER_CONFIG" >"{log}.config"; [ ! -e "{log}.refuse" ] || exit 1 ;;
    "push "*) echo "latest: digest: sha256:{digest} size: 1" ;;
esac
"""
DIGEST = "ab" * 32


class Docker:
    """A docker command that notes how it was called."""

    def __init__(self, folder: Path, *, buildx: bool, version: str = "28.0.0") -> None:
        self.log = folder / "log"
        program = folder / "docker"
        program.write_text(
            FAKE.format(log=self.log, buildx=0 if buildx else 1, version=version, digest=DIGEST)
        )
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PATH", f"{tmp_path}:/nonexistent:{os.environ['PATH']}")
    build.docker.cache_clear()
    yield tmp_path
    build.docker.cache_clear()


@pytest.fixture
def docker(folder: Path) -> Docker:
    return Docker(folder, buildx=True)


def test_a_docker_with_buildx_builds(docker: Docker, folder: Path) -> None:
    assert build.docker() == str(folder / "docker")


def test_a_docker_before_23_builds_without_buildx(folder: Path) -> None:
    Docker(folder, buildx=False, version="20.10.24+dfsg1")
    assert build.docker() == str(folder / "docker")


def test_a_newer_docker_without_buildx_does_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Docker(folder, buildx=False, version="28.1.1")
    which = {"docker": str(folder / "docker")}
    monkeypatch.setattr(build.shutil, "which", lambda name, **_: which.get(name))
    with pytest.raises(PreflightError, match="no docker command on this machine can build"):
        build.docker()


def test_the_machines_certificates_go_along_as_a_build_secret(
    docker: Docker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = folder / "bundle.crt"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    build.build(folder, folder / "Dockerfile", "x:1", arguments={"VERSION": "sha-1"}, labels={"l": "v"})
    call = docker.calls[-1]
    assert f"--secret id=ca,src={bundle}" in call
    assert "--build-arg VERSION=sha-1" in call
    assert "--label l=v" in call


def test_an_indexs_address_is_in_no_argument(
    docker: Docker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:password-of-mine@packages.example/simple")
    build.build(folder, folder / "Dockerfile", "x:1")
    assert "--build-arg PIP_INDEX_URL " in docker.calls[-1]
    assert not any("password-of-mine" in call for call in docker.calls)
    environment = Path(f"{docker.log}.env").read_text()
    assert "PIP_INDEX_URL=https://user:password-of-mine@" in environment


def test_a_local_index_is_no_use_to_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "file:///somewhere/simple")
    assert build.index_arguments() == {}


def test_a_login_is_gone_with_its_block(docker: Docker) -> None:
    with build.logged_in("127.0.0.1:5443", "lab", Secret("password-of-mine")) as env:
        config = Path(env["DOCKER_CONFIG"])
        assert config.stat().st_mode & 0o777 == 0o700
        if Path("/dev/shm").is_dir():
            assert config.is_relative_to("/dev/shm")
    assert not config.exists()
    assert Path(f"{docker.log}.stdin").read_text() == "password-of-mine"
    assert not any("password-of-mine" in call for call in docker.calls)


def test_a_refused_login_leaves_nothing_either(docker: Docker) -> None:
    Path(f"{docker.log}.refuse").touch()
    with pytest.raises(DeployError, match="docker login failed") as caught, _login():
        pass
    assert not Path(Path(f"{docker.log}.config").read_text().strip()).exists()
    assert "password-of-mine" not in str(caught.value)


def _login() -> Any:
    return build.logged_in("127.0.0.1:5443", "lab", Secret("password-of-mine"))


def test_a_push_gives_the_digest_and_keeps_no_second_name(docker: Docker) -> None:
    assert build.push("x:1", "127.0.0.1:5443/x:1") == f"sha256:{DIGEST}"
    assert docker.calls[-3:] == [
        "tag x:1 127.0.0.1:5443/x:1",
        "push 127.0.0.1:5443/x:1",
        "rmi 127.0.0.1:5443/x:1",
    ]


def test_a_failure_says_what_docker_said(folder: Path) -> None:
    program = folder / "docker"
    program.write_text('#!/bin/sh\n[ "$1" = buildx ] && exit 0\necho "no space left on device" >&2\nexit 1\n')
    program.chmod(0o755)
    with pytest.raises(DeployError, match=r"docker build failed:.*no space left on device"):
        build.build(folder, folder / "Dockerfile", "x:1")


def test_pip_need_not_be_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "PIP_INDEX_URL",
        "UV_DEFAULT_INDEX",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "PIP_CERT",
        "CURL_CA_BUNDLE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(folder))
    assert build.index_arguments() == {}
    assert build.ca_bundle() is None


@pytest.mark.parametrize(
    ("mode", "kept"), [(0o700, True), (0o1777, True), (0o755, True), (0o777, False), (0o770, False)]
)
def test_a_login_is_put_only_where_nobody_else_can_take_it_away(
    tmp_path: Path, mode: int, kept: bool
) -> None:
    tmp_path.chmod(mode)
    assert build.keeps_its_own(tmp_path) is kept
    assert not build.keeps_its_own(tmp_path / "gone")
