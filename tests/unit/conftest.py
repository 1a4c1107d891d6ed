from collections.abc import Callable, Sequence
from typing import Any

import pytest

from deploy_lib.fleet import each


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """How many nodes at once each step of a fleet is done on, in the order of the steps; None for all."""
    asked: list[int | None] = []
    side_by_side = each.side_by_side

    def watched(items: Sequence[Any], work: Callable[[Any], Any], limit: int | None = None) -> list[Any]:
        asked.append(limit)
        return side_by_side(items, work, limit)

    monkeypatch.setattr(each, "side_by_side", watched)
    return asked
