"""Output that goes away, or that nobody reads, changes nothing of what happens: whole processes, and real pipes."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy_lib.fleet.interruption import SIGNALS, handled

START = """
import json, logging, os, sys, threading, time
from pathlib import Path
logging.basicConfig(level="DEBUG")  # as Invoke does with --debug, before anything of ours
from deploy_lib.output import outlet
from deploy_lib.output import streams as stdio
from deploy_lib.output.console import Console
outlet.STALLED = float(os.environ.get("STALLED", "20"))
stdio.install()
stdio.wait_for_readers(sys.argv[1] == "looks")
console = Console(as_json=True)
work = Path(sys.argv[2])
"""

STATUS = """
for number in range(20):
    console.step("core", "step", f"number {number} " + "ü" * 1000)
    logging.debug("a detail")
    print("on standard output")
work.touch()
console.document({"text": "x" * 300_000})
sys.exit(12)
"""


def start(
    kind: str, work: Path, body: str = STATUS, shell: str = "", **more: object
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", START + body, kind, str(work)]
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen(["sh", "-c", f'exec "$0" "$@" {shell}', *command], **given)  # type: ignore[call-overload, no-any-return]


KINDS = pytest.mark.parametrize("kind", ["changes", "looks"])


@KINDS
@pytest.mark.parametrize(
    ("shell", "reason"),
    [
        (">/dev/full", "No space left on device"),
        (">&-", "it was closed"),
        ("1</dev/null", "Bad file descriptor"),
    ],
)
def test_a_result_that_cannot_be_written_leaves_the_exit_status_alone(
    tmp_path: Path, kind: str, shell: str, reason: str
) -> None:
    process = start(kind, work := tmp_path / "work", shell=shell)
    _, err = process.communicate(timeout=60)
    said = err.decode()
    assert (process.returncode, work.exists()) == (12, True), said
    assert f"standard output is incomplete ({reason})" in said
    assert "number 19" in said
    assert "Traceback" not in said


@KINDS
@pytest.mark.parametrize("shell", ["2>/dev/full", "2>&-", ">/dev/full 2>&1", ">&- 2>&-", "<&- >&- 2>&-"])
def test_what_nobody_can_be_told_leaves_the_exit_status_alone(tmp_path: Path, kind: str, shell: str) -> None:
    process = start(kind, work := tmp_path / "work", shell=shell)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, work.exists()) == (12, True)
    assert err == b""
    if shell.startswith("2"):
        assert json.loads(out.splitlines()[-1])["text"]


@KINDS
def test_a_reader_that_has_seen_enough_ends_nothing(tmp_path: Path, kind: str) -> None:
    # As in `... 2>&1 | head -2`.
    process = start(kind, work := tmp_path / "work", stderr=subprocess.STDOUT)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 12
    assert work.exists()


@contextlib.contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """Its ends, with not a byte of room in it."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"." * 4096)
    os.set_blocking(writer, True)
    try:
        yield reader, writer
    finally:
        os.close(reader)


