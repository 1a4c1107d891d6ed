"""Patches: which services get one, and what a host lacks of it."""

import json
from concurrent.futures import Future
from pathlib import Path

import pytest

from deploy_lib.compose.model import read_model
from deploy_lib.errors import UsageError
from deploy_lib.host.look.layers import Stock
from deploy_lib.plan.patch import choose, make_shipment, names, nearest, shown, users
from deploy_lib.release.content import Content, Layer, sha256
from deploy_lib.release.image import Image
from deploy_lib.source.archive import Archive
from deploy_lib.source.offer import Offer
from tests.unit.made import config, saved, tar

PLAIN = [b"base", b"middle", b"top"]
DIFFS = tuple(sha256(each) for each in PLAIN)
LAYERS = tuple(Layer(diff, diff, len(each)) for diff, each in zip(DIFFS, PLAIN, strict=True))
CONTENT = Content(config(PLAIN), "linux/amd64", LAYERS)
SERVICES = read_model(
    json.dumps(
        {
            "services": {
                "web": {"image": "registry.example/house/shop:1"},
                "admin": {"image": "registry.example/house/shop:1"},
                "db": {"image": "postgres:17"},
                "built": {"build": {"context": "."}},
            }
        }
    )
)


def offer(name: str, reference: str = "shop:patch") -> Offer:
    return Offer(name, reference, Future())


def test_a_name_is_a_services_or_an_images() -> None:
    assert users(offer("web"), SERVICES) == ["web"]
    assert (
        users(offer("shop"), SERVICES)
        == users(offer("registry.example/house/shop"), SERVICES)
        == ["admin", "web"]
    )
    assert users(offer("postgres"), SERVICES) == ["db"]
    assert (
        users(offer("house"), SERVICES) == users(offer("hop"), SERVICES) == users(offer(""), SERVICES) == []
    )
    assert {"web", "db", "shop", "postgres", "built"} <= names(SERVICES)


def test_a_service_gets_one_image() -> None:
    shop = offer("shop")
    assert choose([shop], SERVICES) == {"web": shop, "admin": shop}
    assert choose([shop], SERVICES, only=["web", "db"]) == {"web": shop}
    assert choose([shop, offer("web")], SERVICES)["admin"] is shop
    with pytest.raises(
        UsageError, match="web would get two images: --image shop=shop:patch and --image web=other:1"
    ):
        choose([shop, offer("web", "other:1")], SERVICES)


def test_the_classic_store_lacks_what_follows_the_layers_that_it_has() -> None:
    for images, count in (
        ({}, 0),
        ({"sha256:a": DIFFS[:1], "sha256:b": DIFFS[:2]}, 2),
        # The same files above others are another layer to that store.
        ({"sha256:c": (DIFFS[1], DIFFS[2])}, 0),
        ({"sha256:d": DIFFS}, 3),
    ):
        made = make_shipment(offer("shop"), CONTENT, Stock(False, images), (), "shop")
        assert (made.lacking, made.there) == (LAYERS[count:], False)
        assert made.image == Image.parse(CONTENT.digest)
        assert made.image.keep_tag("shop") in made.files["manifest.json"].decode()
    there = make_shipment(offer("shop"), CONTENT, Stock(False, {CONTENT.digest: DIFFS}), (), "shop")
    assert (there.lacking, there.there, there.diffs) == ((), True, DIFFS)


def test_containerds_store_is_told_of_layers_as_it_has_them() -> None:
    packed = tuple(Layer(diff, sha256(b"packed" + diff.encode()), 10, "gzip") for diff in DIFFS[:2])
    stock = Stock(True, {"sha256:a": DIFFS[:2]})
    made = make_shipment(offer("shop"), CONTENT, stock, packed, "shop")
    assert made.lacking == LAYERS[2:]
    whole = CONTENT.beginning_with(packed)
    assert made.image == Image.parse(sha256(whole.manifest))
    assert made.image.keep_tag("shop") in made.files["index.json"].decode()
    # Where it is not known how they are packed, all of it is sent.
    assert make_shipment(offer("shop"), CONTENT, stock, (), "shop").lacking == LAYERS
    # Once it is there, the same is asked for and nothing is sent.
    later = Stock(True, {"sha256:a": DIFFS[:2], str(made.image): DIFFS})
    again = make_shipment(offer("shop"), CONTENT, later, whole.layers, "shop")
    assert (again.image, again.there, again.lacking) == (made.image, True, ())


def test_a_layer_that_an_image_has_twice_is_sent_once() -> None:
    twice = Content(config([b"base", b"base"]), "linux/amd64", (LAYERS[0], LAYERS[0]))
    assert make_shipment(offer("shop"), twice, Stock(False, {}), (), "shop").lacking == LAYERS[:1]


def test_the_nearest_image_is_the_one_that_has_most_and_counts_first() -> None:
    images = {
        "sha256:a": DIFFS[:1],
        "sha256:b": DIFFS[:2],
        "sha256:c": (*DIFFS[:2], "sha256:other"),
        "sha256:d": ("sha256:x",),
    }
    assert nearest(CONTENT, Stock(True, images)) == "sha256:b"
    assert nearest(CONTENT, Stock(True, images), ["sha256:c"]) == "sha256:c"
    assert nearest(CONTENT, Stock(True, {"sha256:d": ("sha256:x",)})) is None
    assert nearest(CONTENT, Stock(True)) is None


def test_a_record_has_what_it_was_called_and_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "shop.tar"
    path.write_bytes(tar(saved(PLAIN)))
    opening: Future[Archive] = Future()
    opening.set_result(Archive(path.open("rb")))
    given = Offer("shop", str(path), opening)
    assert shown(given, given.archive.contents[0]) == f"shop.tar {CONTENT.digest}"
