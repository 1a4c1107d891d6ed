"""Some services of a stack by themselves: what is decided, and whose secret values stay."""

import secrets
from typing import Any

import pytest

from deploy_lib.compose.command import up_commands
from deploy_lib.compose.labels import CONFIG_HASH
from deploy_lib.compose.service import Service
from deploy_lib.errors import PreflightError
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Manifest
from deploy_lib.layout import SECRETS_LABEL
from deploy_lib.plan.chosen import decide_services
from deploy_lib.plan.plan import make_plan
from deploy_lib.plan.risks import make_scene
from deploy_lib.plan.steps import make_switch
from deploy_lib.release.image import Image
from deploy_lib.secrets.value import Secret
from deploy_lib.values import replace
from tests.unit.plan.test_decide import KEY, NODE, VERSION, case, rendered, values
from tests.unit.plan.test_plan import NEW, OLD


def with_secrets(reference: str, **secrets: str) -> Facts:
    """The same host, with these fingerprints in its record."""
    facts = rendered(reference)
    release = replace(facts.history[0].release, secrets=secrets)
    return replace(facts, history=(replace(facts.history[0], release=release),))


def test_one_service_alone_has_only_its_own_image_settled() -> None:
    facts = with_secrets("h/x:2", web="DB_PASSWORD=1")
    facts = replace(facts, services={**facts.services, "other": Service("other", Image.parse("h/unknown:1"))})
    facts = replace(facts, deployed={"web": facts.services["web"]})
    made = decide_services(case(services=("web",)), facts, VERSION, KNOWN, values(), KEY)
    assert made.plan.desired.release.images == {"web": NEW}
    assert made.plan.desired.release.probes == NODE.stack.probes


def test_the_others_keep_the_values_that_they_have() -> None:
    facts = with_secrets("h/x:1", web="DB_PASSWORD=1", other="OTHER=1 GONE=1")
    release = facts.history[0].release
    release = replace(release, images={**release.images, "other": OLD}, replicas={"web": 1, "other": 1})
    other = replace(facts.containers[0], id="2", service="other", labels={SECRETS_LABEL: "OTHER=1 GONE=1"})
    facts = replace(
        facts,
        history=(replace(facts.history[0], release=release),),
        containers=(*facts.containers, other),
        deployed={"web": facts.services["web"], "other": Service("other", OLD)},
    )
    given = {**values(), "OTHER": Secret(secrets.token_hex(8))}
    made = decide_services(case(services=("web",)), facts, VERSION, {}, given, KEY)
    assert (made.kept, made.withheld) == (("GONE", "OTHER"), ("OTHER",))
    switch = make_switch(made, facts, case(), token="", happens=lambda kind, _: event(kind, release))
    assert list(switch.kept_values) == ["GONE", "OTHER"]
    # Without a container of it there is no value that runs.
    alone = replace(facts, containers=facts.containers[:1])
    assert decide_services(case(services=("web",)), alone, VERSION, {}, given, KEY).withheld == ()


def test_no_other_service_is_started_anew_forward_or_back() -> None:
    facts = with_secrets("h/x:1")
    release = facts.history[0].release
    images = {**release.images, "job": OLD, "other": OLD}
    release = replace(release, images=images, replicas=dict.fromkeys(images, 1), ends={"job": "must"})
    web = facts.containers[0]
    others = [
        replace(web, id=name, service=name, labels={**web.labels, SECRETS_LABEL: ""}) for name in images
    ]
    facts = replace(
        facts,
        history=(replace(facts.history[0], release=release, hashes=dict.fromkeys(images, "hash")),),
        containers=(web, *(c for c in others if c.service != "web")),
        deployed={"web": facts.services["web"], "job": Service("job", OLD), "other": Service("other", OLD)},
    )
    made = decide_services(case(services=("web",)), facts, VERSION, {}, values(), KEY)
    assert [change.action for change in made.plan.changes if change.service != "web"] == ["keep", "keep"]
    switch = make_switch(made, facts, case(), token="", happens=lambda kind, _: event(kind, release))
    assert (switch.runs.services, switch.runs.done, switch.runs.later) == (("web",), (), ())
    assert (switch.back_runs.services, switch.back_runs.done, switch.back_runs.later) == (("web",), (), ())
    assert not switch.runs.all


