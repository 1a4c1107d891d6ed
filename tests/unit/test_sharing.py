"""How tests are shared out among processes."""

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests import ROOT
from tests.lab import beside
from tests.sharing import NO_LAB, PIECE, Needs, pieces

CHECKOUT = ROOT

TESTS = st.lists(
    st.builds(
        Needs,
        module=st.sampled_from("abc"),
        lab=st.booleans(),
        joined=st.booleans(),
        seconds=st.sampled_from([1.0, 20.0, 70.0, 500.0]),
    ),
    max_size=40,
)


@given(TESTS)
def test_every_test_is_in_one_piece_and_pieces_keep_the_order_of_their_module(tests: list[Needs]) -> None:
    made = pieces(tests)
    assert sorted(place for _, places in made for place in places) == list(range(len(tests)))
    assert len({name for name, _ in made}) == len(made)
    for name, places in made:
        assert places == sorted(places)
        if not name.startswith(NO_LAB):
            assert all(tests[place].lab for place in places)
            assert len({tests[place].module for place in places}) == 1


@given(TESTS)
def test_a_piece_is_long_only_where_its_tests_share_a_fixture_or_one_is_long_itself(
    tests: list[Needs],
) -> None:
    for name, places in pieces(tests):
        seconds = [tests[place].seconds for place in places]
        joined = [tests[place].joined for place in places]
        assert (
            name.startswith(NO_LAB)
            or all(joined)
            or (not any(joined) and (len(places) == 1 or sum(seconds) <= PIECE))
        )
    joined = {
        (test.module, name)
        for name, places in pieces(tests)
        for test in map(tests.__getitem__, places)
        if test.lab and test.joined
    }
    assert len(joined) == len({module for module, _ in joined})


def test_the_longest_comes_first_and_the_rest_by_length_after_what_needs_no_lab() -> None:
    tests = [
        Needs("a", True, False, 10),
        Needs("b", True, True, 90),
        Needs("tests/unit/c.py", False, False, 1),
        Needs("d", True, False, 50),
        Needs("tests/unit/e.py", False, False, 1),
        Needs("tests/ssh/f.py", False, False, 1),
    ]
    assert pieces(tests) == [
        ("b", [1]),
        (f"{NO_LAB} unit", [2, 4]),
        (f"{NO_LAB} ssh", [5]),
        ("d-1", [3]),
        ("a-1", [0]),
    ]


HOLD = """
import sys
from pathlib import Path
from tests.lab.beside import own
print(own(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


def test_each_process_has_a_checkout_of_its_own_and_gets_that_of_one_that_crashed(tmp_path: Path) -> None:
    (tmp_path / "compose").mkdir()
    (tmp_path / "compose/a.yml").write_text("first")
    (tmp_path / "deploy_lib").mkdir()
    (tmp_path / ".git").mkdir()

    def begin() -> tuple[subprocess.Popen[str], Path]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)],
            cwd=CHECKOUT,
            env={**os.environ, beside.WORKER: "gw7"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    one, first = begin()
    two, second = begin()
    three, third = begin()
    try:
        assert first == tmp_path
        assert len({first, second, third}) == 3
        assert {path.name for path in second.iterdir()} == {"compose"}
        (second / ".lab").mkdir()
        (second / "compose/old.yml").touch()
        (tmp_path / "compose/a.yml").write_text("second")
        two.kill()
        two.wait()
        two, again = begin()
        assert again == second
        assert {path.name for path in again.iterdir()} == {"compose", ".lab"}
        assert [path.read_text() for path in (again / "compose").iterdir()] == ["second"]
    finally:
        for process in (one, two, three):
            process.communicate()


def test_who_is_alone_has_the_checkout_itself(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.delenv(beside.WORKER, raising=False)
    assert beside.own(tmp_path) == tmp_path
    assert not list(tmp_path.iterdir())
