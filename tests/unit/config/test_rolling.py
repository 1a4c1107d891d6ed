"""The tables of rolling services, and the gateways that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy_lib.config import parse
from deploy_lib.errors import UsageError
from deploy_lib.host.gateways import Gateway
from deploy_lib.host.gateways.haproxy import HAProxy
from tests.unit import sample

OWN = """\
from typing import Literal

from deploy_lib.host.gateways import Gateway


class Doorman(Gateway):
    bell: str

    def sends(self) -> str: return "true"
    def takes(self) -> str: return "true"
    def quiet(self) -> str: return "true"
    def told_any(self) -> str: return "true"
    def finds(self) -> str: return "true"
    def forgets(self) -> str: return "true"
"""


REPLICAS = '[stacks.shop.replicas]\njob = ["job-1", "job-2"]\n\n'


def rolling(table: str, root: Path | None = None) -> Any:
    return parse(f"{sample.DEPLOY}\n{REPLICAS}{table}", root).stacks["shop"].rolling


def test_without_a_word_the_gateway_is_haproxy_and_called_so() -> None:
    (found,) = rolling('[[stacks.shop.rolling]]\nservice = "web"')
    assert isinstance(found, HAProxy)
    assert (found.gateway, found.at_once, found.drain_timeout) == ("gateway", False, 60)


def test_another_gateway_is_one_file_beside_deploy_toml(tmp_path: Path) -> None:
    (tmp_path / "doorman.py").write_text(OWN)
    table = '[[stacks.shop.rolling]]\nservice = "web"\nprogram = "doorman.py"\nbell = "/run/bell"'
    (found,) = rolling(table, tmp_path)
    assert isinstance(found, Gateway)
    assert "gate_forgets() (\ntrue\n)" in found.functions


def test_a_table_may_be_for_a_kind_of_replicas() -> None:
    (found,) = rolling('[[stacks.shop.rolling]]\nkind = "job"\nlog = "ready"')
    assert (found.kind, found.log) == ("job", "ready")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "rolling.0.service: this key is missing"),
        ('service = "web"\nprogram = "haproxi"', "there is no gateway 'haproxi', did you mean 'haproxy'?"),
        ('service = "web"\nsoket = "/x"', "soket: unknown key"),
        ('service = "web"\nsocket = "relative"', "rolling.0.socket"),
        ('service = "web"\ndrain_timeout = 0', "drain_timeout"),
        ('service = "web"\nat_once = "yes"', "at_once"),
        ('service = "web"\ngateway = "web"', "web cannot be its own gateway"),
        ('kind = "jab"', "there are no replicas of a kind 'jab'; there are job"),
        ('kind = "job"\ngateway = "gateway"', "gateway: unknown key"),
        ('kind = "job"\n[[stacks.shop.rolling]]\nkind = "job"', "two of them are for the kind 'job'"),
        (
            'service = "web"\n[[stacks.shop.rolling]]\nservice = "web"',
            "two of them are for the service 'web'",
        ),
    ],
)
def test_a_wrong_table_is_refused_by_its_key(table: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"stacks\.shop") as caught:
        rolling(f"[[stacks.shop.rolling]]\n{table}")
    assert said in str(caught.value)
