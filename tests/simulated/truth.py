"""What a real Engine answered to the calls in truth.sh, and what the simulated one does: the same, in terms of both.

`python -m tests.simulated.truth < answers` prints what to put into truth.json: answers of a real host, of which one has been asked
by `sh -s < tests/simulated/truth.sh` with an empty working directory and `IMAGE` in its environment.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
SCRIPT, RECORDED = HERE / "truth.sh", HERE / "truth.json"
IMAGE = "prom/node-exporter:v1.9.1"


def parts(said: str) -> dict[str, object]:
    """The answers by what was asked, without what differs from run to run."""
    found: dict[str, object] = {}
    for part in re.split(r"^=== ", said, flags=re.MULTILINE)[1:]:
        name, _, answer = part.partition("\n")
        found[name] = json.loads(answer) if answer.startswith("{") else [*_lines(answer)]
    return found


def _lines(answer: str) -> list[str]:
    # A port that the image exposes and nobody publishes.
    answer = re.sub(r',?"9100/tcp":null', "", answer)
    answer = re.sub(r"sha256:[0-9a-f]{64}", "SHA256", answer)
    answer = re.sub(r"\b[0-9a-f]{12}(?=_|\b)", "ID", answer)
    # Compose lists what a service depends on in any order.
    answer = re.sub(r"\S+:false(,\S+:false)+", lambda m: ",".join(sorted(m[0].split(","))), answer)
    return [line.rstrip() for line in answer.splitlines() if line.strip()]


if __name__ == "__main__":
    print(json.dumps(parts(sys.stdin.read()), indent=1))  # noqa: T201 - that is what it is for
