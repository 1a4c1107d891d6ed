from collections.abc import Callable

import pytest

from deploy_lib.compose.file import default_name, project_name
from deploy_lib.compose.reading import load_yaml
from deploy_lib.compose.variables import variables
from deploy_lib.errors import UsageError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("name: demo\nservices: {}", "demo"),
        ("services: {}", ""),
        ("name: ${STAGE}-shop", "${STAGE}-shop"),
        ("name: 7", ""),
        ("name: demo\nservices: {}\n---\nservices: {a: {}}\n---\n", "demo"),
        ("name: demo\n---\nname: other\n", "other"),
    ],
)
def test_a_name_is_told_as_it_stands_there(text: str, name: str) -> None:
    assert project_name([(text.encode(), "f.yml")]) == name


def test_a_file_with_nothing_but_comments_says_nothing_beside_another_one() -> None:
    empty = (b"# later\n", "b.yml")
    assert project_name([(b"name: demo", "a.yml"), empty]) == "demo"
    with pytest.raises(UsageError, match=r"b\.yml: nothing but comments"):
        project_name([empty])


def test_a_project_without_a_name_has_the_one_that_compose_takes_from_the_directory() -> None:
    assert [default_name(d) for d in ("shop", "My.Shop", "_x-1")] == ["shop", "myshop", "x-1"]


def test_compose_s_own_tags_are_yaml() -> None:
    text = "a: !reset []\nb: !override {c: [1]}\nd: !reset null\n"
    assert load_yaml(text, "f.yml") == {"a": None, "b": {"c": [1]}, "d": None}


def test_several_documents_are_one() -> None:
    text = "services: {a: {ports: ['$A'], x: 1}}\n---\nservices: {a: {ports: ['$B'], x: 2}, b: {image: $C}}\n---\n"
    services = load_yaml(text, "f.yml")["services"]
    assert services == {"a": {"ports": ["$A", "$B"], "x": 2}, "b": {"image": "$C"}}
    assert {*variables(text.encode(), "f.yml").read} == {"A", "B", "C"}


def named(content: bytes, path: str) -> str:
    return project_name([(content, path)])


@pytest.mark.parametrize("read", [named, variables])
@pytest.mark.parametrize("text", ["a: " + "[" * 9000, "a: [", "name: !!int x", "? [1]\n: 2", "\x00", "- a"])
def test_what_is_no_compose_file_is_an_error_that_can_be_read(
    read: Callable[[bytes, str], object], text: str
) -> None:
    with pytest.raises(UsageError, match=r"f\.yml"):
        read(text.encode(), "f.yml")
