import json
from typing import Any

from deploy_lib.compose.container import read_container


def line(more: dict[str, Any] | None = None, /, **labels: str) -> str:
    data: dict[str, Any] = {
        **(more or {}),
        "id": "c1",
        "name": "/shop-1-web-2",
        "image": "h/web:1",
        "image_id": "sha256:1",
        "state": "running",
        "health": None,
        "exit_code": 0,
        "restarts": 0,
        "started": "2026-01-01T00:00:00Z",
        "labels": labels,
        "ports": {
            "80/tcp": [{"HostPort": "8080"}, {"HostPort": "8080"}],
            "81/tcp": None,
            "82/tcp": [{"HostPort": ""}],
        },
    }
    return json.dumps(data)


LABELS = {
    "com.docker.compose.service": "web",
    "com.docker.compose.container-number": "2",
    "com.docker.compose.config-hash": "h",
    "com.docker.compose.oneoff": "False",
    "io.ktrdr.deploy.secrets": "S=1",
    "io.ktrdr.deploy.delivery": "/run/s",
}


def test_its_labels_say_what_it_was_made_from() -> None:
    found = read_container(line(**LABELS))
    assert found is not None
    assert (found.name, found.service, found.number) == ("shop-1-web-2", "web", "2")
    assert (found.config_hash, found.secrets, found.delivery) == ("h", "S=1", "/run/s")
    assert found.ports == (8080,)
    assert found.healthy


def test_a_container_of_a_single_command_is_no_part_of_the_stack() -> None:
    assert read_container(line(**{**LABELS, "com.docker.compose.oneoff": "True"})) is None


def test_whose_containers_it_is_part_of_is_said_by_their_ids() -> None:
    modes = {"network_mode": "container:a", "ipc": "private", "pid": "", "volumes_from": ["b:ro", "a"]}
    found, alone = read_container(line(modes, **LABELS)), read_container(line(**LABELS))
    assert found is not None
    assert alone is not None
    assert found.joined == ("a", "b")
    assert found.lives_in == ("a",)
    assert (alone.joined, alone.lives_in) == ((), ())
