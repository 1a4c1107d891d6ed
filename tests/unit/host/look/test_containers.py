"""What runs now."""

from types import SimpleNamespace
from typing import cast

import pytest

from deploy_lib.errors import NotUnderstoodError
from deploy_lib.host.look.containers import ask_containers
from deploy_lib.ssh.session import Session
from tests.unit import build
from tests.unit.host.look.test_gather import ANSWER

LINES = [line for line in ANSWER.splitlines() if '"image_id"' in line]
"""A container of the project, and one of `docker compose run`, which is no part of it."""


def asked(said: str) -> tuple[str, ...]:
    session = SimpleNamespace(run=lambda *_, **__: SimpleNamespace(stdout=said))
    return tuple(c.service for c in ask_containers(cast(Session, session), build.stack().project))


def test_each_line_is_a_container_and_none_is_an_answer_too() -> None:
    assert (len(LINES), asked("\n".join(LINES) + "\n")) == (2, ("web",))
    assert asked("\n") == ()


def test_what_is_no_container_is_not_understood() -> None:
    with pytest.raises(NotUnderstoodError):
        asked("Welcome\n")
