from collections.abc import Callable, Sequence
from typing import Any

import pytest

from deploy_lib.fleet import deploy as fleet


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """How many nodes at once each step of a fleet is done on, in the order of the steps; None for all."""
    asked: list[int | None] = []
    side_by_side = fleet.side_by_side

    def watched(items: Sequence[Any], work: Callable[[Any], object], limit: int | None = None) -> None:
        asked.append(limit)
        side_by_side(items, work, limit)

    monkeypatch.setattr(fleet, "side_by_side", watched)
    return asked
