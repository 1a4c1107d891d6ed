"""Some services by themselves: what is the checkout's, what stays, and what is refused."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import pytest

from deploy_lib.compose.model import read_model
from deploy_lib.compose.service import Service
from deploy_lib.errors import PreflightError
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.plan.alone import Alone, parts_of, release_alone
from deploy_lib.plan.desired import Desired
from deploy_lib.release.files import Entry, marks
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release, Version
from deploy_lib.values import replace
from tests.unit import build

NODE = build.node("/opt/shop", data=("deploy/uploads",))
OLD, NEW = (Image.parse(f"h/x:{tag}@sha256:{digit * 64}") for tag, digit in ((1, "a"), (2, "b")))
FILES = {
    "compose.yml": b"old",
    "shop.env": b"A=1\n",
    "conf/both.conf": b"old",
    "conf/web.conf": b"old",
    "conf/db.conf": b"old",
}


def bind(path: str, *, writable: bool = False) -> dict[str, Any]:
    return {"type": "bind", "source": f"@/{path}", "target": f"/{path}", "read_only": not writable}


WEB: dict[str, Any] = {"volumes": [bind("conf/both.conf"), bind("conf/web.conf")]}
DB: dict[str, Any] = {"volumes": [bind("conf/both.conf"), bind("conf/db.conf")]}


def rendered(specs: dict[str, Any]) -> dict[str, Service]:
    data = {"services": {name: {"image": "h/x:1", **spec} for name, spec in specs.items()}}
    return read_model(json.dumps(data).replace("@", "/opt/shop"), "/opt/shop")


def host(
    files: dict[str, bytes] = FILES, secrets: dict[str, str] | None = None, **specs: dict[str, Any]
) -> Facts:
    """A host that runs these services from these files."""
    specs = specs or {"web": WEB, "db": DB}
    lying = marks({path: Entry(content) for path, content in files.items()}) | {"release.yml": "r"}
    release = Release(
        "r1", "one", None, dict.fromkeys(specs, OLD), lying, secrets or {},
        dict.fromkeys(specs, 1), compose_files=("compose.yml",), env_files=("shop.env",), places=(),
    )  # fmt: skip
    return Facts(files=lying, history=(event("proven", release),), deployed=rendered(specs))


def alone(changed: dict[str, bytes] | None = None, **specs: dict[str, Any]) -> Alone:
    """The chosen services as a checkout has them, in which some files are others."""
    chosen = rendered(specs)
    files = {**FILES, **(changed or {})}
    return Alone(
        node=NODE,
        services=chosen,
        images=dict.fromkeys(chosen, OLD),
        secrets={},
        files={path: Entry(content) for path, content in files.items()},
        project=(("compose.yml",), ("shop.env",)),
        inputs=("compose.yml", "shop.env"),
    )


def made(what: Alone, facts: Facts | None = None) -> Desired:
    return release_alone(what, facts or host(), "r2", Version("two"))


def changed(found: Desired, facts: Facts | None = None) -> set[str]:
    """The paths whose marks differ from those of the release before, without what each release generates."""
    before = (facts or host()).files
    paths = {p for p in {*before, *found.release.files} if before.get(p) != found.release.files.get(p)}
    return paths - {"release.yml"}


def test_a_part_that_was_not_edited_stays_whatever_else_the_checkout_has() -> None:
    found = made(alone({"compose.yml": b"new", "shop.env": b"B=2\n", "conf/db.conf": b"new"}, web=WEB))
    assert changed(found) == set()
    assert found.release.compose_files == ("compose.yml",)
    assert parts_of(found.release) == []


def test_an_edited_part_is_read_after_the_files_that_stay() -> None:
    found = made(alone({"compose.yml": b"new"}, web={**WEB, "command": ["x"]}))
    assert changed(found) == {"deploy-services/web.yml"}
    assert found.release.compose_files == ("compose.yml", "deploy-services/web.yml")
    assert "deploy-services/web.yml" in found.release.inputs
    assert b'"command"' in found.files["deploy-services/web.yml"]
    # An env file that only the host has may be in it.
    assert found.release.files["deploy-services/web.yml"].endswith(":600")
    assert parts_of(found.release) == ["web"]
    assert found.release.configuration != host().history[0].release.configuration


def test_a_part_of_an_earlier_time_goes_on_beside_a_second_one() -> None:
    first = made(alone(web={**WEB, "command": ["x"]})).release
    lying = rendered({"web": {**WEB, "command": ["x"]}, "db": DB})
    facts = replace(host(), files=first.files, history=(event("proven", first),), deployed=lying)
    again = alone(web={**WEB, "command": ["x"]})
    project = (first.compose_files, first.env_files)
    same = made(replace(again, project=project), facts).release
    assert (same.files["deploy-services/web.yml"], same.compose_files) == (
        first.files["deploy-services/web.yml"],
        first.compose_files,
    )
    second = made(replace(alone(db={**DB, "command": ["y"]}), project=project), facts).release
    assert parts_of(second) == ["db", "web"]
    assert second.files["deploy-services/web.yml"] == first.files["deploy-services/web.yml"]


def test_files_that_only_the_chosen_one_mounts_are_the_checkouts() -> None:
    found = made(alone({"conf/web.conf": b"new", "conf/db.conf": b"new"}, web=WEB))
    assert changed(found) == {"conf/web.conf"}
    assert found.files["conf/web.conf"] == b"new"
    assert set(found.release.mounted) == {"web"}


def test_a_file_that_others_mount_is_copied_for_the_chosen_one() -> None:
    found = made(alone({"conf/both.conf": b"new"}, web=WEB))
    own = "deploy-services/web/conf/both.conf"
    assert changed(found) == {"deploy-services/web.yml", own}
    assert found.files[own] == b"new"
    assert f"/opt/shop/{own}".encode() in found.files["deploy-services/web.yml"]
    both = made(alone({"conf/both.conf": b"new"}, web=WEB, db=DB))
    assert changed(both) == {"conf/both.conf"}


@pytest.mark.parametrize(
    ("place", "says"),
    [("conf", "conf was changed, and db would see that as well")],
)
def test_a_directory_that_is_written_to_is_not_copied(place: str, says: str) -> None:
    what = alone({"conf/both.conf": b"new"}, web={"volumes": [bind(place, writable=True)]})
    with pytest.raises(PreflightError, match=says) as refused:
        made(what)
    assert "invoke deploy-shop --service db --service web" in str(refused.value.hint)


def test_a_new_service_comes_with_its_files_and_a_lacking_one_is_named() -> None:
    facts = host(web=WEB)
    found = made(alone(web=WEB, db=DB), facts)
    assert set(found.release.images) == {"web", "db"}
    assert found.release.replicas == {"web": 1, "db": 1}
    needs = {**WEB, "depends_on": {"db": {"condition": "service_started", "required": True}}}
    with pytest.raises(PreflightError, match="web needs db, which is not deployed yet") as refused:
        made(alone(web=needs), facts)
    assert "--service db --service web" in str(refused.value.hint)


def test_a_secret_that_others_have_does_not_change_under_them() -> None:
    facts = host(secrets={"web": "PW=1", "db": "PW=1"})
    with pytest.raises(PreflightError, match="PW of web was changed, and db has it, too"):
        made(replace(alone(web=WEB), secrets={"web": "PW=2"}), facts)
    own = host(secrets={"web": "KEY=1", "db": "PW=1"})
    found = made(replace(alone(web=WEB), secrets={"web": "KEY=2"}), own)
    assert found.release.secrets == {"web": "KEY=2", "db": "PW=1"}
    none = made(replace(alone(web=WEB), secrets={"web": ""}), own)
    assert none.release.secrets == {"db": "PW=1"}


def test_secrets_in_memory_are_those_that_still_have_a_user() -> None:
    facts = host(secrets={"db": "PW=1"})
    record = replace(facts.history[0].release, secret_files={"pw": "/m/PW", "gone": "/m/GONE"})
    db = replace((facts.deployed or {})["db"], sources={"pw": "PW"})
    facts = replace(facts, history=(event("proven", record),), deployed={**(facts.deployed or {}), "db": db})
    found = made(replace(alone(web=WEB), memory=PurePosixPath("/m")), facts)
    assert found.release.secret_files == {"pw": "/m/PW"}
    with pytest.raises(PreflightError, match="delivered in another way"):
        made(replace(alone(web=WEB), memory=PurePosixPath("/elsewhere")), facts)


def test_the_release_has_the_tag_only_where_the_chosen_image_has_it() -> None:
    for image, tag in ((NEW.with_tag("two"), "two"), (NEW, "one")):
        assert made(replace(alone(web=WEB), images={"web": image})).release.tag == tag


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (replace(host(), history=()), "nothing is deployed yet"),
        (replace(host(), files={}), "files on the host are not those of its release: compose.yml"),
        (replace(host(), deployed=None), "does not read the files that run"),
    ],
)
def test_it_takes_a_release_that_lies_there_as_recorded(facts: Facts, says: str) -> None:
    with pytest.raises(PreflightError, match=says) as refused:
        made(alone(web=WEB), facts)
    assert "invoke deploy-shop" in str(refused.value.hint)
