import pytest

from deploy_lib.address import Address, completed, parse, without_user


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.internal", Address("a.internal")),
        ("me@a.internal", Address("a.internal", "me")),
        ("me@corp@a:2222", Address("a", "me@corp", "2222")),
        ("a:02222", Address("a", "", "2222")),
        ("ssh://me@a:22", Address("a", "me", "22")),
        ("10.0.0.1:22", Address("10.0.0.1", "", "22")),
        ("fe80::1%eth0", Address("fe80::1%eth0")),
        ("[::1]", Address("::1")),
        ("me@[::1]:2200", Address("::1", "me", "2200")),
        ("my_host+x~1=ü", Address("my_host+x~1=ü")),
    ],
)
def test_a_destination_has_a_host_and_perhaps_a_user_and_a_port(text: str, expected: Address) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@a",
        "-oProxyCommand=x",
        "-x@a",
        "a:b",
        "a:0",
        "a:65536",
        "[::1",
        "[::1]x",
        "a b",
        "$(id)",
        "a;b",
        "me@",
        "a:²",
        "ssh://x/y",
    ],
)
def test_what_is_no_destination_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|has no"):
        parse(text)


def test_ports_tell_hosts_apart_and_users_do_not() -> None:
    assert parse("me@A:1").is_at(parse("you@a"))
    assert not parse("a:1").is_at(parse("a:2"))
    assert parse("me@A").place == parse("a:22").place == parse("a:022").place != parse("a:2").place
    assert completed("a", "me@a:2") == "me@a:2"
    assert completed("you@[::1]", "me@[::1]:2") == "you@[::1]:2"


def test_what_stands_before_the_host_of_a_url_is_not_shown() -> None:
    assert without_user("no http://me:a@password@h/a@b, but me@h") == "no http://***@h/a@b, but me@h"
