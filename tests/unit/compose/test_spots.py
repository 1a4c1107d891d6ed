"""What only a shell had is read from where Compose has put it: pure, from a rendering with stand-ins and from texts."""

import json
from typing import Any

import pytest

from deploy_lib.compose.recovery import Kind, others, passed_on, recoverable, stand_ins
from deploy_lib.compose.spots import Spot, filled_in, find_spots, secretive, solve, sort_out
from deploy_lib.secrets.placeholders import placeholder
from deploy_lib.secrets.places import Place

KINDS: dict[str, Kind] = {"TAG": "text", "PORT": "number", "DIR": "path", "PW": "text", "MODE": "text"}


def rendered(**spec: Any) -> str:
    text = stand_ins(KINDS)
    made = {
        "image": f"h/web:{text['TAG']}",
        "environment": {
            "MODE": text["MODE"],
            "DB_URL": f"pg://u:{text['PW']}@db/$$x",
            "PORT": text["PORT"],
            "EMPTY": None,
        },
        "command": ["serve", f"--port={text['PORT']}", f"--requirepass={text['PW']}"],
        "ports": [{"target": 80, "published": text["PORT"], "protocol": "tcp"}],
        "volumes": [
            {"type": "bind", "source": f"{text['DIR']}/data", "target": "/data"},
            {"type": "volume", "source": "rows", "target": "/rows"},
        ],
        "deploy": {"replicas": int(text["PORT"])},
        **spec,
    }
    return json.dumps(
        {"services": {"web": made}, "volumes": {"rows": {"name": f"{stand_ins(KINDS)['MODE']}_rows"}}}
    )


def test_each_variable_is_found_wherever_it_comes_back() -> None:
    found = {(s.kind, s.where): s.parts for s in find_spots(rendered(), KINDS)}
    assert found == {
        ("image", ""): ("h/web:", "TAG", ""),
        ("environment", "MODE"): ("", "MODE", ""),
        ("environment", "DB_URL"): ("pg://u:", "PW", "@db/$x"),
        ("environment", "PORT"): ("", "PORT", ""),
        ("argument", "1"): ("--port=", "PORT", ""),
        ("argument", "2"): ("--requirepass=", "PW", ""),
        ("port", "80/tcp"): ("", "PORT", ""),
        ("mount", "/data"): ("/", "DIR", "/data"),
        ("mount", "/rows"): ("", "MODE", "_rows"),
        ("replicas", ""): ("", "PORT", ""),
    }


def test_what_may_be_known_here_is_solved_and_the_rest_stays_on_its_host() -> None:
    found = sort_out(find_spots(rendered(), KINDS), [])
    assert {name for spot in found.open for name in spot.names} == {"TAG", "PORT", "DIR", "MODE"}
    assert found.hidden == (
        Place("web", "environment", "DB_URL", ("pg://u:", "PW", "@db/$x")),
        Place("web", "argument", "2", ("--requirepass=", "PW", "")),
    )
    texts = {
        ("web", "image", ""): "h/web:1.2",
        ("web", "environment", "MODE"): "debug",
        ("web", "port", "80/tcp"): "8080",
        ("web", "mount", "/data"): "/srv/data",
    }
    assert solve(found.open, texts, KINDS) == {"TAG": "1.2", "MODE": "debug", "PORT": "8080", "DIR": "/srv"}
    # An env file cannot hold it; and what does not fit says nothing.
    odd = {**texts, ("web", "environment", "MODE"): "it's", ("web", "image", ""): "other/web:1"}
    assert set(solve(found.open, odd, KINDS)) == {"PORT", "DIR"}


@pytest.mark.parametrize(
    "spot",
    [
        Spot("web", "environment", "API_KEY", ("", "LEVEL", "")),
        Spot("web", "environment", "WHERE", ("http://u:p@", "LEVEL", "")),
        Spot("web", "environment", "WHERE", ("", "LEVEL", "-", "PW", "")),
        Spot("web", "environment", "LEVEL", ("", "SMTP_PASS", "")),
    ],
)
def test_what_is_called_like_a_secret_or_stands_beside_one_never_leaves(spot: Spot) -> None:
    found = sort_out([spot], [])
    assert found.open == ()
    assert found.hidden == (spot.place,)


def test_the_address_of_a_port_is_recognised() -> None:
    kinds: dict[str, Kind] = {"BIND": "address", "PORT": "number"}
    text = stand_ins(kinds)
    port = {"target": 80, "published": text["PORT"], "host_ip": text["BIND"]}
    data = {"services": {"web": {"image": "x", "ports": [port]}}}
    assert [(s.kind, s.where, s.parts) for s in find_spots(json.dumps(data), kinds)] == [
        ("port", "80/tcp", ("", "PORT", "")),
        ("address", "80/tcp", ("", "BIND", "")),
    ]


def test_what_docker_shows_everybody_may_be_known_whatever_its_name() -> None:
    port = Spot("web", "port", "80/tcp", ("", "AUTH_PORT", ""))
    image = Spot("web", "image", "", ("h/web:", "TOKEN_IMAGE_TAG", ""))
    address = Spot("web", "address", "80/tcp", ("", "BIND_URI", ""))
    shown = Spot("web", "environment", "AUTH_PORT", ("", "AUTH_PORT", ""))
    key = Spot("web", "environment", "API_KEY", ("", "API_KEY", ""))
    found = sort_out([port, image, address, shown, key], [])
    # The environment is not looked at for it.
    assert found.open == (port, image, address)
    assert found.hidden == (key.place,)
    texts = {
        ("web", "port", "80/tcp"): "8443",
        ("web", "address", "80/tcp"): "127.0.0.1",
        ("web", "image", ""): "h/web:2",
    }
    known = {"AUTH_PORT": "8443", "BIND_URI": "127.0.0.1", "TOKEN_IMAGE_TAG": "2"}
    assert solve(found.open, texts, dict.fromkeys(known, "text")) == known
    # A declared secret stays one, and keeps what stands beside it.
    beside = Spot("web", "image", "", ("h/", "WHICH", ":", "TOKEN_IMAGE_TAG", ""))
    assert sort_out([beside], ["WHICH"]).open == ()


