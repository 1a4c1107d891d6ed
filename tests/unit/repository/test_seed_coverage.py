"""docs/seed-coverage.md: every file and every test that it names exists."""

import re

import pytest

from tests import ROOT

PAGE = (ROOT / "docs/seed-coverage.md").read_text()
TEST = re.compile(r"`((?:unit|lab|ssh)/[\w/]+\.py)(?:::(test_\w+))?`")
TESTS = sorted(set(TEST.findall(PAGE)))
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| criterion |", "| risk |"))
]
TOP = {path.name for path in ROOT.iterdir()}
WORDS = set(re.findall(r"`([\w./-]+)`", PAGE)) - {file for file, _ in TESTS}
FILES = sorted(word for word in WORDS if word.split("/")[0] in TOP)


@pytest.mark.parametrize(("file", "name"), TESTS, ids=lambda value: value or "whole")
def test_a_test_that_it_names_is_there(file: str, name: str) -> None:
    text = (ROOT / "tests" / file).read_text()
    if name:
        assert re.search(rf"^def {name}\(", text, re.MULTILINE)


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_it_names_is_there(file: str) -> None:
    assert (ROOT / file).exists()


def test_every_row_says_where_it_is_and_what_shows_it() -> None:
    assert len(ROWS) > 70
    for row in ROWS:
        assert len(row) == 4, row
        assert row[0], row
        assert row[1], row
        assert TEST.search(row[2]) or row[2] == "the same", row


def test_every_task_of_the_plan_has_its_chapter() -> None:
    found = re.findall(r"^### (\d\.\d) ", PAGE, re.MULTILINE)
    counts = {0: 5, 1: 7, 2: 6, 3: 4}
    assert found == [f"{phase}.{task}" for phase, count in counts.items() for task in range(1, count + 1)]
