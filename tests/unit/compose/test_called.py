"""What containers are called."""

from __future__ import annotations

from deploy_lib.compose.called import by_name
from deploy_lib.compose.labels import NUMBER
from tests.unit import build


def test_the_one_that_is_there_has_its_services_name_whatever_its_number() -> None:
    made = {f"{s}{n}": build.container(id=f"{s}{n}", service=s, labels={NUMBER: n}) for s, n in SEVERAL}
    called = {name: container.id for name, container in by_name(made.values())}
    assert called == {"db": "db7", "web": "web2", "web-2": "web9", "web-3": "web10"}


SEVERAL = [("web", "10"), ("web", "9"), ("db", "7"), ("web", "2")]
