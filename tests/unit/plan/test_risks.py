"""Which containers a plan replaces or removes, and what comes in their place."""

from deploy_lib.checks.risk import Risk, Scene
from deploy_lib.compose.container import Container
from deploy_lib.compose.mounts import Held
from deploy_lib.compose.service import Mount, Service
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.stack import HostStack
from deploy_lib.plan.plan import make_plan
from deploy_lib.plan.risks import make_scene, only
from deploy_lib.values import replace
from tests.unit.plan.test_plan import FILES, NEW, NODE, OLD, desired, settled

STACK = HostStack(NODE, "shop-1", compose_files=("compose.yml",))
VOLUME = Held("volume", "shop-1_data", "/data")


def model(**services: Service) -> dict[str, Service]:
    mount = Mount("volume", "data", "/data", "shop-1_data")
    return {
        "web": Service(
            "web", OLD.unpinned, mounts=(mount,), spec={"command": ["a", "b"], "environment": {"X": 1}}
        ),
        **services,
    }


def scene(facts: Facts, services: dict[str, Service] | None = None, **wanted: object) -> Scene:
    plan = make_plan(NODE, facts, desired(**wanted))  # type: ignore[arg-type]
    return make_scene(plan, facts, STACK, services)


def mounted(facts: Facts, *mounts: Held) -> Facts:
    return replace(facts, containers=tuple(replace(c, mounts=mounts) for c in facts.containers))


def test_where_nothing_is_to_be_done_nothing_is_at_risk() -> None:
    assert not scene(settled(), model()).risks


def test_another_image_replaces_the_container_in_any_case() -> None:
    (risk,) = scene(mounted(settled(), VOLUME), model(), image=NEW).risks
    assert (risk.service, risk.sure, risk.image, risk.called) == ("web", True, NEW, OLD.unpinned)
    assert (risk.after, risk.command, dict(risk.environment)) == ((VOLUME,), ("a", "b"), {"X": "1"})
    assert [c.id for c in risk.goes] == ["1"]
    assert scene(settled(), model(), image=NEW).mounted == {"shop-1_data"}


def test_a_label_replaces_the_container_too() -> None:
    (risk,) = scene(settled(), model(), mark="S=2").risks
    assert risk.sure


def test_where_compose_files_change_a_container_may_be_replaced() -> None:
    changed = {**FILES, "compose.yml": b"other"}
    (risk,) = scene(mounted(settled(), VOLUME), model(), files=changed).risks
    assert (risk.sure, risk.rewritten) == (False, True)
    only_variables = replace(settled(), files={**settled().files, "release.env": "other"})
    (risk,) = scene(mounted(only_variables, VOLUME), model()).risks
    assert (risk.sure, risk.rewritten) == (False, False)
    assert not only(scene(mounted(settled(), VOLUME), model(), files=changed), ()).risks
    assert [
        r.sure for r in only(scene(mounted(settled(), VOLUME), model(), files=changed), ["web"]).risks
    ] == [True]


def test_a_volume_that_the_files_have_no_more_puts_the_container_at_risk_whatever_compose_does() -> None:
    changed = {**FILES, "compose.yml": b"other"}
    other = mounted(settled(), replace(VOLUME, source="shop-1_old"))
    assert [r.sure for r in scene(other, model(), files=changed).risks] == [True]


def test_files_that_are_no_input_of_compose_replace_nothing_by_themselves() -> None:
    assert not scene(settled(), model(), files={**FILES, "conf/site.conf": b"other"}).risks


def test_where_the_files_stay_the_mounts_do() -> None:
    what = scene(mounted(settled(), VOLUME), None, image=NEW)
    assert what.mounted is None
    assert [risk.after for risk in what.risks] == [(VOLUME,)]


def test_a_service_that_is_gone_and_replicas_that_are_too_many_are_removed() -> None:
    facts = settled()
    (web,) = facts.containers
    second = replace(web, id="2", labels={**web.labels, "com.docker.compose.container-number": "2"})
    orphan = replace(web, id="3", service="old")
    what = scene(replace(facts, containers=(second, web, orphan)), model())
    assert [(r.service, [c.id for c in r.goes], r.after) for r in what.risks] == [
        ("web", ["2"], None),
        ("old", ["3"], None),
    ]


def test_a_service_that_no_profile_has_switched_on_is_left_alone() -> None:
    facts = settled()
    orphan = replace(facts.containers[0], id="3", service="second")
    plan = make_plan(NODE, facts_with(facts, orphan), desired())
    for declared, at_risk in (((), ["second"]), (("web", "second"), [])):
        found = make_scene(plan, facts_with(facts, orphan), STACK, model(), declared)
        assert [risk.service for risk in found.risks] == at_risk


def test_what_somebody_else_has_started_and_stays_as_it_is_is_not_at_risk() -> None:
    changed = desired(files={**FILES, "compose.yml": b"other"})
    facts = replace(settled(), containers=tuple(replace(c, mounts=(VOLUME,)) for c in settled().containers))
    release = replace(changed.release, as_started={"web": OLD})
    plan = make_plan(NODE, facts, replace(changed, release=release))
    for alike, mounted_there, at_risk in (
        ((), VOLUME, 1),
        (("web",), VOLUME, 0),
        (("web",), replace(VOLUME, source="x"), 1),
    ):
        found = mounted(replace(facts, alike=frozenset(alike)), mounted_there)
        assert len(make_scene(plan, found, STACK, model()).risks) == at_risk


def test_a_service_of_another_profile_is_left_alone_where_that_was_asked() -> None:
    facts = settled()
    orphan = replace(facts.containers[0], id="3", service="second")
    plan = make_plan(NODE, facts_with(facts, orphan), desired())
    found = replace(facts_with(facts, orphan), inactive=frozenset({"second"}))
    assert not make_scene(plan, found, STACK, model()).risks


def facts_with(facts: Facts, *more: Container) -> Facts:
    return replace(facts, containers=(*facts.containers, *more))


def test_a_service_that_was_never_here_is_new_and_one_that_is_recorded_is_not() -> None:
    def first(facts: Facts) -> Risk:
        (risk,) = scene(facts, model()).risks
        return risk

    assert first(Facts()).new
    assert not first(replace(settled(), containers=())).new
    assert first(Facts()).goes == ()
