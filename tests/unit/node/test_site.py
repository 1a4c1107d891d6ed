"""A node's host as a command reaches it: what Prometheus is told, and when that may fail."""

import io
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import cast

import pytest

from deploy_lib.errors import RemoteError
from deploy_lib.host.change.targets import Scraper
from deploy_lib.node.site import Site
from deploy_lib.output.console import Console
from deploy_lib.ssh.session import Session
from tests.unit.plan.test_decide import case


def test_a_host_goes_back_also_where_prometheus_cannot_be_told() -> None:
    def follow(*_: object) -> bool:
        raise RemoteError("the SSH session has ended")

    said = io.StringIO()
    scraper = cast(Scraper, SimpleNamespace(follow=follow, path=PurePosixPath))
    site = Site(case(), cast(Session, SimpleNamespace()), Console(err=said), scraper)
    with pytest.raises(RemoteError):
        site.follow(())
    site.follow_back(())
    assert "Prometheus still has those of before: the SSH session has ended" in said.getvalue()