def until(condition: object, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_reader_that_does_not_read_keeps_no_change_waiting_and_still_gets_everything(
    tmp_path: Path,
) -> None:
    with full_pipe() as (reader, writer):
        process = start("changes", work := tmp_path / "work", stdout=writer, stderr=writer)
        os.close(writer)
        until(work.exists)
        assert process.poll() is None  # the result waits for its reader
        with os.fdopen(os.dup(reader), "rb") as stream:
            said = stream.read().lstrip(b".").decode()
        assert process.wait(30) == 12
    assert "number 19" in said
    document = next(line for line in said.splitlines() if line.startswith('{"text"'))
    assert json.loads(document) == {"text": "x" * 300_000}


def test_a_reader_that_never_reads_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with full_pipe() as (_, writer):
        process = start(
            "changes",
            work := tmp_path / "work",
            stdout=writer,
            stderr=writer,
            env={**os.environ, "STALLED": "0.5"},
        )
        os.close(writer)
        assert process.wait(60) == 12
    assert work.exists()


def test_a_reader_that_never_reads_is_waited_for_once_for_both_streams(tmp_path: Path) -> None:
    # With `2>&1` both wait for the same reader; one after the other would take twice as long.
    stalled = 6.0
    with full_pipe() as (_, writer):
        environment = {**os.environ, "STALLED": str(stalled)}
        process = start("changes", work := tmp_path / "work", stdout=writer, stderr=writer, env=environment)
        os.close(writer)
        until(work.exists)
        began = time.monotonic()
        assert process.wait(60) == 12
    assert time.monotonic() - began < 1.6 * stalled


def test_what_waits_for_its_turn_at_a_slow_reader_is_not_given_up(tmp_path: Path) -> None:
    # Standard error is behind a document that takes longer than a reader may be silent.
    body = 'console.document({"text": "x" * 200_000})\nconsole.say("the last line")\n'
    with full_pipe() as (reader, writer):
        environment = {**os.environ, "STALLED": "1"}
        process = start("changes", tmp_path / "work", body, stdout=writer, stderr=writer, env=environment)
        os.close(writer)
        said = b""
        while piece := os.read(reader, 4096):
            said += piece
            time.sleep(0.05)
        assert process.wait(30) == 0
    assert said.endswith(b"the last line\n")


def test_a_command_that_only_looks_waits_for_its_reader(tmp_path: Path) -> None:
    # As `... | less` needs it, however long somebody reads a page.
    with full_pipe() as (reader, writer):
        process = start(
            "looks", work := tmp_path / "work", stdout=writer, env={**os.environ, "STALLED": "0.1"}
        )
        os.close(writer)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        assert not work.exists()
        with os.fdopen(os.dup(reader), "rb") as stream:
            said = stream.read()
        assert process.wait(30) == 12
    assert json.loads(said.splitlines()[-1]) == {"text": "x" * 300_000}


def test_a_slow_reader_gets_everything_in_order(tmp_path: Path) -> None:
    body = 'for n in range(3000): console.step("core", "step", f"{n:06}")\n'
    process = start("changes", tmp_path / "work", body, env={**os.environ, "STALLED": "1"})
    assert process.stderr is not None
    said = b""
    while piece := os.read(process.stderr.fileno(), 4096):
        said += piece
        time.sleep(0.01)
    assert [int(line.split()[-1]) for line in said.splitlines()] == list(range(3000))


def test_no_file_gets_the_number_of_a_stream_that_was_closed(tmp_path: Path) -> None:
    body = 'work.write_text(str(os.open("/dev/null", os.O_RDONLY)))\n'
    process = start("changes", work := tmp_path / "work", body, "<&- >&- 2>&-")
    assert process.wait(30) == 0
    assert int(work.read_text()) > 2


@pytest.mark.parametrize(
    ("errors", "written"), [("strict", b"\\xfc \\udc80\n"), ("surrogateescape", b"\\xfc \x80\n")]
)
def test_what_the_encoding_lacks_is_written_all_the_same(tmp_path: Path, errors: str, written: bytes) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": f"ascii:{errors}"}
    process = start(
        "looks", tmp_path / "work", 'console._write(console._out, "ü \\udc80")\n', env=environment
    )
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, written), err


# --- unforeseen errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{}["a key"]', 1),
        ('thread = threading.Thread(target=lambda: {}["a key"]); thread.start(); thread.join()', 0),
    ],
)
def test_an_error_that_nobody_foresaw_is_one_line_and_its_traceback_is_for_debug(
    tmp_path: Path, body: str, status: int
) -> None:
    process = start("looks", tmp_path / "work", body)
    _, err = process.communicate(timeout=30)
    assert process.returncode == status
    assert err.decode().startswith("error: unforeseen error: KeyError: 'a key' (<string>, line ")
    assert "Traceback" not in err.decode()
    process = start("looks", tmp_path / "work", body, "--debug")
    assert b"Traceback" in process.communicate(timeout=30)[1]


# --- signals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_ignored_stays_ignored(number: signal.Signals) -> None:
    import threading

    before = signal.signal(number, signal.SIG_IGN)
    try:
        with handled(stop := threading.Event(), lambda: None, lambda: None):
            assert signal.getsignal(number) is signal.SIG_IGN
            os.kill(os.getpid(), number)
        assert not stop.is_set()
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_ctrl_c_that_is_ignored_from_the_start_stays_ignored_to_the_end() -> None:
    # As a shell does to what it starts in the background of a script.
    script = """
import os, signal
from deploy_lib.cli import startup
from deploy_lib.fleet import interruption
for step in (startup.begin, interruption.catch_interrupts, interruption.ignore_interrupts):
    step()
    os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
print("to the end")
"""
    command = ["sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, script]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "to the end\n", "")


def test_ctrl_c_while_the_commands_are_still_imported_is_one_line() -> None:
    script = """
import os, signal, sys
from deploy_lib.cli import startup
startup.begin()
os.kill(os.getpid(), signal.SIGINT)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")
