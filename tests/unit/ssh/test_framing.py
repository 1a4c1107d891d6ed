import itertools
import resource
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy_lib.errors import UsageError
from deploy_lib.shell import ScriptExit
from deploy_lib.ssh.framing import (
    TOTAL_ROOM,
    VALUE_ROOM,
    Preamble,
    assignment,
    frame,
    require_room,
)


def sh(line: str, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["sh", "-c", line], input=stdin, capture_output=True, timeout=10)


def test_the_command_line_shows_neither_script_nor_value() -> None:
    line, _ = frame("echo script-text", {"TOKEN": "value-text"})
    assert "script-text" not in line
    assert "value-text" not in line


def test_a_stream_that_is_cut_short_runs_nothing() -> None:
    line, block = frame("echo ran", {"A": "b"})
    for length in range(len(block)):
        done = sh(line, block[:length])
        assert done.returncode == ScriptExit.TRUNCATED
        assert done.stdout == b""
    assert sh(line, block).stdout == b"ran\n"


def test_what_holds_secrets_leaves_no_core_dump() -> None:
    line, block = frame("ulimit -c; sh -c 'ulimit -c'", {"TOKEN": "value"})
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    done = subprocess.run(
        ["sh", "-c", line],
        input=block,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (most, most)),
    )
    assert done.stdout == b"0\n0\n"


@settings(deadline=None)  # a shell is started for each example
@given(
    st.dictionaries(
        st.sampled_from(["A", "B_2", "_C"]), st.text(st.characters(exclude_characters="\0", codec="utf-8"))
    )
)
def test_any_text_arrives_as_it_is(env: dict[str, str]) -> None:
    names = sorted(env)
    line, block = frame("".join(f'printf %s "${name}"; printf "\\000"; ' for name in names), env)
    assert sh(line, block).stdout == b"".join(env[name].encode() + b"\0" for name in names)


@pytest.mark.parametrize(
    ("name", "value"), [("a b", "x"), ("", "x"), ("1A", "x"), ("A;touch", "x"), ("A", "x\0y")]
)
def test_what_no_environment_can_hold_is_refused_without_showing_it(name: str, value: str) -> None:
    with pytest.raises(UsageError):
        assignment(name, value)


def test_a_lone_surrogate_is_refused_without_showing_the_text_around_it() -> None:
    with pytest.raises(UsageError) as caught:
        frame("true", {"A": "precious\udc80"})
    assert "precious" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_value_has_room_for_as_much_as_a_program_can_be_started_with() -> None:
    """Against this machine's own kernel: a byte more, and no program can."""
    fits = "v" * (VALUE_ROOM - len("A=") - 1)
    line, block = frame("env | wc -c", {"A": fits})
    assert int(sh(line, block).stdout) > len(fits)
    with pytest.raises(UsageError) as caught:
        frame("true", {"A": fits + "v"})
    assert "A has 131070 bytes" in str(caught.value)
    assert "vvv" not in str(caught.value)
    done = subprocess.run(
        ["sh", "-c", "export A=$(cat); env true"], input=(fits + "v").encode(), capture_output=True
    )
    assert done.returncode == 126


def test_many_values_have_room_together() -> None:
    some = {f"A{i}": "v" * 100_000 for i in range(10)}
    line, block = frame("env | wc -c", some)
    assert int(sh(line, block).stdout) > 1_000_000
    with pytest.raises(UsageError, match=rf"{TOTAL_ROOM}.*the largest is B"):
        require_room({**some, "B": "v" * 110_000})


@given(st.lists(st.binary(max_size=30)), st.integers(1, 50))
def test_what_comes_before_the_mark_is_foreign(before: list[bytes], size: int) -> None:
    preamble = Preamble()
    stream = b"".join(before) + f"{preamble.mark}\nown\n".encode()
    own = b"".join(preamble.strip(stream[i : i + size]) for i in range(0, len(stream), size))
    assert own == b"own\n"
    assert preamble.passed


def test_a_mark_is_another_one_each_time_and_on_no_command_line() -> None:
    first, second = Preamble(), Preamble()
    assert first.mark != second.mark
    line, block = frame("true", preamble=first)
    assert first.mark not in line
    assert first.mark.encode() in block


NOISE = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"=== tools\n", b"#:begin:", b"#:ended:", b"#:script\n", b"{}\n", b"\n", b"locked\n"]),
)


@given(
    before=NOISE,
    own=st.one_of(st.binary(max_size=400), st.sampled_from([b"#", b"#:ended:", b"a#:ended:0", b"#:#:ended"])),
    after=NOISE,
    cuts=st.lists(st.integers(0, 1000), max_size=8),
)
def test_no_text_of_a_login_shell_is_part_of_the_output_and_no_byte_of_it_is_lost(
    before: bytes, own: bytes, after: bytes, cuts: list[int]
) -> None:
    preamble = Preamble()
    stream = before + f"{preamble.mark}\n".encode() + own + preamble.end.encode() + after
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    found = b"".join(preamble.strip(stream[a:b]) for a, b in itertools.pairwise(places))
    assert found + preamble.rest() == own


@given(own=st.one_of(st.binary(max_size=400), st.sampled_from([b"#", b"#:ended:", b"x#:ended:12"])))
def test_output_that_was_cut_off_is_given_whole(own: bytes) -> None:
    preamble = Preamble()
    found = preamble.strip(f"{preamble.mark}\n".encode() + own)
    assert found + preamble.rest() == own


def test_the_end_is_marked_whatever_way_a_script_ends() -> None:
    for script, code in {
        "echo x; exit 3": 3,
        "echo x": 0,
        "echo x; kill -9 $$": 137,
        "exec echo x": 0,
    }.items():
        preamble = Preamble()
        line, block = frame(script, None, preamble)
        done = sh(f"{line}; printf after", block)
        assert preamble.strip(done.stdout) == b"x\n"
        assert preamble.end not in line
        assert done.returncode == code


def test_programs_are_found_where_a_short_path_does_not_lead() -> None:
    preamble = Preamble()
    line, block = frame('echo "$PATH"', None, preamble)
    done = subprocess.run(
        ["/bin/sh", "-c", line], input=block, capture_output=True, timeout=10, env={"PATH": "/usr/bin:/bin"}
    )
    places = preamble.strip(done.stdout).decode().strip().split(":")
    assert places[:2] == ["/usr/bin", "/bin"]  # the session's own come first
    assert {"/usr/local/bin", "/snap/bin", "/usr/sbin"} <= set(places)
