"""Any text without NUL, up to 64 KB, arrives byte for byte through a real sshd."""

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy_lib.ssh.session import Session
from tests.worst import WORST

from .conftest import Sshd

LIMIT = 64 * 1024
ANY = st.characters(exclude_characters="\0", exclude_categories=("Cs",))
NASTY = st.sampled_from(
    [*"'\"`$\\#%-!~*&;|<>(){}[]=\r\n\t ", "${X}", "$$", "$(id)", "\\\n", "'\"'\"'", "🔑", "\U0010ffff"]
)
TEXT = st.one_of(st.text(ANY), st.lists(st.one_of(NASTY, ANY)).map("".join))
LONG = st.builds(
    lambda piece, times: (piece * times)[: LIMIT // 4], st.text(ANY, min_size=1), st.integers(1, LIMIT)
)


@pytest.fixture(scope="module")
def shared(shared_sshd: Sshd) -> Iterator[Session]:
    shared_sshd.trust()
    shared_sshd.configure()
    session = shared_sshd.session()
    yield session
    session.close()


def arrived(session: Session, values: Mapping[str, str]) -> dict[str, str]:
    script = "; ".join(f"printf '%s\\0' \"${name}\"" for name in values)
    with session.start(script, env=values) as process:
        *parts, rest = process.read().split(b"\0")
        assert (process.wait(), rest) == (0, b"")
    return {name: part.decode() for name, part in zip(values, parts, strict=True)}


def test_the_worst_arrive(shared: Session) -> None:
    assert max(len(value.encode()) for value in WORST.values()) == LIMIT
    assert arrived(shared, WORST) == WORST


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["A", "B_2", "_C"]), st.one_of(TEXT, LONG), min_size=1))
def test_any_text_arrives(shared: Session, values: dict[str, str]) -> None:
    assert arrived(shared, values) == values
