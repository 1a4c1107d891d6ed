import pytest
from msgspec import Struct

from deploy_lib.values import Compared, fields_without, replace, repr_without


class Key(Struct, frozen=True):
    name: str
    text: str

    def __repr__(self) -> str:
        return repr_without(self, "text")


class Named(Compared, frozen=True):
    name: str
    spelling: str = ""

    def _by(self) -> object:
        return self.name.lower()


def test_what_is_hidden_is_in_no_representation() -> None:
    assert repr(Key("a", "b" * 9)) == "Key(name='a')"
    assert str([Key("a", "b" * 9)]) == "[Key(name='a')]"


def test_a_value_has_some_of_its_fields() -> None:
    assert fields_without(Key("a", "b"), "name") == ("b",)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (Named("A", "x"), Named("a", "y"), True),
        (Named("a"), Named("b"), False),
        (Named("a"), "a", False),
    ],
)
def test_a_value_equals_others_by_what_it_says(one: Named, other: object, equal: bool) -> None:
    assert (one == other) is equal
    assert (one != other) is not equal
    assert (hash(one) == hash(other)) is equal or isinstance(other, str)


def test_a_value_is_the_same_with_changes() -> None:
    assert replace(Key("a", "b"), name="c") == Key("c", "b")
    with pytest.raises(TypeError):
        replace(Key("a", "b"), title="c")  # type: ignore[call-arg]
