import json
from typing import Any

from deploy_lib.checks import check_replicas
from deploy_lib.compose.model import read_model
from deploy_lib.host.look.facts import Facts
from tests.unit import build

NODE = build.node(replicas={"worker": ("job-1", "job-2", "job-3")})


def said(**numbers: Any) -> list[str]:
    services = {
        name: {"image": "x:1", "deploy": {"replicas": number}}
        for name, number in zip(("job-1", "job-2"), numbers.values(), strict=True)
    }
    model = read_model(json.dumps({"services": services}))
    facts = Facts(services=model, rendered={"JOB_1": "1", "JOB_2": "0", "JOB_3": "0"})
    return [check.problem for check in check_replicas(NODE, facts)]


def test_a_replica_has_as_many_containers_as_it_is_told() -> None:
    assert said(first=1, second=0) == ["", ""]
    # One that is not there is another check's matter.
    assert said(first=1, second=1) == ["", "job-2 has 1 containers whatever ${JOB_2} says, and it says 0"]


def test_without_replicas_nothing_is_checked() -> None:
    assert list(check_replicas(build.node(), Facts(rendered={"JOB_1": "1"}))) == []
