"""Questions to a person, on a terminal of their own."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

ASKING = """\
import sys
from deploy_lib.fleet.parallel import side_by_side
from deploy_lib.ssh.asking import Asker

def ask(name):
    asker = Asker()
    assert asker.there
    with asker.turn:
        if name == "who are you":
            return asker.answers("The server asks", [(f"{name}? ", True)])[0]
        return asker.secret(f"{name}? ")

try:
    for answer in side_by_side(sys.argv[1:], ask):
        print(f"({answer})")
except KeyboardInterrupt:
    print("error: interrupted")
    sys.exit(130)
"""


@dataclass
class Terminal:
    """A program on a terminal, as a person sees it."""

    process: subprocess.Popen[bytes]
    ours: int
    theirs: int
    shown: str = ""

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 20
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.ours], [], [], 0.1)[0]:
                self.shown += os.read(self.ours, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    @property
    def echo(self) -> bool:
        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)

    def ends(self) -> int:
        code = self.process.wait(timeout=20)
        while select.select([self.ours], [], [], 0)[0]:
            self.shown += os.read(self.ours, 4096).decode()
        return code


@pytest.fixture
def asked(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ASKING, *request.param],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env={**os.environ, "LANG": "C"},
    )
    yield Terminal(process, ours, theirs)
    process.kill()
    process.wait(timeout=10)
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("asked", [["one"], ["one", "two", "three"]], indirect=True)
def test_ctrl_c_at_a_question_ends_all_of_them_and_gives_the_terminal_back(asked: Terminal) -> None:
    asked.wait_for("? ")
    deadline = time.monotonic() + 10
    while asked.echo:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    asked.type("half of it\x03")
    assert asked.ends() == 130
    assert asked.echo
    assert "error: interrupted" in asked.shown
    assert asked.shown.count("? ") == 1
    assert "half" not in asked.shown
    assert "Traceback" not in asked.shown


@pytest.mark.parametrize("asked", [["one", "who are you"]], indirect=True)
def test_each_is_asked_in_its_turn_and_answers_are_shown_where_they_may_be(asked: Terminal) -> None:
    for _ in range(2):
        asked.wait_for("? ")
        hidden = not asked.echo
        asked.shown = asked.shown.replace("? ", "! ")
        asked.type("höchst geheim\n" if hidden else "somebody\n")
    assert asked.ends() == 0
    assert "(höchst geheim)" in asked.shown
    assert asked.shown.count("geheim") == 1, "it was shown while it was typed"
    assert asked.shown.count("somebody") == 2
    assert "The server asks" in asked.shown
    assert asked.echo


@pytest.mark.parametrize("asked", [["one"]], indirect=True)
def test_the_end_of_input_is_no_answer_and_no_fault(asked: Terminal) -> None:
    asked.wait_for("? ")
    asked.type("\x04")
    assert asked.ends() == 0
    assert "()" in asked.shown


@pytest.mark.parametrize("asked", [["one", "two"]], indirect=True)
def test_a_signal_from_elsewhere_is_like_ctrl_c(asked: Terminal) -> None:
    asked.wait_for("? ")
    asked.process.send_signal(signal.SIGINT)
    assert asked.ends() == 130
    assert asked.echo
