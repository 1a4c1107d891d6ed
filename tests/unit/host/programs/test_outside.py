"""A program that is no part of the library, in the steps of a switch."""

from deploy_lib.host.change import apply
from deploy_lib.secrets.value import Secret
from tests.outside.cache import Cache

from .standins import Host

CACHE = Cache(kind="tests.outside.cache", secret="PW", service="cache", database=3, owner="ROLE", timeout=2)


def switch(host: Host, then: str) -> tuple[int, str]:
    (host / "kept").write_text("<old>")
    handed = apply.environment([CACHE], {"PW": Secret("new")})["APPLY_PW"].reveal()
    script = f"""\
has_PW=1
{apply.wake([CACHE])}
{apply.remember([CACHE])} || return 9
{apply.forward([CACHE])}
{apply.prove([CACHE])}
{then}"""
    done = host.run(script, CACHE, ROLE="owner", old_PW="old", PW="new", APPLY_PW=handed)
    return done.returncode, done.stdout.decode()


def test_it_is_changed_as_it_says_and_proven(host: Host) -> None:
    assert switch(host, ":") == (0, "")
    assert (host / "kept").read_text() == "<new>"
    assert (host / "database").read_text() == "3\n"


def test_it_goes_back_as_it_says(host: Host) -> None:
    then = f'export PW="$old_PW"\n{apply.back([CACHE])}\n{apply.back_later([CACHE])}'
    assert switch(host, then) == (0, "")
    assert (host / "kept").read_text() == "<old>"


def test_it_says_what_it_cannot_take() -> None:
    assert CACHE.unfit(Secret("LOUD")) == "PW is shouted"
    assert apply.changeable([CACHE], ["PW"]) == [CACHE]
