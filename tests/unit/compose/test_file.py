from collections.abc import Callable
from pathlib import PurePosixPath

import pytest

from deploy_lib.compose.file import read_stack_file
from deploy_lib.compose.variables import variables
from deploy_lib.errors import UsageError

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
    file = read_stack_file(FILE, "f.yml")
    assert file.project == "demo"
    assert file.secrets == {"db": ("DB_PASSWORD", "DB_USER"), "web": ()}
    assert file.secret_names == ["DB_PASSWORD", "DB_USER"]
    assert file.places == {
        "DB_USER": (("db", "/run/secrets/user"),),
        "DB_PASSWORD": (("db", "/run/secrets/pw"),),
    }


def test_each_secret_has_a_file_of_its_own_where_they_are_delivered_in_memory() -> None:
    files = read_stack_file(FILE, "f.yml").files_in(PurePosixPath("/run/s/demo"))
    assert files == {"password": "/run/s/demo/DB_PASSWORD", "user": "/run/s/demo/DB_USER"}


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
        read_stack_file(content, "f.yml")


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
