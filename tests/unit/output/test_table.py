import pytest

from deploy_lib.output.table import LEAST, lay_out

COLUMNS = ["node", "what", "by"]


def test_columns_are_as_wide_as_their_longest_cell_and_lines_end_without_blanks() -> None:
    assert lay_out(COLUMNS, [["front", "x", ""], ["b", "longer", "me"]], 80) == [
        "node   what    by",
        "front  x",
        "b      longer  me",
    ]


@pytest.mark.parametrize("width", [10, 40, 60])
def test_the_flexible_column_is_wrapped_between_words_and_no_word_is_lost(width: int) -> None:
    text = "several words of which none may be broken, not even a/rather-long/path/in/it"
    lines = lay_out(COLUMNS, [["a", text, "me"]], width, flexible="what")
    assert len(lines) > 2
    assert " ".join(line[6:].removesuffix("me").strip() for line in lines[1:]).split() == text.split()
    longest = max(map(len, text.split()))
    assert max(map(len, lines)) <= max(width, 6 + max(LEAST, longest) + 4)


def test_an_empty_cell_keeps_its_line() -> None:
    assert lay_out(COLUMNS, [["a", "", "me"]], 30, flexible="what")[1] == "a           me"


def test_a_note_stands_indented_below_its_row_and_is_wrapped() -> None:
    lines = lay_out(COLUMNS, [["a", "b", "c"], ["d", "e", "f"]], 24, notes=["one two three four five", ""])
    assert lines == [
        "node  what  by",
        "a     b     c",
        "    one two three four",
        "    five",
        "d     e     f",
    ]
