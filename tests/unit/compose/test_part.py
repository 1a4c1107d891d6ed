"""A service by itself as a Compose file; that Compose takes it so is tried in `tests/lab/test_one_service.py`."""

import json
from typing import Any

import pytest
import yaml

from deploy_lib.compose.model import read_model
from deploy_lib.compose.part import make_part, needed_services, read_only, same_part
from deploy_lib.compose.service import Service
from deploy_lib.secrets.placeholders import placeholder

HOME = "/opt/shop"


class Loader(yaml.SafeLoader):
    """Keeps what has the tag, under the key "!"."""


Loader.add_constructor("!override", lambda loader, node: {"!": loader.construct_mapping(node, deep=True)})


def rendered(**specs: Any) -> dict[str, Service]:
    """As Compose renders it in a stack's directory: that stands for `@`."""
    data: dict[str, Any] = {
        "services": {name: {"image": "x", **spec} for name, spec in specs.items() if name not in KINDS},
        **{kind: specs.get(kind, {}) for kind in KINDS},
    }
    return read_model(json.dumps(data).replace("@", HOME), HOME)


KINDS = ("networks", "volumes", "configs", "secrets")


def read(content: bytes) -> Any:
    return yaml.load(content, Loader=Loader)  # noqa: S506 - a safe one


def test_paths_are_as_they_were_and_secrets_are_variables_again() -> None:
    (web,) = rendered(
        web={
            "environment": {"URL": f"db://{placeholder('PW')}:db/$$x", "WORD": "yes", "N": None, "O": "0o14"},
            "volumes": [
                {"type": "bind", "source": "@/conf", "target": "/c"},
                {"type": "bind", "source": "/run/docker.sock", "target": "/s"},
            ],
            "profiles": ["x"],
            "build": {"context": "@"},
        }
    ).values()
    part = make_part(web, [], HOME)
    spec = read(part.content)["services"]["web"]["!"]
    assert [m["source"] for m in spec["volumes"]] == ["/opt/shop/conf", "/run/docker.sock"]
    assert spec["environment"] == {"URL": "db://${PW:?}:db/$$x", "WORD": "yes", "N": None, "O": "0o14"}
    assert not {"profiles", "build"} & set(spec)
    # Compose's reader takes more words for numbers than this one.
    assert b'"0o14"' in part.content
    assert placeholder("PW").encode() not in part.content
    assert [mount.shipped for mount in part.service.mounts] == ["conf", None]
    assert part.service.secrets == web.secrets


def test_what_others_have_in_the_same_way_is_theirs() -> None:
    shared = {"networks": {"front": {"name": "p_front"}}, "volumes": {"data": {"name": "p_data"}}}
    spec = {
        "networks": {"front": None},
        "volumes": [{"type": "volume", "source": "data", "target": "/d"}],
    }
    found = rendered(web=spec, other={"networks": {"front": None}}, **shared)
    part = make_part(found["web"], [found["other"]], HOME)
    assert set(read(part.content)) == {"services", "volumes"}
    assert read(part.content)["volumes"] == {"data": {"!": {"name": "p_data"}}}
    assert part.clashes == ()


def test_a_config_and_a_secret_that_others_have_otherwise_get_keys_of_their_own() -> None:
    uses = {"configs": [{"source": "banner"}], "secrets": [{"source": "pw"}]}
    old = rendered(other=uses, configs={"banner": {"content": "1"}}, secrets={"pw": {"environment": "A"}})
    new = rendered(web=uses, configs={"banner": {"content": "2"}}, secrets={"pw": {"environment": "B"}})
    part = make_part(new["web"], old.values(), HOME)
    data = read(part.content)
    assert data["services"]["web"]["!"]["configs"] == [{"source": "banner.web", "target": "/banner"}]
    assert data["services"]["web"]["!"]["secrets"] == [{"source": "pw.web", "target": "/run/secrets/pw"}]
    assert data["configs"] == {"banner.web": {"!": {"content": "2"}}}
    assert data["secrets"] == {"pw.web": {"!": {"environment": "B"}}}
    assert part.service.sources == {"pw.web": "B"}
    assert [place.where for place in part.service.secrets] == ["/run/secrets/pw"]


def test_a_network_that_others_have_otherwise_cannot_be_had() -> None:
    old = rendered(other={"networks": {"n": None}}, networks={"n": {"internal": True}})
    new = rendered(web={"networks": {"n": None}}, networks={"n": {}})
    assert make_part(new["web"], old.values(), HOME).clashes == (("networks", "n"),)


def test_a_file_may_lie_at_another_place_for_this_service() -> None:
    spec = {
        "volumes": [{"type": "bind", "source": "@/conf/a", "target": "/a"}],
        "configs": [{"source": "c", "target": "/c"}],
    }
    found = rendered(web=spec, other={"configs": [{"source": "c"}]}, configs={"c": {"file": "@/conf/c"}})
    part = make_part(found["web"], [found["other"]], HOME, {"conf/a": "own/a", "conf/c": "own/c"})
    assert sorted(mount.source for mount in part.service.mounts) == ["own/a", "own/c"]
    assert read(part.content)["configs"] == {"c.web": {"!": {"file": "/opt/shop/own/c"}}}


@pytest.mark.parametrize(
    ("more", "same"),
    [
        ({}, True),
        ({"image": "y"}, True),
        ({"profiles": ["x"]}, True),
        ({"command": ["b"]}, False),
        ({"environment": {"A": "1"}}, False),
        ({"labels": {"a": "b"}}, False),
        ({"configs": [{"source": "c"}]}, False),
    ],
)
def test_what_differs_from_what_lies_there(more: dict[str, Any], same: bool) -> None:
    spec = {"command": ["a"], "volumes": [{"type": "bind", "source": "@/conf", "target": "/c"}]}
    old = rendered(web=spec)["web"]
    new = rendered(web={**spec, **more}, configs={"c": {"content": "1"}})["web"]
    assert same_part(make_part(new, [], HOME).service, old) is same


@pytest.mark.parametrize(
    ("spec", "needs"),
    [
        ({}, set()),
        ({"depends_on": {"a": {"condition": "x", "required": True}, "b": {"required": False}}}, {"a"}),
        ({"network_mode": "service:vpn", "pid": "host", "ipc": "service:a"}, {"vpn", "a"}),
        ({"volumes_from": ["a:ro", "container:c"], "links": ["b:alias"]}, {"a", "b"}),
    ],
)
def test_the_services_that_must_be_there(spec: dict[str, Any], needs: set[str]) -> None:
    assert needed_services(rendered(web=spec)["web"]) == needs


def test_whether_a_mount_can_be_written_to() -> None:
    mounts = [{"type": "bind", "source": "@/a", "target": "/a", "read_only": True}]
    mounts += [{"type": "bind", "source": "@/b", "target": "/b"}]
    web = rendered(web={"volumes": mounts})["web"]
    assert read_only(web, "a")
    assert not read_only(web, "b")
