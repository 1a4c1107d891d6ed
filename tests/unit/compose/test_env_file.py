from __future__ import annotations

from deploy_lib.compose.env_file import read_env_file


def test_an_env_file_s_values_are_quoted_commented_and_made_of_others() -> None:
    content = (
        b"A=1 # one\nB='$A # no comment'\nC=\"$A ${A:-x} ${Z}\"\nD=${A}2\nE=# all\nF='two\nlines'\nG=a#b\r\n"
    )
    assert read_env_file(content, {"A": "9"}) == {
        **{
            "A": "1",
            "B": "$A # no comment",
            "C": "$A ${A:-x} ${Z}",
            "D": "92",
            "E": "",
            "F": "two\nlines",
            "G": "a#b",
        },
    }


def test_an_env_file_is_read_as_compose_does() -> None:
    content = b"# C=1\nA=1\n export B = 'two words' \nEMPTY=\nD=x=y\n"
    assert read_env_file(content) == {"A": "1", "B": "two words", "EMPTY": "", "D": "x=y"}


def test_a_mark_that_editors_put_before_a_file_is_no_part_of_a_name() -> None:
    assert read_env_file(b"\xef\xbb\xbfA=1\r\nB=$A\r\n") == {"A": "1", "B": "1"}