def made_by_hand() -> Facts:
    """A host on which "other" was made anew by hand, and "stray" is no service of the stack."""
    facts = with_secrets("h/x:2")
    (web,) = facts.containers
    release = facts.history[0].release
    release = replace(release, images={**release.images, "other": OLD}, replicas={"web": 1, "other": 1})
    recorded = replace(facts.history[0], release=release, hashes={"web": "hash", "other": "hash"})
    labels = {**web.labels, SECRETS_LABEL: "", CONFIG_HASH: "by hand"}
    beside = [replace(web, id=name, service=name, labels=labels) for name in ("other", "stray")]
    deployed = {"web": facts.services["web"], "other": Service("other", OLD)}
    return replace(facts, history=(recorded,), containers=(web, *beside), deployed=deployed)


KNOWN = {"web": Manifest(Image("h/x", "2"), f"sha256:{'b' * 64}")}


def test_what_somebody_has_made_beside_a_chosen_service_stays() -> None:
    facts = made_by_hand()
    made = decide_services(case(services=("web",)), facts, VERSION, KNOWN, values(), KEY)
    assert {c.service: c.action for c in made.plan.changes} == {
        "other": "keep",
        "web": "recreate",
        "stray": "keep",
    }
    assert made.plan.aside == ("other", "stray")
    release = made.plan.desired.release
    switch = make_switch(made, facts, case(), token="", happens=lambda kind, _: event(kind, release))
    for runs, project in ((switch.runs, switch.project), (switch.back_runs, switch.back_project)):
        assert runs.services == ("web",)
        assert project is not None
        assert "--remove-orphans" not in "".join(up_commands(project, runs.services))
    services = {**(facts.deployed or {}), **facts.services}
    assert [risk.service for risk in make_scene(made.plan, facts, case().stack, services).risks] == ["web"]
    # A whole deployment takes them along.
    whole = make_plan(NODE, facts, made.plan.desired)
    assert {c.service: c.action for c in whole.changes} == {
        "other": "recreate",
        "web": "recreate",
        "stray": "remove",
    }


def test_what_compose_would_change_along_with_a_chosen_service_is_refused_with_the_flags_for_both() -> None:
    facts = made_by_hand()
    web = replace(facts.services["web"], spec={"depends_on": {"other": {"condition": "service_started"}}})
    facts = replace(facts, services={"web": web})
    with pytest.raises(PreflightError, match=r"web needs other \(it is not as recorded\)") as raised:
        decide_services(case(services=("web",)), facts, VERSION, KNOWN, values(), KEY)
    assert "--service other --service web" in (raised.value.hint or "")
    # What only was stopped, Compose leaves as it is.
    (_, other, _) = facts.containers
    stopped = replace(other, state="exited", health=None, labels={**other.labels, CONFIG_HASH: "hash"})
    facts = replace(facts, containers=(facts.containers[0], stopped))
    assert decide_services(case(services=("web",)), facts, VERSION, KNOWN, values(), KEY).plan.aside == (
        "other",
    )


@pytest.mark.parametrize("down", [{"state": "exited", "health": None, "exit_code": 137}, None])
def test_what_was_stopped_by_hand_is_not_started_beside_a_chosen_service(down: dict[str, Any] | None) -> None:
    facts = with_secrets("h/x:2")
    release = facts.history[0].release
    images = {**release.images, "other": OLD}
    release = replace(release, images=images, replicas=dict.fromkeys(images, 1))
    (web,) = facts.containers
    other = replace(web, id="2", service="other", labels={**web.labels, SECRETS_LABEL: ""}, **(down or {}))
    facts = replace(
        facts,
        history=(replace(facts.history[0], release=release, hashes=dict.fromkeys(images, "hash")),),
        containers=(web, other) if down else (web,),
        deployed={"web": facts.services["web"], "other": Service("other", OLD)},
    )
    made = decide_services(case(services=("web",)), facts, VERSION, KNOWN, values(), KEY)
    assert [(c.service, c.action) for c in made.plan.changes] == [("other", "keep"), ("web", "recreate")]
    assert "stays so" in made.plan.changes[0].why
    assert made.plan.aside == ("other",)
    switch = make_switch(made, facts, case(), token="", happens=lambda kind, _: event(kind, release))
    assert (switch.runs.services, switch.back_runs.services) == (("web",), ("web",))
    # But for what is part of the chosen one's container, which would be left without it.
    inner = replace(facts, containers=(web, replace(other, joined=(web.id,))))
    if down:
        made = decide_services(case(services=("web",)), inner, VERSION, KNOWN, values(), KEY)
        assert ([c.action for c in made.plan.changes], made.plan.aside) == (["recreate", "recreate"], ())
    # A whole deployment starts it.
    whole = make_plan(NODE, facts, made.plan.desired)
    assert whole.changes[0].action == ("start" if down else "create")
