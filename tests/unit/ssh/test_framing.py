import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy_lib.errors import UsageError
from deploy_lib.shell import ScriptExit
from deploy_lib.ssh.framing import assignment, frame


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
