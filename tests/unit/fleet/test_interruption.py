"""Signals while hosts are being changed."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from deploy_lib.fleet.interruption import catch_interrupts, handled, ignore_interrupts
from deploy_lib.output.console import Console


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_stops_and_each_further_one_hurries(number: signal.Signals) -> None:
    stop, said = threading.Event(), []
    with handled(stop, lambda: said.append("first"), lambda: said.append("again")):
        for _ in range(3):
            os.kill(os.getpid(), number)
            time.sleep(0.01)
        assert stop.is_set()
    assert sorted(said) == ["again", "again", "first"]


@pytest.mark.timeout(20)
def test_a_signal_that_comes_in_the_middle_of_a_line_does_not_stand_in_its_own_way(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console, stop = Console(), threading.Event()
    # As the line that is being written has it.
    with handled(stop, lambda: console.say("interrupted"), lambda: None), console._lock:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(5)
    assert "interrupted" in capsys.readouterr().err


def test_ctrl_c_while_the_result_is_told_does_not_change_it() -> None:
    # The last thing that Python calls before it gives up its own handlers.
    script = """
import atexit, os, signal, sys
from deploy_lib.fleet.interruption import ignore_interrupts
atexit.register(lambda: print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN))
ignore_interrupts()
os.kill(os.getpid(), signal.SIGINT)
print("told")
sys.exit(11)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (told.returncode, told.stdout, told.stderr) == (11, "told\nTrue\n", "")


def test_the_next_command_of_the_process_hears_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atexit.register", lambda *_: None)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ignore_interrupts()
        os.kill(os.getpid(), signal.SIGINT)
        catch_interrupts()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_else_ends_a_process_ends_a_command_with_its_outcome(number: signal.Signals) -> None:
    script = f"""
import os
from deploy_lib.fleet.interruption import catch_interrupts, ignore_interrupts
catch_interrupts()
try:
    os.kill(os.getpid(), {int(number)})
except KeyboardInterrupt:
    ignore_interrupts()
    os.kill(os.getpid(), {int(number)})
    print("told")
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (told.returncode, told.stdout, told.stderr) == (0, "told\n", "")


def test_what_is_ignored_from_the_start_stays_so() -> None:
    script = """
import os, signal
from deploy_lib.fleet.interruption import catch_interrupts
signal.signal(signal.SIGHUP, signal.SIG_IGN)
catch_interrupts()
os.kill(os.getpid(), signal.SIGHUP)
print("told")
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (0, "told\n")


def test_afterwards_signals_are_what_they_were() -> None:
    before = signal.getsignal(signal.SIGINT)
    with handled(threading.Event(), lambda: None, lambda: None):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
