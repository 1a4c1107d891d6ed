"""What all tiers have in common."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from coverage import Coverage
from hypothesis import settings

from . import measured, sharing

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

# How long an example takes says nothing on a busy machine; and a run that fails is to fail again.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

AGREED = pytest.StashKey[tempfile.TemporaryDirectory[str]]()
"""The folder in which the processes tell who is to do what."""


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    if AGREED not in node.config.stash:
        node.config.stash[AGREED] = tempfile.TemporaryDirectory()
    node.workerinput["pieces"] = node.config.stash[AGREED].name


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, says which ones stay together, and which come first."""
    told: dict[str, Any] | None = getattr(config, "workerinput", None)
    if told is not None:
        items[:] = sharing.agree(items, Path(told["pieces"]), told["workerid"])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from .scheduling import Scheduling

    return Scheduling(config, log, Path(config.stash[AGREED].name))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    measured.begin(item.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes down what this process ran: one that shares the tests is given ten seconds to end, then it is killed."""
    if hasattr(session.config, "workerinput") and (measuring := Coverage.current()):
        measuring.stop()
        measuring.save()
