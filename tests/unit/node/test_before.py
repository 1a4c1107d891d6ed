"""Going back is judged by what was before the switch, and by no probe of today that did not succeed then."""

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.config import Probe
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.prove import probe
from deploy_lib.host.prove.probe import Finding
from deploy_lib.node.before import judged_by_what_was
from deploy_lib.node.site import Site
from deploy_lib.output.console import Console
from deploy_lib.plan.decision import Decision
from deploy_lib.plan.desired import Desired
from deploy_lib.release.release import Release
from deploy_lib.values import replace
from tests.unit import build

HOLDS = Probe(name="holds", service="web", state="running")
BROKEN = Probe(name="broken", service="web", url="http://127.0.0.1:1/nowhere")
BEFORE = Release("r0", "1", None, {}, {}, probes=())
STARTED = Facts(containers=(build.container(),))


def judged(
    release: Release, facts: Facts, monkeypatch: pytest.MonkeyPatch, ill: tuple[str, ...] = ()
) -> tuple[Any, str]:
    def prove(_: object, probes: list[Probe], *__: object) -> list[Finding]:
        assert {each.timeout for each in probes} <= {0}
        return [Finding(each, "" if each.name == "holds" else "no answer", 0) for each in probes]

    monkeypatch.setattr(probe, "prove", prove)
    err = io.StringIO()
    node = build.node(probes=(HOLDS, BROKEN))
    console = Console(err=err)
    site = SimpleNamespace(
        node=node, session=None, say=lambda step, text: console.step(node.name, step, text)
    )
    from deploy_lib.plan.plan import Plan

    plan = Plan(
        desired=Desired(replace(release, id="r1"), {}),
        before=event("adopted", release),
        back=Desired(release, {}),
        changes=(),
        changed=(),
        dropped=(),
        pulls=(),
        reloads=(),
        nothing=False,
        ill=ill,
    )
    found = judged_by_what_was(cast(Site, site), Decision(plan, "key"), facts).plan
    assert found.before is not None
    assert found.back is not None
    # What is recorded stays as it is recorded.
    known = release.probes is not None and not facts.unrecorded
    assert found.before.release == (release if known else found.back.release)
    return found.back.release.probes, err.getvalue()


def test_what_was_started_by_hand_is_judged_by_the_probes_that_it_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probes, said = judged(BEFORE, STARTED, monkeypatch)
    assert probes == (HOLDS,)
    assert "going back is not judged by broken" in said


def test_a_record_without_probes_is_judged_so_too_and_one_with_them_by_those(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proven = replace(STARTED, history=(event("proven", BEFORE),))
    assert judged(replace(BEFORE, probes=None), proven, monkeypatch)[0] == (HOLDS,)
    own = replace(BEFORE, probes=(BROKEN,))
    assert judged(own, proven, monkeypatch)[0] == (BROKEN,)


def test_a_record_is_judged_by_what_held_before_where_some_of_it_was_not_healthy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = replace(BEFORE, probes=(HOLDS, BROKEN), ends={"job": "must"})
    proven = replace(STARTED, history=(event("proven", own),))
    assert judged(own, proven, monkeypatch, ill=("web",))[0] == (HOLDS,)
    assert judged(own, proven, monkeypatch, ill=("job",))[0] == (HOLDS, BROKEN)
    # What a switch that broke off has left says nothing about the release before.
    broken_off = replace(proven, history=(*proven.history, event("started", replace(own, id="r2"))))
    assert judged(own, broken_off, monkeypatch, ill=("web",))[0] == (HOLDS, BROKEN)
