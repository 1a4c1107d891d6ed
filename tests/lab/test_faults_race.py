"""Two deployments at once: one wins, the other is told who did."""

import re
from pathlib import Path

import pytest

from .conftest import FIRST
from .faults import Bench, Command, again, edit


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=[pytest.mark.full, pytest.mark.timeout(1800)])])
def test_exactly_one_wins(bench: Bench, checkout: Path, rounds: int) -> None:
    since = bench.count()
    rules = checkout / "monitoring/prometheus/rules/ktrdr.yml"
    edit(rules, "groups:", "# round 0\ngroups:")
    for number in range(1, rounds + 1):
        edit(rules, f"# round {number - 1}\n", f"# round {number}\n")
        # Both are at the lock when it opens.
        with bench.stuck("-n 9", "flock"):
            racers = [Command("deploy-core", "--tag", FIRST, root=checkout) for _ in range(2)]
            bench.reached(2)
        codes = sorted(racer.end() for racer in racers)
        assert codes == [0, 4], "\n".join(racer.said for racer in racers)
        loser = next(racer for racer in racers if racer.process.returncode == 4)
        assert re.search(r"holds the lock: \S+ on \S+, since \S+, for deploy-core", loser.said), loser.said
    assert bench.kinds(since) == ["started", "proven"] * rounds
    bench.invariants(FIRST)
    assert again("deploy-core", "--tag", FIRST, root=checkout).core["outcome"] == "unchanged"
