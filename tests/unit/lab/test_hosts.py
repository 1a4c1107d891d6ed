"""When a lab counts as ready."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from deploy_lib.errors import DeployError
from lab import credentials, hosts
from lab.layout import Lab

from .sample import sample


class Registry(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/v2/" else 404)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A port that takes connections, and behind which nothing serves: as the Engine's while its container starts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def hang_up(server: socket.socket) -> None:
    def run() -> None:
        server.accept()[0].close()

    threading.Thread(target=run, daemon=True).start()


@pytest.mark.parametrize("name", ["mirror", "registry"])
def test_a_registry_s_open_port_is_no_registry_that_serves(
    listening: socket.socket, tmp_path: Path, name: str
) -> None:
    credentials.make_certificate(tmp_path / "registry", "registry.sample.internal")
    hang_up(listening)
    lab = Lab(tmp_path, "test", {name: listening.getsockname()[1]}, sample(tmp_path))
    assert not hosts.registry_answers(lab, name)


def test_one_that_serves_is_ready(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        lab = Lab(tmp_path, "test", {"mirror": server.server_port}, sample(tmp_path))
        assert hosts.registry_answers(lab, "mirror")
        server.shutdown()
    assert not hosts.registry_answers(lab, "mirror")


DOCKER = """#!/bin/sh
echo "$*" >> "$0.calls"
case "$*" in
  *Paused*) [ -e "$0.paused" ] && echo true || echo false;;
  *Running*) echo true;;
  *made-of*) echo "id -p 127.0.0.1:1:1";;
  "image inspect"*) echo id;;
  unpause*) rm "$0.paused";;
esac
"""


def test_a_container_that_was_paused_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker says of it that it runs; it would not answer, however long a lab waited."""
    docker = tmp_path / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    (tmp_path / "docker.paused").touch()
    monkeypatch.setattr(hosts.build, "docker", lambda: str(docker))
    lab = Lab(tmp_path, "test", {}, sample(tmp_path))
    said: list[str] = []
    assert not hosts.ensure_container(lab, "registry", "image", {1: 1}, [], said.append)
    assert said == ["unpausing test-registry"]
    assert not hosts.ensure_container(lab, "registry", "image", {1: 1}, [], said.append)
    assert (tmp_path / "docker.calls").read_text().count("unpause") == 1


def test_a_registry_that_does_not_come_up_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "READY_TIMEOUT", 0)
    monkeypatch.setattr(hosts, "host_answers", lambda *_: True)
    monkeypatch.setattr(hosts, "registry_answers", lambda *_: False)
    with pytest.raises(
        DeployError, match=r"the lab's registry did not come up\n  -> .*docker logs --tail 20 test-registry"
    ):
        hosts.await_ready(Lab(tmp_path, "test", {}, sample(tmp_path)))
