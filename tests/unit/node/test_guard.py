"""The guard asks a host only where the facts leave a doubt, and again as long as an answer leads to another question."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.checks import Check
from deploy_lib.compose.mounts import Held
from deploy_lib.compose.service import Service
from deploy_lib.errors import CommandError, ExitCode, PreflightError
from deploy_lib.host.look.data import Found, Question
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Manifest
from deploy_lib.node import deployment as deploying
from deploy_lib.node import guard as module
from deploy_lib.node.guard import Guarded, foresee_loss, guard, kept_services
from deploy_lib.node.site import Site
from deploy_lib.output.console import Console
from deploy_lib.plan.plan import Plan, make_plan
from deploy_lib.release.image import Image
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace
from tests.unit.node.test_deployment import deployment
from tests.unit.plan.test_decide import KEY, NODE, VERSION, case, forward, rendered, values
from tests.unit.plan.test_plan import NEW, desired, settled

MIB = 1024 * 1024
NOBODY = cast(Session, SimpleNamespace())
"""A session that whoever asks something of it fails with."""


class Host:
    """Answers questions from what it knows, and remembers them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **knows: Any) -> None:
        self.asked: list[Question] = []
        self.knows = Found(**knows)
        monkeypatch.setattr(module, "ask", self.ask)

    def ask(self, _: Session, question: Question) -> Found:
        self.asked.append(question)
        return self.knows


def heavy(size: int = 50 * MIB, *mounts: Held) -> Facts:
    facts = settled()
    containers = tuple(replace(c, mounts=mounts) for c in facts.containers)
    return replace(facts, containers=containers, layers={"1": size})


def planned(facts: Facts, **wanted: Any) -> Plan:
    return make_plan(NODE, facts, desired(**wanted))


def test_where_the_facts_are_enough_the_host_is_not_asked() -> None:
    for facts in (heavy(0), heavy(5 * MIB, Held("volume", "v", "/data"))):
        found = guard(NOBODY, case(), planned(facts, image=NEW), facts, None)
        assert [check.result for check in found.checks] == ["ok"]
    assert guard(NOBODY, case(), planned(heavy()), heavy(), None).checks[0].result == "ok"


def test_a_large_layer_is_asked_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, layers={"1": {"/srv/rows": 50 * MIB}})
    (check,) = guard(NOBODY, case(), planned(heavy(), image=NEW), heavy(), None).checks
    assert check.problem == "web keeps 50 MiB in its own layer (/srv/rows), which recreating it would lose"
    assert host.asked == [Question(layers=("1",))]


def test_what_is_noise_at_a_closer_look_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Host(monkeypatch, layers={"1": {"/tmp": 50 * MIB}})
    assert guard(NOBODY, case(), planned(heavy(), image=NEW), heavy(), None).checks[0].result == "ok"


@pytest.mark.parametrize(("action", "result"), [("keep", "ok"), ("recreate", "failed"), (None, "failed")])
def test_whether_compose_replaces_a_container_is_asked_where_that_matters(
    monkeypatch: pytest.MonkeyPatch, action: str | None, result: str
) -> None:
    Host(monkeypatch)
    plan = planned(heavy(), files={"compose.yml": b"other", "conf/site.conf": b"p"})
    foreseen = (
        None
        if action is None
        else replace(plan, changes=tuple(replace(c, action=action) for c in plan.changes))
    )  # type: ignore[arg-type]
    monkeypatch.setattr(module, "look_closer", lambda *_: (foreseen, {}, {}))
    (check,) = guard(NOBODY, case(), plan, heavy(), {}).checks
    assert check.result == result


def test_where_compose_does_not_read_the_files_whoever_may_lose_something_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> object:
        raise CommandError("env file app.env not found")

    Host(monkeypatch)
    plan = planned(heavy(), files={"compose.yml": b"other", "conf/site.conf": b"p"})
    monkeypatch.setattr(module, "look_closer", refuse)
    (check,) = guard(NOBODY, case(), plan, heavy(), {}).checks
    assert check.result == "failed"


@pytest.mark.parametrize(("restores", "result"), [(None, "ok"), ("r0", "failed")])
def test_what_an_earlier_release_lacks_goes_with_a_rollback(
    monkeypatch: pytest.MonkeyPatch, restores: str | None, result: str
) -> None:
    """The checkout, which has it, is what a deployment's files are, and not a rollback's."""
    Host(monkeypatch, layers={"9": {"/srv/rows": 50 * MIB}})
    facts = settled()
    (web,) = facts.containers
    facts = replace(facts, containers=(web, replace(web, id="9", service="reports")), layers={"9": 50 * MIB})
    wanted = desired()
    plan = make_plan(NODE, facts, replace(wanted, release=replace(wanted.release, restores=restores)))
    job = case()
    job = replace(job, local=replace(job.local, services=("web", "reports")))
    found = guard(NOBODY, job, plan, facts, None).checks
    assert {check.result for check in found} == {result}


