"""What containers have mounted, as Docker says it, and what a Compose file wants."""

from pathlib import PurePosixPath

import pytest

from deploy_lib.compose.mounts import Held, at, read_held, wanted
from deploy_lib.compose.service import Mount, Service
from deploy_lib.release.image import Image

HOME = PurePosixPath("/opt/shop")


def service(*mounts: Mount, **spec: object) -> Service:
    return Service("web", Image("x"), mounts=mounts, spec=spec)


def test_mounts_of_a_container_are_read_as_docker_inspect_has_them() -> None:
    volume = {
        "Type": "volume",
        "Name": "v",
        "Source": "/var/lib/docker/volumes/v/_data",
        "Destination": "/d",
        "RW": True,
    }
    bind = {"Type": "bind", "Source": "/srv/x", "Destination": "/x", "RW": False}
    assert read_held(volume) == Held("volume", "v", "/d")
    assert read_held(bind) == Held("bind", "/srv/x", "/x", writable=False)


@pytest.mark.parametrize(
    ("source", "nameless"), [("", True), ("a" * 64, True), ("shop_data", False), ("a" * 63, False)]
)
def test_a_volume_without_a_name_has_none_or_one_that_docker_made(source: str, nameless: bool) -> None:
    assert Held("volume", source, "/d").anonymous is nameless


def test_what_a_service_wants_has_the_names_and_paths_of_the_host() -> None:
    found = wanted(
        service(
            Mount("volume", "data", "/data/", "shop_data"),
            Mount("bind", "rows/", "/rows"),
            Mount("bind", "/mnt/x", "/x", writable=False),
            Mount("volume", "", "/nameless"),
            tmpfs=["/memory:size=1m"],
        ),
        {},
        HOME,
    )
    assert found == (
        Held("volume", "shop_data", "/data"),
        Held("bind", "/opt/shop/rows", "/rows"),
        Held("bind", "/mnt/x", "/x", writable=False),
        Held("volume", "", "/nameless"),
        Held("tmpfs", "", "/memory"),
    )


def test_what_it_has_from_another_service_counts() -> None:
    services = {
        "web": service(volumes_from=["db:ro", "container:other"]),
        "db": Service(
            "db",
            Image("x"),
            mounts=(Mount("volume", "data", "/data", "shop_data"),),
            spec={"volumes_from": ["web"]},
        ),
    }
    assert wanted(services["web"], services, HOME) == (Held("volume", "shop_data", "/data", writable=False),)


def test_the_innermost_mount_counts() -> None:
    outer, inner = Held("volume", "a", "/data"), Held("volume", "b", "/data/inner")
    assert at((outer, inner), "/data/inner/x") == inner
    assert at((outer, inner), "/data/innermost") == outer
    assert at((outer, inner), "/srv") is None
    assert inner.place_of("/data/inner/x/y") == "x/y"
