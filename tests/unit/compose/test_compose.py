import subprocess
from collections.abc import Callable
from pathlib import PurePosixPath

import pytest
import yaml

from deploy_lib.compose import compose
from deploy_lib.compose.compose import read_stack_file
from deploy_lib.compose.variables import variables
from deploy_lib.config import load
from deploy_lib.errors import UsageError
from tests import ROOT

STACK = load(ROOT, "lab").nodes["core"].stack

FILE = b"""
name: demo
services:
  db: {image: x, secrets: [user, {source: password, target: pw}]}
  web: {image: y}
secrets:
  user: {environment: DB_USER}
  password: {environment: DB_PASSWORD}
"""


def test_it_is_read_which_service_gets_which_secret() -> None:
    file = compose.read_stack_file(FILE, "f.yml")
    assert file.project == "demo"
    assert file.secrets == {"db": ("DB_PASSWORD", "DB_USER"), "web": ()}
    assert file.secret_names == ["DB_PASSWORD", "DB_USER"]
    assert file.places == {
        "DB_USER": (("db", "/run/secrets/user"),),
        "DB_PASSWORD": (("db", "/run/secrets/pw"),),
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: [", r"f\.yml is not valid YAML"),
        (b"- a", "has no services"),
        (b"services: {a: {image: x}}", "no fixed name"),
        (FILE.replace(b"{environment: DB_USER}", b"{file: ./user}"), "'user' of db has no `environment:`"),
    ],
)
def test_a_file_that_cannot_be_relied_on_is_refused(content: bytes, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        compose.read_stack_file(content, "f.yml")


def test_the_override_is_read_back_as_it_was_written() -> None:
    images = {"db": f"x:1@sha256:{'a' * 64}", "web": f"h:5443/o/y:2@sha256:{'b' * 64}"}
    marks = {"db": "DB_PASSWORD=12 DB_USER=34"}
    content = compose.override(images, marks)
    assert compose.read_override(content) == (images, marks)
    assert yaml.safe_load(content)["services"]["web"] == {"image": images["web"]}


def test_variables_are_taken_literally_or_refused() -> None:
    assert b"A='$HOME `x` \"y\"'\n" in compose.variables_file({"A": '$HOME `x` "y"'})
    for bad in ("it's", "two\nlines"):
        with pytest.raises(UsageError, match="the value of A"):
            compose.variables_file({"A": bad})


def test_the_command_names_its_project_and_all_its_files() -> None:
    text = compose.command(STACK, "ktrdr-core", PurePosixPath("/opt/my stack"), "up", "-d")
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {text}"], capture_output=True, text=True
    ).stdout.splitlines()
    assert words[:5] == ["docker", "compose", "-p", "ktrdr-core", "--project-directory"]
    assert words[5] == "/opt/my stack"
    assert words.index("/opt/my stack/docker-compose.core.yml") < words.index("/opt/my stack/release.yml")
    assert words[-2:] == ["up", "-d"]


def test_replicas_and_ports_come_from_the_rendered_file() -> None:
    text = """{"services": {"a": {"image": "x", "ports": [{"published": "80"}]},
        "b": {"image": "y", "deploy": {"replicas": 0}}, "c": {"image": "z", "scale": 3}}}"""
    services = compose.parse_config(text)
    assert services["a"] == compose.Service("a", "x", 1, (80,))
    assert (services["b"].replicas, services["c"].replicas) == (0, 3)


def test_secrets_in_memory_are_files_for_compose_and_a_label_tells_so() -> None:
    files = compose.read_stack_file(FILE, "f.yml").files_in(PurePosixPath("/run/s/demo"))
    assert files == {"password": "/run/s/demo/DB_PASSWORD", "user": "/run/s/demo/DB_USER"}
    text = compose.override({"db": "x", "web": "y"}, {"db": "DB_PASSWORD=12"}, files).decode()
    data = yaml.safe_load(text.replace("!reset ", ""))
    assert data["secrets"]["user"] == {"environment": None, "file": "/run/s/demo/DB_USER"}
    assert data["services"]["db"]["labels"][compose.DELIVERY_LABEL] == "/run/s/demo"
    assert "labels" not in data["services"]["web"]


@pytest.mark.parametrize("read", [read_stack_file, variables])
@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 9000,
        "name: x\nservices: [1]\nsecrets: [1]",
        "name: x\nservices: {a: 1}\nsecrets: [1]",
        "name: x\nservices: {a: {secrets: 5}}\nsecrets: 7",
        "name: x\nservices: {a: {secrets: [[1]]}}\nsecrets: 7",
        "name: 2020-99-99\nservices: {}",
        "name: x\nservices: &a {b: *a, c: {secrets: 5}}",
        "? [1]\n: 2",
        "\x00",
        "",
    ],
)
def test_what_is_no_compose_file_is_an_error_that_can_be_read(
    read: Callable[[bytes, str], object], text: str
) -> None:
    with pytest.raises(UsageError, match=r"f\.yml"):
        read(text.encode(), "f.yml")
