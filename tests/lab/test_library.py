"""A fabfile that uses nothing but the operations deploys a service to a host, probes it, breaks it and goes back."""

import secrets
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from deploy_lib.operations import (
    DeployError,
    Project,
    Secret,
    UnhealthyError,
    compose_pull,
    compose_up,
    connect,
    docker_login,
    go_back,
    http_probe,
    put_files,
    read_logs,
    wait_until_healthy,
)
from lab import credentials
from lab.layout import Lab

from .conftest import FIRST, Host, command

FABFILE = """
from pathlib import Path, PurePosixPath
from fabric import task
from deploy_lib.operations import (
    Project, Secret, compose_pull, compose_up, docker_login, http_probe, put_directory, wait_until_healthy,
)
HERE = Path(__file__).parent
WEB = Project("library-web", PurePosixPath("/opt/library-web"), ("compose.yml",))

@task
def deploy(c):
    env = {"WORD": Secret((HERE / "word").read_text())}
    put_directory(c, HERE / "web", WEB.directory)
    with docker_login(c, "REGISTRY", "USERNAME", Secret((HERE / "token").read_text())) as login:
        images = compose_pull(c, WEB, login=login, env=env)
    compose_up(c, WEB, images=images, env=env)
    wait_until_healthy(c, WEB, env=env)
    http_probe(c, "http://127.0.0.1:8099/word")
"""

COMPOSE = """\
services:
  web:
    image: IMAGE
    command: [sh, -c, "cd /tmp && cp /run/secrets/word word && echo serving && exec python -m http.server 8099"]
    ports: ["8099:8099"]
    healthcheck:
      test: [CMD, python, -c, "import urllib.request as u; u.urlopen('http://127.0.0.1:8099/word')"]
      interval: 1s
    secrets: [word]
secrets:
  word: {environment: WORD}
"""

WEB = Project("library-web", PurePosixPath("/opt/library-web"), ("compose.yml",))


def login_of(lab: Lab) -> tuple[str, str, str]:
    """The lab's registry, as its hosts know it, its user and the password."""
    environment = lab.project.environment
    return environment.registry_host, environment.registry.username, credentials.registry_password(lab)


@pytest.fixture
def compose(lab: Lab, backend_image: str, core: Host) -> Iterator[str]:
    yield COMPOSE.replace("IMAGE", backend_image)
    core.sh("docker compose -p library-web down -t 0; rm -rf /opt/library-web")


def test_a_twenty_line_fabfile_deploys_and_probes(lab: Lab, core: Host, compose: str, tmp_path: Path) -> None:
    assert len(FABFILE.strip().splitlines()) <= 20
    registry, username, password = login_of(lab)
    text = FABFILE.replace("REGISTRY", registry).replace("USERNAME", username)
    (tmp_path / "fabfile.py").write_text(text)
    (tmp_path / "web").mkdir()
    (tmp_path / "web/compose.yml").write_text(compose)
    word = secrets.token_hex(16)
    for name, value in (("word", word), ("token", password)):
        (tmp_path / name).write_text(value)
    done = command(
        "fab", "--ssh-config", str(lab.ssh_config), "-H", "ktrdr-core.internal", "deploy", root=tmp_path
    )
    assert done.code == 0, done.err
    container = "library-web-web-1"
    assert core.sh(f"docker exec {container} cat /tmp/word").strip() == word
    assert word not in core.sh(f"docker inspect {container}; cat /opt/library-web/*")
    assert core.sh("ls -A /run | grep ktrdr-deploy-library-web; true") == ""


def test_what_does_not_become_healthy_is_told_and_gone_back_from(lab: Lab, core: Host, compose: str) -> None:
    connection = connect("ktrdr-core.internal", lab.ssh_config)
    env = {"WORD": Secret(secrets.token_hex(16))}
    with connection:
        put_files(connection, {"compose.yml": compose.encode()}, WEB.directory)
        with docker_login(connection, *login_of(lab)) as login:
            images = compose_pull(connection, WEB, login=login, env=env)
        assert images["web"].partition("@")[0].endswith(f":{FIRST}")
        compose_up(connection, WEB, images=images, env=env)
        (container,) = wait_until_healthy(connection, WEB, env=env)
        assert str(container.image) == images["web"]
        assert read_logs(connection, WEB)[0].text == "serving"
        broken = compose.replace("exec python", "exit 1; python")
        put_files(connection, {"compose.yml": broken.encode()}, WEB.directory)
        compose_up(connection, WEB, images=images, env=env)
        with pytest.raises(UnhealthyError, match="web is not healthy"):
            wait_until_healthy(connection, WEB, env=env, timeout=30)
        put_files(connection, {"compose.yml": compose.encode()}, WEB.directory)
        (again,) = go_back(connection, WEB, images, env=env)
        assert str(again.image) == images["web"]
        assert http_probe(connection, "http://127.0.0.1:8099/word").seconds < 60
        with pytest.raises(DeployError, match="Compose failed"):
            compose_up(connection, WEB, images={"web": f"{images['web'][:-4]}0000"}, env=env)
