"""What all tiers have in common."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import settings

from . import sharing

# How long an example takes says nothing on a busy machine; and a run that fails is to fail again.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, says which ones stay together, and which come first."""
    if not getattr(config, "workerinput", None):
        return
    pieces = sharing.pieces([sharing.look(item) for item in items])
    for name, places in pieces:
        for place in places:
            # As xdist's own marker does it; but that counts only before tests are left out, and these are not to be weighed.
            items[place]._nodeid += f"@{name}"
    items[:] = [items[place] for _, places in pieces for place in places]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """The last line but pytest's own says how long the whole command took."""
    began = os.environ.get("RUN_BEGAN")
    if began is not None:
        minutes, seconds = divmod(int(time.time() - float(began)), 60)
        ended = "passed" if exitstatus == 0 else "FAILED"
        terminalreporter.write_line(f"the whole run {ended} after {minutes} min {seconds} s")
