"""What the host's own rendering says of a stack; the documents are those that Compose 2.26 and 2.40 print."""

import json
from pathlib import PurePosixPath
from typing import Any

import pytest

from deploy_lib.compose.model import read_model, secret_files
from deploy_lib.compose.port import Port
from deploy_lib.compose.service import Mount
from deploy_lib.errors import NotUnderstoodError
from deploy_lib.secrets.placeholders import placeholder
from deploy_lib.secrets.places import Place

PW, WHO = placeholder("PW"), placeholder("WHO")


def services(**specs: Any) -> dict[str, Any]:
    return {"services": {name: {"image": "x", **spec} for name, spec in specs.items()}}


def read(data: dict[str, Any], base: str = "") -> Any:
    return read_model(json.dumps(data), base)


def test_a_compose_secret_is_a_file_in_its_container() -> None:
    data = services(
        db={"secrets": [{"source": "pw", "target": "/run/secrets/pw"}, {"source": "who", "target": "/who"}]}
    )
    data["secrets"] = {"pw": {"environment": "PW"}, "who": {"environment": "WHO"}}
    db = read(data)["db"]
    assert db.secrets == (
        Place("db", "file", "/run/secrets/pw", ("", "PW", "")),
        Place("db", "file", "/who", ("", "WHO", "")),
    )
    assert db.secret_names == ("PW", "WHO")
    assert (db.sources, db.foreign, db.exposed) == ({"pw": "PW", "who": "WHO"}, (), {})


def test_a_compose_secret_that_is_not_handed_over_as_environment_is_foreign() -> None:
    data = services(db={"secrets": [{"source": "a"}, {"source": "b"}]})
    data["secrets"] = {"a": {"file": "/t/files/a.txt"}, "b": {"external": True, "name": "b"}}
    assert read(data)["db"].foreign == ("a", "b")


def test_a_release_in_memory_has_its_secrets_in_files_of_their_names() -> None:
    data = services(db={"secrets": [{"source": "pw", "target": "/run/secrets/pw"}]})
    data["secrets"] = {"pw": {"file": "/run/ktrdr-secrets/shop/PW"}}
    found = read(data)
    assert found["db"].secret_names == ("PW",)
    assert secret_files(found, PurePosixPath("/m")) == {"pw": "/m/PW"}


def test_secrets_in_the_environment_are_found_however_deep_they_stand() -> None:
    web = read(
        services(web={"environment": {"URL": f"db://{WHO}:{PW}@db/$$x", "KEY": PW, "NONE": None, "A": "b"}})
    )["web"]
    assert web.secrets == (
        Place("web", "environment", "KEY", ("", "PW", "")),
        Place("web", "environment", "URL", ("db://", "WHO", ":", "PW", "@db/$x")),
    )
    assert set(web.exposed) == {"PW", "WHO"}


def test_the_content_of_a_config_is_a_file_in_the_container() -> None:
    data = services(web={"configs": [{"source": "c"}, {"source": "d", "target": "/etc/d"}]})
    data["configs"] = {"c": {"content": f"key={PW}\n"}, "d": {"file": "/t/files/d.txt"}}
    web = read(data)["web"]
    assert web.secrets == (Place("web", "file", "/c", ("key=", "PW", "\n")),)
    assert set(web.contents) == {"/c"}
    assert web.exposed == {}


@pytest.mark.parametrize(
    ("spec", "key", "line"),
    [
        ({"command": ["serve", f"--password={PW}"]}, "services.web.command", "--password=${PW}"),
        ({"labels": {"auth": PW}}, "services.web.labels.auth", "${PW}"),
        ({"labels": {f"auth.{PW}": "x"}}, "services.web.labels", "auth.${PW}"),
        (
            {"healthcheck": {"test": ["CMD-SHELL", f"login $$X {PW}"]}},
            "services.web.healthcheck.test",
            "login $X ${PW}",
        ),
    ],
)
def test_a_secret_in_plain_sight_is_named_with_its_line(spec: dict[str, Any], key: str, line: str) -> None:
    assert read(services(web=spec))["web"].refused == ((key, line),)


def test_a_secret_in_the_options_of_a_volume_is_in_plain_sight_too() -> None:
    data = services(web={}) | {"volumes": {"share": {"driver_opts": {"o": f"password={PW}"}}}}
    assert read(data)["web"].refused == (("volumes.share.driver_opts.o", "password=${PW}"),)
    brings = {"configs": {"c": {"content": PW, "name": "c"}}, "secrets": {"s": {"environment": "PW"}}}
    assert read(services(web={}) | brings)["web"].refused == ()
    shows = {"configs": {"c": {"labels": {"a": PW}}}, "secrets": {"s": {"name": PW}}}
    assert {key for key, _ in read(services(web={}) | shows)["web"].refused} == {
        "configs.c.labels.a",
        "secrets.s.name",
    }


def test_ports_have_a_protocol_and_an_address() -> None:
    ports = [
        {"target": 53, "published": "53", "protocol": "udp", "host_ip": "127.0.0.1"},
        {"target": 80, "published": "8080", "protocol": "tcp"},
        {"target": 81, "protocol": "tcp"},
    ]
    assert read(services(web={"ports": ports}))["web"].ports == (Port(53, "udp", "127.0.0.1"), Port(8080))
    twice = [
        {"target": target, "published": "80", "mode": mode}
        for target, mode in ((1, "host"), (1, "ingress"), (2, "host"))
    ]
    assert read(services(web={"ports": twice}))["web"].ports == (Port(80), Port(80))


