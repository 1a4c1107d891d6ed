"""What a reader of the output could still find of a secret: nothing."""

import html
import json
import random
import re
import secrets
import shlex
import string
import textwrap
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy_lib.secrets.redaction import Redactor
from deploy_lib.secrets.value import Secret

HOSTILE = """it's a "quo\\te" & plus+ /ü🔑 $x%"""
KEY = "\n".join(
    ["-----BEGIN THING-----", *(secrets.token_urlsafe(45) for _ in range(6)), "-----END THING-----"]
)


def redactor(*values: str) -> Redactor:
    made = Redactor()
    made.add(map(Secret, values))
    return made


def streamed(made: Redactor, *chunks: str) -> str:
    stream = made.stream()
    return "".join([*map(stream.feed, chunks), stream.close()])


@pytest.mark.parametrize(
    "form",
    [
        str,
        lambda v: b64encode(v.encode()).decode(),
        lambda v: urlsafe_b64encode(v.encode()).decode(),
        quote,
        lambda v: quote(v, safe=""),
        quote_plus,
        lambda v: re.sub("%..", lambda code: code[0].lower(), quote(v)),
        lambda v: json.dumps(v)[1:-1],
        lambda v: json.dumps(v, ensure_ascii=False)[1:-1],
        lambda v: shlex.quote(v)[1:-1],
        lambda v: repr(v)[1:-1],
        lambda v: ascii(v)[1:-1],
        lambda v: repr(v.encode())[2:-1],
    ],
)
def test_a_value_is_found_in_every_encoding(form: Callable[[str], str]) -> None:
    assert redactor(HOSTILE).clean(f"before {form(HOSTILE)} after") == "before *** after"


ENCODERS: list[Callable[[str], str]] = [
    lambda v: quote(v, safe="$&+,;="),  # Go: a user's password in a URL
    lambda v: quote(v, safe="!~*'()"),  # JavaScript: encodeURIComponent
    lambda v: re.sub("[&<>]", lambda c: f"\\u{ord(c[0]):04x}", json.dumps(v, ensure_ascii=False))[1:-1],  # Go
    lambda v: json.dumps(v).replace("/", "\\/")[1:-1],  # PHP
    lambda v: re.sub(r"\\u[0-9a-f]{4}", lambda c: f"\\u{c[0][2:].upper()}", json.dumps(v))[1:-1],
    lambda v: v.replace("'", "'\\''"),  # bash -x
    lambda v: re.sub(r"([^A-Za-z0-9])", r"\\\1", v),  # printf %q
    html.escape,
    lambda v: "".join(f"&#{ord(c)};" for c in v),
]
"""How others encode more than is needed, or less."""


@pytest.mark.parametrize("encode", ENCODERS)
@pytest.mark.parametrize(
    "value", ["it's-a/long&<secret>\\%40!$é😀", "pa$$w0rd@2024!xYz", "q8/hV+mü\\'\"'end'"]
)
def test_a_value_is_found_however_much_of_it_is_encoded(encode: Callable[[str], str], value: str) -> None:
    made, said = redactor(value), f"before={encode(value)}; after"
    assert made.clean(said) == "before=***; after"
    assert streamed(made, *said) == "before=***; after"
    lines = f"web-1  | x{encode(value)[:9]}\nweb-1  | {encode(value)[9:]}y"
    assert "***" in made.clean(lines)


@pytest.mark.parametrize("user", ["", "a", "ab", "abc", "abcd"])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_base64_of_a_longer_text_is_no_hiding_place(
    user: str, after: str, encode: Callable[[bytes], bytes]
) -> None:
    value = "ÿþ~~?" + secrets.token_urlsafe(24)
    encoded = encode(f"{user}:{value}{after}".encode()).decode()
    shown = redactor(value).clean(f"Authorization: Basic {encoded}")
    assert "***" in shown
    assert len(shown) < len("Authorization: Basic ***") + 4 * (len(user) + len(after) + 3)


def test_a_value_that_holds_another_is_masked_whole() -> None:
    made = redactor("abcdefgh", "abcdefgh-and-more")
    assert made.clean("abcdefgh-and-more") == "***"
    assert streamed(made, "abcdefgh", "-and-more") == "***"


def test_short_values_and_keys_stay() -> None:
    made = redactor("short", HOSTILE)
    assert made.clean("short") == "short"
    assert made.clean_data({HOSTILE: [HOSTILE, 1, {"k": (HOSTILE,)}]}) == {
        HOSTILE: ["***", 1, {"k": ["***"]}]
    }