def test_a_database_leads_from_one_question_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    pg = Image.parse("postgres:17")
    held = Held("volume", "v", "/x")
    facts = heavy(0, held)
    facts = replace(facts, containers=tuple(replace(c, image=pg) for c in facts.containers))
    host = Host(
        monkeypatch,
        variables={"1": {"PGDATA": "/x/pg"}},
        files={("1", "/x/pg/PG_VERSION"): b"15\n"},
    )
    plan = planned(facts, image=Image.parse("postgres:17@sha256:" + "b" * 64))
    found = guard(NOBODY, case(), plan, facts, None, pulled=True)
    assert "PostgreSQL 17 does not read what PostgreSQL 15" in "".join(
        check.problem for check in found.checks
    )
    assert [bool(q.variables) for q in host.asked] == [True, True]
    assert any(q.files == (("1", "/x/pg/PG_VERSION"),) for q in host.asked)


def test_an_image_that_is_still_to_be_pulled_is_asked_about_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nameless = Held("volume", "a" * 64, "/data")
    facts = heavy(0, nameless)
    plan = planned(facts, image=NEW)
    Host(
        monkeypatch,
        volumes={facts.containers[0].image_id: frozenset({"/data"}), str(NEW): frozenset({"/srv"})},
    )
    services: Mapping[str, Service] = {"web": Service("web", NEW.unpinned)}
    before = guard(NOBODY, case(), plan, facts, services)
    assert (before.checks[0].result, before.again) == ("ok", True)
    after = guard(NOBODY, case(), plan, facts, services, pulled=True)
    assert "would leave behind" in after.checks[0].problem


MANIFEST = Manifest(Image("h/x", "2"), f"sha256:{'b' * 64}")


def test_preflight_says_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = replace(rendered("h/x:2"), layers={"1": 50 * MIB})
    Host(monkeypatch)
    known = {"web": MANIFEST}
    (check,) = foresee_loss(NOBODY, case(), facts, VERSION, known, values())
    assert "web keeps 50 MiB" in check.problem
    # Without a digest nothing can be decided, and another check says why.
    assert foresee_loss(NOBODY, case(), facts, VERSION, {}, {}) == ()


def test_a_host_that_does_not_answer_is_not_one_that_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise CommandError("Cannot connect to the Docker daemon")

    monkeypatch.setattr(module, "ask", fails)
    facts = replace(rendered("h/x:2"), layers={"1": 50 * MIB})
    (check,) = foresee_loss(NOBODY, case(), facts, VERSION, {"web": MANIFEST}, values())
    assert (check.result, check.problem) == ("failed", "Cannot connect to the Docker daemon")


def test_a_name_that_nobody_knows_is_a_warning() -> None:
    job = case()
    stack = NODE.stack.model_copy(update={"accept_loss": ("wep", "web", "nothing-like-it")})
    job = replace(job, node=NODE.model_copy(update={"stack": stack}))
    checks = foresee_loss(NOBODY, job, rendered("h/x:1"), VERSION, {}, values())
    assert [(c.result, c.hint) for c in checks if c.problem] == [
        ("warning", "did you mean web?"),
        ("warning", "take it out"),
    ]


def test_an_earlier_release_is_rendered_where_its_files_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    site = Site(case(), NOBODY, cast(Console, SimpleNamespace(step=lambda *words: said.append(words[-1]))))
    facts = settled()
    assert kept_services(site, planned(facts), facts) is None
    monkeypatch.setattr(module, "ask_kept", lambda *_: {"web": "x"})
    other = planned(facts, files={"compose.yml": b"other"})
    assert kept_services(site, other, facts) == {"web": "x"}
    monkeypatch.setattr(module, "ask_kept", lambda *_: None)
    assert kept_services(site, other, facts, {"web": cast(Service, "known")}) == {"web": "known"}
    assert kept_services(site, planned(facts), facts, {"web": cast(Service, "known")}) is None
    assert kept_services(site, other, facts) is None
    assert "its mounts are not compared" in said[0]


def test_what_a_pulled_image_says_is_refused_before_anything_runs_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = deployment()
    node.facts = replace(rendered("h/x:2"), key=KEY)
    said = iter([Guarded((), again=True), Guarded((Check("data", "", "failed", problem="lost", hint="x"),))])
    given: list[bool] = []

    def answers(*_: object, pulled: bool = False) -> Guarded:
        given.append(pulled)
        return next(said)

    monkeypatch.setattr(module, "guard", answers)
    monkeypatch.setattr(deploying, "stage", lambda *_: None)
    node.decide(VERSION, {"web": MANIFEST}, values())
    with pytest.raises(PreflightError, match="lost") as raised:
        node.stage(())
    node.fail(raised.value)
    assert given == [False, True]
    assert node.conclude() is ExitCode.NOT_STARTED


def test_a_decision_that_would_lose_data_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    node = deployment()
    node.facts = replace(rendered("h/x:2"), layers={"1": 50 * MIB}, key=KEY)
    Host(monkeypatch)
    with pytest.raises(PreflightError, match="web keeps 50 MiB"):
        node.decide(VERSION, {"web": MANIFEST}, values())
    assert node.decision is None
    assert forward(node.facts, MANIFEST).plan.pulls == (NEW,)
