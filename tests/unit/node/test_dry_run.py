"""What a dry run asks a host for, beyond what is decided already."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import cast

import pytest

from deploy_lib.host.change.history import event
from deploy_lib.node import dry_run
from deploy_lib.node.dry_run import look_closer
from deploy_lib.plan.decision import Decision
from deploy_lib.plan.plan import make_plan
from deploy_lib.release.files import digest, file_mark
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace
from tests.unit.plan.test_decide import NODE, case
from tests.unit.plan.test_plan import desired, settled


def test_a_secret_that_only_the_recorded_release_has_gets_something_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without it the host's Compose would not read the files of that release, and nothing could be compared."""
    given: list[Mapping[str, str]] = []

    def ask(_: object, projects: list[object], env: Mapping[str, str], *more: object) -> list[dict[str, str]]:
        given.append(env)
        return [{} for _ in projects]

    facts = settled()
    (proven,) = facts.history
    held = replace(proven, release=replace(proven.release, secrets={"web": "FORMER_KEY=1"}))
    plan = make_plan(NODE, replace(facts, history=(held,)), desired(files={"compose.yml": b"other"}))
    monkeypatch.setattr(dry_run, "ask_hashes", ask)
    monkeypatch.setattr(dry_run, "_inputs", lambda *_: {})
    monkeypatch.setattr(dry_run, "read_files", lambda *_: {})
    look_closer(cast(Session, SimpleNamespace()), case(), plan)
    assert "FORMER_KEY" in given[0]


def test_what_was_closed_on_the_host_or_by_a_release_that_was_left_is_not_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = {name: file_mark(digest(b"x"), 0o600) for name in ("conf/site.conf", "deploy-services/web.yml")}
    facts = settled()
    left = event("failed", replace(facts.history[0].release, id="r2", files={**facts.files, **paths}))
    by_hand = {"compose.yml": file_mark(digest(b"y"), 0o600), "deploy-services/web.yml": "1"}
    facts = replace(facts, history=(*facts.history, left), files={**facts.files, **by_hand})
    plan = make_plan(NODE, facts, desired(files={"compose.yml": b"new"}))
    old = dict.fromkeys(("compose.yml", *paths), b"PASSWORD")
    monkeypatch.setattr(dry_run, "look_closer", lambda *_: (None, old, plan.desired.files))
    monkeypatch.setattr(dry_run, "shown_commands", lambda *_: ())
    monkeypatch.setattr(dry_run, "ask_sizes", lambda *_: {})
    shown = dry_run.rehearse(cast(Session, None), case(), Decision(plan, "key"), facts, ())[1].diffs
    assert {*old} <= set(shown)
    assert "PASSWORD" not in str(shown)
