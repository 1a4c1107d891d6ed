"""What the simulated Docker was taught is what a real Engine answers."""

import json

import pytest

from lab import hosts
from lab.layout import Lab
from tests.simulated.truth import IMAGE, RECORDED, SCRIPT, parts

PLACE = "/tmp/truth"


@pytest.mark.full
def test_a_real_engine_answers_as_the_simulated_one_does(lab: Lab) -> None:
    script = f"mkdir -p {PLACE} && cd {PLACE} && export IMAGE={IMAGE}\n{SCRIPT.read_text()}"
    said = hosts.execute(lab, "C", "sh", stdin=script.encode())
    assert parts(said) == json.loads(RECORDED.read_text())
