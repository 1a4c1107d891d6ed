"""Gives the pieces that `sharing` cuts to the processes of pytest-xdist, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from . import sharing


class Scheduling(LoadScopeScheduling):
    """xdist's own, for pieces of any kind: its `--dist loadgroup` does nothing under pytest 9.2.

    Args:
        agreed: the folder in which the processes have said what belongs together.
    """

    def __init__(self, config: pytest.Config, log: Any, agreed: Path) -> None:
        super().__init__(config, log)
        # The order is that of `sharing`, and not by the number of tests.
        config.option.loadscopereorder = False
        self._agreed = agreed
        self._pieces: dict[str, str] = {}

    def schedule(self) -> None:
        self._pieces = self._pieces or sharing.agreed(self._agreed)
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self._pieces[nodeid]