def test_ordinary_words_stay() -> None:
    made = redactor("database-password", "correct horse battery", KEY)
    text = "the database has a password; the horse\ndatabase\npassword, BEGIN THING\n"
    assert made.clean(text) == streamed(made, *text) == text


PREFIXES = ["", "    ", "core   ·         ", "    | ", "backend-1  | "]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_value_of_several_lines_is_masked_line_by_line(prefix: str) -> None:
    made = redactor(KEY)
    lines = [f"{prefix}{line}\n" for line in ("before", *KEY.splitlines(), "after")]
    for shown in (made.clean("".join(lines)), streamed(made, *lines)):
        assert not any(line in shown for line in KEY.splitlines())
        assert shown.startswith(f"{prefix}before\n")
        assert shown.endswith("after\n")


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("width", [20, 64, 76])
@pytest.mark.parametrize("inside", ["", "user:"])
def test_what_a_tool_wrapped_is_found(prefix: str, width: int, inside: str) -> None:
    made = redactor(KEY)
    encoded = b64encode((inside + KEY).encode()).decode()
    lines = [prefix + line + "\n" for line in textwrap.wrap(encoded, width)]
    for shown in (made.clean("".join(lines)), streamed(made, *lines)):
        assert not any(encoded[i : i + 12] in shown for i in range(8, len(encoded) - 20))


@pytest.mark.parametrize("separator", ["\u2028", "\x0b", "\x0c", "\x85"])
def test_lines_are_what_python_splits_at(separator: str) -> None:
    first, second = secrets.token_hex(12), secrets.token_hex(12)
    made = redactor(first + separator + second)
    assert made.clean(f"x\n    | {first}\n    | {second}\n") == "x\n    | ***\n"


def test_a_stream_shows_each_line_when_it_comes() -> None:
    stream = redactor(HOSTILE).stream()
    for line in ("pulling\n", "it\n", "Continue? "):
        assert stream.feed(line) == line


VALUES = st.text(st.characters(exclude_categories=("Cs", "Z", "C")), min_size=8, max_size=40)


@given(VALUES, st.text(max_size=12), st.text(max_size=12), st.data())
def test_a_value_in_chunks_is_masked_as_if_it_had_come_whole(
    value: str, before: str, after: str, data: st.DataObject
) -> None:
    made = redactor(value)
    text = f"{before}{value}{after}"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    chunks = [text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    for shown in (made.clean(text), streamed(made, *chunks)):
        assert value not in shown
        assert "***" in shown


@given(
    st.text(st.sampled_from("aZ9/%\\&'\"é😀$"), min_size=8, max_size=20), st.sampled_from(ENCODERS), st.data()
)
def test_an_encoded_value_in_chunks_is_masked_as_if_it_had_come_whole(
    value: str, encode: Callable[[str], str], data: st.DataObject
) -> None:
    made, text = redactor(value), f"before {encode(value)} after"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    chunks = [text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert streamed(made, *chunks) == made.clean(text) == "before *** after"


@given(VALUES, st.integers(1, 39), st.sampled_from(PREFIXES))
def test_a_value_in_two_lines_leaves_three_characters_at_most(value: str, at: int, prefix: str) -> None:
    at = min(at, len(value) - 1)
    lines = [f"{prefix}<{value[:at]}\n", f"{prefix}{value[at:]}>\n"]
    made = redactor(value)
    assert made.clean("".join(lines)) == f"{prefix}<***>\n"
    kept = value[:at] + "\n" if at < 4 else ""
    assert streamed(made, *lines) == f"{prefix}<{kept}***>\n"


def test_the_effort_grows_with_the_text_and_not_faster() -> None:
    made = redactor(*(secrets.token_urlsafe(30) for _ in range(6)), KEY)
    letters = string.ascii_letters + string.digits + " " * 10
    lines = ["".join(random.choices(letters, k=80)) + "\n" for _ in range(30_000)]  # noqa: S311 - no secret

    def effort(part: list[str], search: Callable[[list[str]], str]) -> float:
        began = time.process_time()
        assert search(part) == "".join(part)
        return time.process_time() - began

    for search in (lambda part: made.clean("".join(part)), lambda part: streamed(made, *part)):
        assert effort(lines, search) < 15 * effort(lines[:10_000], search)


def test_a_value_of_64_kilobytes_is_found() -> None:
    value = secrets.token_urlsafe(48 * 1024)
    made = redactor(value)
    assert streamed(made, *textwrap.wrap(value, 4096), "\nafter\n") == "***\nafter\n"
