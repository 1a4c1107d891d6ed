import pytest
from pydantic import TypeAdapter, ValidationError

from deploy_lib.config.fields import Directory, EnvName, Model, RelativePath, several


@pytest.mark.parametrize("path", ["", "/etc/x", "..", "a/../../b", "../x"])
def test_a_path_that_leaves_the_folder_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="inside the folder of"):
        TypeAdapter(RelativePath).validate_python(path)


@pytest.mark.parametrize("path", ["a", "a/b.yml", ".lab/secrets.json", "a/..b"])
def test_a_path_inside_stays_as_it_was_written(path: str) -> None:
    assert TypeAdapter(RelativePath).validate_python(path) == path


@pytest.mark.parametrize("path", ["/opt/web", "/opt/web/", "//opt/web", "/opt//./web"])
def test_a_directory_of_a_host_is_written_in_one_way(path: str) -> None:
    assert TypeAdapter(Directory).validate_python(path) == "/opt/web"


@pytest.mark.parametrize("path", ["/", "//", "/.", "/opt/../web", "opt", "/a b"])
def test_what_is_no_directory_of_a_host_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Directory).validate_python(path)


@pytest.mark.parametrize("name", ["1A", "A-B", "A B", "", "A\n", "É"])
def test_what_a_shell_takes_for_no_variable_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(EnvName).validate_python(name)


def test_one_text_stands_for_a_list_of_one() -> None:
    assert several("a") == ("a",)
    assert several(["a", "b"]) == ["a", "b"]


def test_a_table_takes_no_unknown_key_and_converts_nothing() -> None:
    class Table(Model):
        count: int = 1

    for given in ({"cuont": 2}, {"count": "2"}, {"count": True}):
        with pytest.raises(ValidationError):
            Table.model_validate(given)
    with pytest.raises(ValidationError, match="frozen"):
        Table().count = 2
