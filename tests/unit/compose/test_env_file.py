from __future__ import annotations

import pytest

from deploy_lib.compose.env_file import read_env_file


def test_an_env_file_s_values_are_quoted_commented_and_made_of_others() -> None:
    content = b"A=1 # one\nB='$A # no comment'\nC=\"$A ${A:-x} ${Z}\"\nD=${A}2\nE=\nF='two\nlines'\nG=a#b\r\n"
    assert read_env_file(content, {"A": "9"}) == {
        **{
            "A": "1",
            "B": "$A # no comment",
            "C": "9 9 ",
            "D": "92",
            "E": "",
            "F": "two\nlines",
            "G": "a#b",
        },
    }


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (r'A="x\ny\t\\ \" \q"', 'x\ny\t\\ " \\q'),
        (r'A="\$x \0101 \0777"', "$x A \\777"),
        (r"A='it\'s $x\n'", "it's $x\\n"),
        (r"A=x\ny", r"x\ny"),
        ("A=#x", "#x"),
        ("A= # x # y", "# x"),
        ("A=x\t#y", "x\t#y"),
        ('A="x"y', "x"),
        ('A="x"# y', "x"),
        ('B="x" A=y', "y"),
        ("A=x${UNSET}y${UNSET:-${UNSET}}", "xy"),
        ('A="x\r\ny"\r', "x\r\ny"),
        ("A=1\nA\n", "1"),
    ],
)
def test_a_value_is_what_compose_makes_of_it(line: str, value: str) -> None:
    assert read_env_file(f"{line}\n".encode())["A"] == value


def test_an_env_file_is_read_as_compose_does() -> None:
    content = b"# C=1\nA=1\n export B = 'two words' \nEMPTY=\nD=x=y\n"
    assert read_env_file(content) == {"A": "1", "B": "two words", "EMPTY": "", "D": "x=y"}


def test_a_mark_that_editors_put_before_a_file_is_no_part_of_a_name() -> None:
    assert read_env_file(b"\xef\xbb\xbfA=1\r\nB=$A\r\n") == {"A": "1", "B": "1"}
