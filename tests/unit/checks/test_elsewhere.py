"""A stack that runs here already is found by each of the signs that it leaves, and the line for deploy.toml is given."""

from typing import Any

import pytest

from deploy_lib.checks.elsewhere import check_elsewhere
from deploy_lib.compose.port import Port
from deploy_lib.compose.publisher import Publisher
from deploy_lib.compose.service import Made, Mount, Service
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.machine import Machine
from deploy_lib.release.image import Image
from deploy_lib.values import replace
from tests.unit import build

WEB = Service("web", Image("h/web", "2"), ports=(Port(8000),), spec={"container_name": "the-web"})
DB = Service("db", Image("postgres", "17"))
OTHER = Publisher("x", "old-shop", frozenset(), directory="/srv/old", service="jobs", image="h/jobs:1")


def facts(*found: Publisher, **more: Any) -> Facts:
    return Facts(services={"web": WEB, "db": DB}, machine=Machine(publishers=found), **more)


@pytest.mark.parametrize(
    ("found", "sign", "line"),
    [
        (
            replace(OTHER, directory="/opt/shop"),
            "lies in /opt/shop",
            'put project = "old-shop" into the node A',
        ),
        (
            replace(OTHER, name="the-web"),
            "has the container the-web",
            'project = "old-shop" and directory = "/srv/old" into the node A',
        ),
        (
            replace(OTHER, service="web", ports=frozenset({Port(8000, address="0.0.0.0")})),
            "started in /srv/old, holds the port 8000",
            'project = "old-shop" and directory = "/srv/old"',
        ),
        (
            Publisher("the-web", "", frozenset()),
            "what was started here without Compose has the container the-web",
            "docker rm -f",
        ),
    ],
)
def test_each_sure_sign_stops_a_deployment(found: Publisher, sign: str, line: str) -> None:
    check = check_elsewhere(build.node(), "shop", facts(found))
    assert check.result == "failed"
    assert sign in check.problem
    assert "shop would stand beside it" in check.problem
    assert line in check.hint


def test_what_writes_to_the_same_volume_stops_a_deployment_whatever_it_is_called() -> None:
    rows = Mount("volume", "rows", "/rows", "rows")
    made = (Made("volume", "rows", "rows"),)
    writer = replace(OTHER, volumes=frozenset({"rows"}))

    def found(db: Service, other: Publisher = writer) -> Any:
        return check_elsewhere(build.node(), "shop", replace(facts(other), services={"db": db}))

    check = found(replace(DB, mounts=(rows,), made=made))
    assert check.result == "failed"
    assert (
        "old-shop, started in /srv/old, writes to the volume rows: shop would stand beside it, and write to the same"
        in check.problem
    )
    assert "docker rm -f" in found(replace(DB, mounts=(rows,), made=made), replace(writer, project="")).hint
    # One that is external is shared on purpose; and who only reads does no harm.
    assert found(replace(DB, mounts=(rows,))).result == "ok"
    assert found(replace(DB, mounts=(replace(rows, writable=False),), made=made)).result == "ok"


def test_the_same_services_from_the_same_images_are_warned_of() -> None:
    both = [
        replace(OTHER, name=f"a-{name}", service=name, image=image)
        for name, image in (("web", "h/web:1"), ("db", "docker.io/library/postgres:15"))
    ]
    check = check_elsewhere(build.node(), "shop", facts(*both))
    assert (check.result, "has the services db, web" in check.problem) == ("warning", True)
    assert check_elsewhere(build.node(), "shop", facts(both[0])).result == "ok"


@pytest.mark.parametrize(
    "found",
    [
        OTHER,
        # Another project may hold the port: that is for the check of the ports.
        replace(OTHER, ports=frozenset({Port(8000, address="0.0.0.0")})),
        replace(OTHER, project="shop", directory="/opt/shop"),
        Publisher("x", "", frozenset({Port(8000, address="0.0.0.0")})),
    ],
)
def test_what_is_somebody_elses_is_none_of_it(found: Publisher) -> None:
    assert check_elsewhere(build.node(), "shop", facts(found)).result == "ok"


def test_what_runs_under_its_own_name_and_another_node_are_none_of_it() -> None:
    found = replace(OTHER, name="the-web")
    assert check_elsewhere(build.node(), "shop", facts(found, containers=(build.container(),))).result == "ok"
    assert check_elsewhere(build.node(), "shop", facts(found), others={"/srv/old"}).result == "ok"
