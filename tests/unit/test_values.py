import secrets
from typing import ClassVar

import pytest

from deploy_lib.host.look.facts import Facts
from deploy_lib.release.files import Entry
from deploy_lib.release.image import Image
from deploy_lib.secrets.redaction import Redactor, Stream
from deploy_lib.secrets.value import Secret
from deploy_lib.ssh.session import Result
from deploy_lib.values import Selective, replace

SECRET = secrets.token_hex()


class Key(Selective, frozen=True):
    HIDDEN: ClassVar[tuple[str, ...]] = ("text",)
    IGNORED: ClassVar[tuple[str, ...]] = ("text",)

    name: str
    text: str = ""


class Named(Selective, frozen=True):
    name: str

    def _by(self) -> object:
        return self.name.lower()


class Whole(Selective, frozen=True):
    name: str
    text: str = ""


def begun() -> Stream:
    redactor = Redactor()
    redactor.add([Secret(SECRET)])
    stream = Stream(redactor)
    stream.feed(SECRET[:-1])
    return stream


@pytest.mark.parametrize(
    "value",
    [
        Key("a", SECRET),
        [Key("a", SECRET)],
        Facts(key=SECRET, rendered={"A": SECRET}),
        Entry(SECRET.encode()),
        Result(1, "", SECRET),
        begun(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_hidden_is_in_no_representation(value: object) -> None:
    rich = [*value.__rich_repr__()] if isinstance(value, Selective) else []
    assert SECRET[:9] not in f"{value!r} {value!s} {rich}"


def test_all_else_is_shown() -> None:
    assert repr(Key("a", SECRET)) == "Key(name='a')"
    assert repr(Whole("a", "b")) == "Whole(name='a', text='b')"


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (Named("A"), Named("a"), True),
        (Named("a"), Named("b"), False),
        (Named("a"), "a", False),
        (Named("a"), Whole("a"), False),
        (Key("a", "x"), Key("a", "y"), True),
        (Key("a"), Key("b"), False),
        (Whole("a", "x"), Whole("a", "y"), False),
        (Image.parse("redis"), Image.parse("docker.io/library/redis:latest"), True),
        (Image.parse("redis:7"), Image.parse("redis"), False),
    ],
)
def test_a_value_equals_others_by_what_counts(one: Selective, other: object, equal: bool) -> None:
    assert (one == other) is equal
    assert (one != other) is not equal
    assert len({one, other}) == (1 if equal else 2)


def test_a_value_is_the_same_with_changes() -> None:
    assert replace(Whole("a", "b"), name="c") == Whole("c", "b")
    with pytest.raises(TypeError):
        replace(Whole("a", "b"), **{"title": "c"})
