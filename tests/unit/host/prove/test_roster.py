from typing import Any

import pytest

from deploy_lib.compose.container import Container
from deploy_lib.config import Probe, load
from deploy_lib.host.prove.roster import judge, members
from deploy_lib.release.image import Image
from deploy_lib.values import replace
from tests import ROOT

NODE = load(ROOT, "lab").nodes["C"]
REGISTERED, SCRAPED = NODE.stack.probes
ONE, TWO = "1" * 64, "2" * 64
HOST = "ktrdr-workers-c.internal"


def container(service: str, container_id: str, *ports: int) -> Container:
    return Container(
        id=container_id,
        name=f"{service}-1",
        service=service,
        image=Image("h/x", "1"),
        image_id="",
        state="running",
        health="healthy",
        exit_code=0,
        restarts=0,
        started="",
        ports=ports,
    )


MEMBERS = members(
    NODE,
    [
        container("training-worker-1", TWO, 5005),
        container("backtest-worker-1", ONE, 5003),
        container("quiet", "3" * 64),
        container("node-exporter", "4" * 64, 9100),
    ],
)


def row(port: int, container_id: str, status: str = "available") -> dict[str, Any]:
    return {
        "worker_id": f"w-{HOST}-{port}-{container_id[:12]}",
        "endpoint_url": f"http://{HOST}:{port}",
        "status": status,
    }


GOOD = [row(5003, ONE), row(5005, TWO, "busy")]


def test_who_publishes_no_port_or_is_there_only_to_be_scraped_is_no_member() -> None:
    assert [(m.service, m.values["port"]) for m in MEMBERS] == [
        ("backtest-worker-1", "5003"),
        ("training-worker-1", "5005"),
    ]


def test_everybody_is_there_available_or_busy() -> None:
    other_node = {**row(5003, "9" * 64), "endpoint_url": "http://ktrdr-workers-b.internal:5003"}
    assert judge(REGISTERED, [other_node, *GOOD], MEMBERS) == ("", "")


@pytest.mark.parametrize(
    ("rows", "problem", "culprit"),
    [
        ([GOOD[0]], "training-worker-1", TWO),
        ([], "backtest-worker-1 is not in it", ONE),
        ([row(5003, ONE, "temporarily_unavailable"), GOOD[1]], 'status is "temporarily_unavailable"', ONE),
        # The predecessor's row, at the same endpoint and still available.
        ([row(5003, "8" * 64), GOOD[1]], "backtest-worker-1: worker_id is", ONE),
        # The container registered under another port than the one that it is reached at.
        ([row(5004, ONE), GOOD[1]], "backtest-worker-1 is not in it", ONE),
        ({"detail": "no"}, "answered no list", ""),
    ],
)
def test_what_is_missing_is_named(rows: object, problem: str, culprit: str) -> None:
    found, container_id = judge(REGISTERED, rows, MEMBERS)
    assert problem in found
    assert container_id == culprit


def test_a_list_may_lie_deeper() -> None:
    def answer(value: str) -> dict[str, Any]:
        return {
            "data": {
                "result": [
                    {"metric": {"instance": f"{HOST}:5003"}, "value": [1.5, "1"]},
                    {"metric": {"instance": f"{HOST}:5005"}, "value": [1.5, value]},
                ]
            }
        }

    assert judge(SCRAPED, answer("1"), MEMBERS) == ("", "")
    assert judge(SCRAPED, answer("0"), MEMBERS)[0] == 'training-worker-1: value.1 is "0", expected 1'
    assert "answered no list at data.result" in judge(SCRAPED, {}, MEMBERS)[0]


def test_a_star_of_the_probe_is_wild_and_one_of_a_value_is_not() -> None:
    probe = Probe(name="p", url="http://h:1/", entry={"name": "*-{port}"})  # type: ignore[arg-type]
    literal = replace(MEMBERS[0], values={"port": "*"})
    assert judge(probe, [{"name": "x-5"}], [literal])[0]
    assert judge(probe, [{"name": "x-*"}], [literal]) == ("", "")
