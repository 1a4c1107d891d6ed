"""A sample backtest: a moving-average rule over made-up prices, the same for the same parameters on any machine."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

State = dict[str, Any]
"""Everything that the next step needs; it goes through JSON and back between two containers."""


def begin() -> State:
    """Before the first step."""
    return {"step": 0, "price": 100.0, "average": 100.0, "cash": 10_000.0, "units": 0.0, "trades": 0}


def advance(state: Mapping[str, Any], symbol: str) -> State:
    """One step further."""
    step = state["step"] + 1
    # Seeded by the step: a run that was resumed sees the prices that an uninterrupted one would have seen.
    change = random.Random(f"{symbol}:{step}").gauss(0.0002, 0.01)  # noqa: S311 - prices, not keys
    price = state["price"] * (1 + change)
    average = state["average"] * 0.9 + price * 0.1
    cash, units, trades = state["cash"], state["units"], state["trades"]
    if price > average and not units:
        cash, units, trades = 0.0, cash / price, trades + 1
    elif price < average and units:
        cash, units, trades = units * price, 0.0, trades + 1
    return {"step": step, "price": price, "average": average, "cash": cash, "units": units, "trades": trades}


def summary(state: Mapping[str, Any]) -> dict[str, Any]:
    """What came of it."""
    equity = state["cash"] + state["units"] * state["price"]
    return {
        "steps": state["step"],
        "trades": state["trades"],
        "final_equity": round(equity, 2),
        "return_percent": round((equity / 10_000 - 1) * 100, 2),
    }
