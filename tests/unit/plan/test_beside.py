"""Which files are the checkout's, which stay, and which the chosen service gets at a place of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NoReturn

import pytest

from deploy_lib.compose.model import read_model
from deploy_lib.compose.service import Service
from deploy_lib.plan.beside import Files
from deploy_lib.release.files import Entry, marks


class RefusedError(Exception):
    """What was refused, and with which services it could be had."""


def refuse(what: str, more: Iterable[str]) -> NoReturn:
    raise RefusedError(what, sorted(more))


def service(*paths: str, writable: bool = False) -> Service:
    mounts = [
        {"type": "bind", "source": f"/t/{path}", "target": f"/{path}", "read_only": not writable}
        for path in paths
    ]
    return read_model(json.dumps({"services": {"web": {"image": "x", "volumes": mounts}}}), "/t")["web"]


OLD = {"conf/a": Entry(b"a"), "conf/b": Entry(b"b"), "app.env": Entry(b"e")}


def files(data: tuple[str, ...] = (), **changed: Entry | None) -> Files:
    new = {path.replace("__", "/").replace("_env", ".env"): each for path, each in changed.items()}
    checkout = {path: each for path, each in {**OLD, **new}.items() if each is not None}
    return Files(marks(OLD), checkout, inputs=("app.env",), data=data, chosen=["web"])


def test_what_no_other_mounts_is_taken_also_when_it_is_gone() -> None:
    found = files(conf__a=Entry(b"new"), conf__b=None, conf__c=Entry(b"c"))
    assert found.take(service("conf"), {"other": service("else")}, refuse) == {}
    assert found.marks == marks({"conf/a": Entry(b"new"), "conf/c": Entry(b"c"), "app.env": Entry(b"e")})
    assert set(found.entries) == {"conf/a", "conf/c"}


def test_what_the_chosen_service_does_not_mount_stays() -> None:
    found = files(conf__a=Entry(b"new"), conf__b=Entry(b"new"))
    found.take(service("conf/a"), {}, refuse)
    assert found.marks["conf/b"] == marks(OLD)["conf/b"]


def test_what_others_mount_or_compose_reads_is_copied_as_a_whole() -> None:
    found = files(conf__a=Entry(b"new", mode=0o755))
    assert found.take(service("conf"), {"other": service("conf/a")}, refuse) == {
        "conf": "deploy-services/web/conf"
    }
    assert found.marks["conf/a"] == marks(OLD)["conf/a"]
    assert found.entries["deploy-services/web/conf/a"].mode == 0o755
    assert found.entries["deploy-services/web/conf/b"].content == b"b"
    read = files(app_env=Entry(b"new"))
    assert read.take(service("app.env", writable=True), {}, refuse) == {
        "app.env": "deploy-services/web/app.env"
    }


def test_a_copy_of_an_earlier_time_goes() -> None:
    own = marks({"deploy-services/web/conf/a": Entry(b"x"), "deploy-services/db/conf/a": Entry(b"x")})
    found = Files({**marks(OLD), **own}, OLD, (), (), ["web"])
    found.take(service("conf"), {"db": service("conf")}, refuse)
    assert [path for path in found.marks if path.startswith("deploy-services")] == [
        "deploy-services/db/conf/a"
    ]


@pytest.mark.parametrize(
    ("found", "mounts"),
    [
        (files(conf__a=Entry(b"new")), service("conf", writable=True)),
        (files(conf__a=Entry(b"new"), data=("conf/uploads",)), service("conf")),
        (files(conf__a=Entry(target="../elsewhere")), service("conf")),
    ],
)
def test_what_would_be_missed_in_a_copy_is_refused(found: Files, mounts: Service) -> None:
    with pytest.raises(RefusedError, match="conf was changed, and other would see that as well") as refused:
        found.take(mounts, {"other": service("conf/a")}, refuse)
    assert refused.value.args[1] == ["other"]
