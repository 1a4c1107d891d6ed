"""Which tags have moved: what a host keeps of the registries' answers, and when they are asked again."""

from __future__ import annotations

from typing import Any, cast

import pytest

from deploy_lib.errors import RemoteError
from deploy_lib.host.look import newer
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.machine import Machine
from deploy_lib.host.look.registry import Manifest
from deploy_lib.release.image import Image
from deploy_lib.ssh.session import Result, Session
from tests.unit import build

A, B = (Image.parse(f"{name}:latest@sha256:{'a' * 64}") for name in ("redis", "ghcr.io/x/y"))
MOVED = f"sha256:{'b' * 64}"
NOW = 1_800_000_000.0


class Host:
    """A host with what it keeps; registries answer by way of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kept: str = "", **answers: str) -> None:
        self.kept, self.asked, self.written = kept, list[Image](), list[str]()
        self.answers = answers
        monkeypatch.setattr(newer, "resolve", self.resolve)

    def run(self, script: str, **_: Any) -> Result:
        if "printf" in script:
            self.written.append(script)
            return Result(0, "", "")
        return Result(0, self.kept, "")

    def resolve(self, _: object, references: list[Image], logins: object, timeout: float) -> Any:
        assert logins == ()
        assert timeout == newer.PATIENCE
        self.asked += references
        if not self.answers:
            raise RemoteError("no answer")
        digests = {"redis": self.answers.get("redis", ""), "ghcr.io/x/y": self.answers.get("other", "")}
        return {r: Manifest(r, digests[r.repository]) for r in references}

    def ask(self, *images: Image) -> dict[Image, str]:
        facts = Facts(machine=Machine(now=NOW))
        return newer.ask_newer(cast(Session, self), build.stack(), facts, images)


def test_a_tag_that_has_moved_is_told_and_the_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, redis=MOVED, other=B.digest)
    assert host.ask(A, B) == {A: MOVED}
    assert len(host.written) == 1
    assert f"{NOW:.0f}\nghcr.io/x/y:latest {B.digest}\nredis:latest {MOVED}" in host.written[0]


def test_each_image_of_a_tag_is_compared_with_what_the_tag_has_now(monkeypatch: pytest.MonkeyPatch) -> None:
    newest = A.unpinned.with_digest(MOVED)
    assert Host(monkeypatch, redis=MOVED, other="").ask(A, newest) == {A: MOVED}


def test_registries_are_not_asked_again_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    text = newer.kept_text({A.unpinned: MOVED, B.unpinned: ""}, NOW - 1800)
    host = Host(monkeypatch, text, redis=MOVED)
    assert host.ask(A, B) == {A: MOVED}
    assert (host.asked, host.written) == ([], [])
    for age, again in ((7200, True), (90_000, True)):
        host = Host(monkeypatch, newer.kept_text({A.unpinned: MOVED, B.unpinned: ""}, NOW - age), redis=MOVED)
        host.ask(A, B)
        assert bool(host.asked) is again
    host = Host(monkeypatch, newer.kept_text({A.unpinned: MOVED}, NOW - 7200), redis=MOVED)
    assert host.ask(A) == {A: MOVED}
    assert host.asked == []


def test_no_answer_says_nothing_and_is_not_waited_for_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch)
    assert host.ask(A) == {}
    assert "redis:latest -" in host.written[0]
    assert host.ask() == {}


@pytest.mark.parametrize("kept", ["", "x", "1\nbroken", "99999999999\nredis:latest sha256:1\n"])
def test_what_cannot_be_read_or_comes_from_the_future_counts_as_nothing(kept: str) -> None:
    assert newer.read_kept(kept, NOW) == {}