def test_a_port_that_is_the_same_on_both_sides_is_found_where_only_one_fits() -> None:
    spot = Spot("web", "port", f"{placeholder('PORT')}/tcp", ("", "PORT", ""))
    one = {("web", "port", "8080/tcp"): "8080", ("web", "port", "53/udp"): "53", ("x", "port", "1/tcp"): "1"}
    assert solve([spot], one, {"PORT": "number"}) == {"PORT": "8080"}
    two = {**one, ("web", "port", "9090/tcp"): "9090"}
    assert solve([spot], two, {"PORT": "number"}) == {}


def test_a_declared_secret_is_none_of_these() -> None:
    spot = Spot("web", "environment", "A", ("", "PLAIN", ""))
    assert sort_out([spot], ["PLAIN"]) == sort_out([], [])


def test_what_compose_does_not_take_is_tried_as_a_number_as_a_path_and_then_left() -> None:
    kinds: dict[str, Kind] = {"PORT": "text", "TAG": "text"}
    for kind in ("number", "path", "address", None):
        expected = {"TAG": "text"} if kind is None else {"PORT": kind, "TAG": "text"}
        found = others(kinds, f"invalid: {stand_ins(kinds)['PORT']}")
        assert found == expected
        kinds = found
    assert others(kinds, "something else is wrong") is None


def test_names_of_every_shell_and_of_docker_are_nobodys_choice() -> None:
    names = ["PATH", "HOME", "LC_ALL", "DOCKER_HOST", "COMPOSE_PROFILES", "_", "PATHS", "LEVEL"]
    assert recoverable(names) == ["LEVEL", "PATHS"]
    assert secretive("MY_API_KEY")
    assert all(
        map(
            secretive,
            ("WG_PSK", "GITHUB_PAT", "DB_PSWD", "ROOT_PSW", "WALLET_SEED", "MNEMONIC", "PASSPHRASE"),
        )
    )
    assert not any(map(secretive, ("PATH", "DATA_PATH", "PATTERN", "TZ", "PUID")))
    assert not secretive("LOG_LEVEL")


def test_a_variable_that_comes_twice_must_be_the_same() -> None:
    spot = Spot("web", "label", "l", ("a-", "X", "-b-", "X", ""))
    assert spot.values("a-1-b-1", {}) == {"X": "1"}
    assert spot.values("a-1-b-2", {}) == {}


def test_a_port_is_found_by_that_of_the_container_which_may_be_a_variable_too() -> None:
    kinds: dict[str, Kind] = {"INNER": "number", "PORT": "number"}
    numbers = stand_ins(kinds)
    spec = {
        "command": [numbers["INNER"]],
        "ports": [{"target": int(numbers["INNER"]), "published": numbers["PORT"]}],
    }
    spots = find_spots(json.dumps({"services": {"web": spec}}), kinds)
    texts = {("web", "argument", "0"): "80", ("web", "port", "80/tcp"): "8080"}
    found = sort_out(spots, [])
    assert solve(found.open, texts, kinds) == {"INNER": "80", "PORT": "8080"}


def test_what_is_known_is_no_longer_to_be_read() -> None:
    place = Place("web", "environment", "URL", ("pg://", "U", ":", "PW", "@h:", "PORT", ""))
    assert filled_in(place, {"U": "me", "PORT": "5432"}).parts == ("pg://me:", "PW", "@h:5432")
    assert filled_in(place, {"U": "a", "PW": "b", "PORT": "c"}).names == ()


def test_what_containers_have_under_the_shells_own_name_is_a_variable_too() -> None:
    spec = {"environment": {"TOKEN": None, "MODE": "x"}}
    assert passed_on(json.dumps({"services": {"web": spec, "db": {}}})) == ["TOKEN"]


def test_limits_and_the_like_are_found() -> None:
    kinds: dict[str, Kind] = {"MEM": "number", "CPUS": "number", "RESTART": "text"}
    given = stand_ins(kinds)
    limits = {"memory": given["MEM"], "cpus": float(given["CPUS"])}
    spec = {"restart": given["RESTART"], "deploy": {"resources": {"limits": limits}}}
    found = {s.kind: s.names for s in find_spots(json.dumps({"services": {"web": spec}}), kinds)}
    assert found == {"memory": {"MEM"}, "cpus": {"CPUS"}, "restart": {"RESTART"}}


def test_an_image_of_several_variables_is_taken_apart() -> None:
    kinds: dict[str, Kind] = {"REGISTRY": "text", "TAG": "text", "NAME": "text", "A": "text", "B": "text"}
    given = stand_ins(kinds)
    spec = {
        "image": f"{given['REGISTRY']}/{given['NAME']}:{given['TAG']}",
        "environment": {"NAME": given["NAME"], "TWO": f"{given['A']}{given['B']}"},
    }
    found = sort_out(find_spots(json.dumps({"services": {"web": spec}}), kinds), [])
    texts = {("web", "image", ""): "h:5000/k/web:1.2", ("web", "environment", "NAME"): "web"}
    assert solve(found.open, texts, kinds) == {"REGISTRY": "h:5000/k", "NAME": "web", "TAG": "1.2"}
    # Nothing tells where one ends and the other begins.
    assert [place.where for place in found.hidden] == ["TWO"]