def test_mounts_below_the_directory_are_relative() -> None:
    volumes = [
        {"type": "bind", "source": "/t/files/conf/a.conf", "target": "/a"},
        {"type": "bind", "source": "/mnt/data", "target": "/data"},
        {"type": "volume", "source": "db", "target": "/db"},
        {"type": "volume", "target": "/cache"},
    ]
    assert read(services(web={"volumes": volumes}), "/t/files")["web"].mounts == (
        Mount("bind", "conf/a.conf", "/a"),
        Mount("bind", "/mnt/data", "/data"),
        Mount("volume", "db", "/db", "db"),
        Mount("volume", "", "/cache"),
    )
    assert [m.shipped for m in read(services(web={"volumes": volumes}), "/t/files")["web"].mounts] == [
        "conf/a.conf",
        None,
        None,
        None,
    ]


def test_what_ends_by_itself_is_known_by_its_policy_or_by_who_waits_for_it() -> None:
    waits = {
        "depends_on": {"migrate": {"condition": "service_completed_successfully"}, "db": {"condition": "x"}}
    }
    found = read(
        services(
            web=waits,
            migrate={},
            db={},
            job={"restart": "no"},
            again={"restart": "on-failure:3"},
            up={"restart": "always"},
            once={"deploy": {"restart_policy": {"condition": "none"}}},
            tries={"deploy": {"restart_policy": {"condition": "on-failure"}}},
            stays={"deploy": {"restart_policy": {"condition": "any"}}},
            both={"restart": "always", "deploy": {"restart_policy": {"condition": "none"}}},
        )
    )
    assert {name: s.ends for name, s in found.items() if s.ends} == {
        "migrate": "must",
        "job": "must",
        "again": "may",
        "once": "must",
        "tries": "may",
    }


def test_a_service_that_is_only_built_has_no_image() -> None:
    found = read({"services": {"web": {"build": {"context": "/t/files"}}}})["web"]
    assert found.builds
    assert not found.image.repository


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"services": []}', '{"services": {"a": {"image": 1}}}'])
def test_anything_else_is_not_understood(text: str) -> None:
    with pytest.raises(NotUnderstoodError):
        read_model(text)


def test_replicas_come_from_the_rendered_file() -> None:
    found = read(services(a={}, b={"deploy": {"replicas": 0}}, c={"scale": 3}))
    assert {name: service.replicas for name, service in found.items()} == {"a": 1, "b": 0, "c": 3}


def test_what_somebody_else_makes_and_who_is_in_the_hosts_network_is_known() -> None:
    spec = {
        "image": "x",
        "networks": {"edge": None, "default": None},
        "volumes": [
            {"type": "volume", "source": "data", "target": "/a"},
            {"type": "bind", "source": "/b", "target": "/b"},
        ],
    }
    model = {
        "services": {"a": spec, "b": {"image": "x", "network_mode": "host"}},
        "networks": {"edge": {"name": "edge-net", "external": True}, "default": {"name": "p_default"}},
        "volumes": {"data": {"name": "photos", "external": True}},
    }
    found = read_model(json.dumps(model))
    assert found["a"].external == (("network", "edge-net"), ("volume", "photos"))
    assert not found["a"].host_network
    assert found["b"].host_network


def test_what_a_container_gets_of_the_files_in_another_way_than_by_a_mount_is_known() -> None:
    volumes = [{"type": "volume", "source": name, "target": f"/{name}"} for name in ("site", "data", "far")]
    data = services(
        web={
            "volumes": volumes,
            "security_opt": ["seccomp:./profile.json", "apparmor:unconfined", "no-new-privileges:true"],
        },
        plain={
            "security_opt": ["seccomp=unconfined", "seccomp:/etc/p.json", 'seccomp:{"a":1}'],
            "volumes": None,
        },
        moved={"security_opt": ["seccomp=/t/files/sec/p.json"]},
    )
    bind = {"type": "none", "o": "rw,bind"}
    data["volumes"] = {
        "site": {"driver_opts": {**bind, "device": "/t/files/site"}},
        "far": {"driver_opts": {**bind, "device": "/mnt/far"}},
        "data": None,
    }
    found = read(data, "/t/files")
    assert found["web"].reads == ("site", "profile.json")
    assert (found["plain"].reads, found["moved"].reads) == ((), ("sec/p.json",))


def test_a_config_from_the_environment_is_not_seen_in_what_compose_renders() -> None:
    data = services(web={"configs": [{"source": "app", "target": "/app.ini"}, {"source": "b"}]})
    data["configs"] = {"app": {"environment": "APP_INI", "name": "x_app"}, "b": {"content": PW}}
    web = read(data)["web"]
    assert (web.unseen, web.secret_names) == ({"app": "APP_INI"}, ("PW",))


def test_the_name_of_a_variable_is_no_place_for_a_secret() -> None:
    web = read(services(web={"environment": {PW: "x", "KEY": WHO}}))["web"]
    assert web.refused == (("services.web.environment", "${PW}"),)
    assert web.secret_names == ("WHO",)
