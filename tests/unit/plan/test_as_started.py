"""Containers that somebody else has started stay where they are as the new release has them, and only there."""

from pathlib import PurePosixPath
from typing import Any

import pytest

from deploy_lib.compose.container import Container
from deploy_lib.compose.labels import CONFIG_HASH
from deploy_lib.compose.project import Project
from deploy_lib.compose.service import Mount, Service
from deploy_lib.host.change.history import event
from deploy_lib.host.look.by_hand import ByHand
from deploy_lib.host.look.facts import Facts
from deploy_lib.plan.adopted import adopted_release
from deploy_lib.plan.as_started import staying_as_started
from deploy_lib.plan.desired import Desired, earlier_release, whole_release
from deploy_lib.plan.plan import make_plan
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release, Version
from deploy_lib.values import replace
from tests.unit import build

REFERENCE = Image("h/db", "17")
PINNED = REFERENCE.with_digest(f"sha256:{'d' * 64}")
DB = build.container(id="d", service="db", image=REFERENCE, image_id="sha256:9", labels={CONFIG_HASH: "hash"})
FACTS = Facts(
    containers=(DB,),
    tags={"h/db:17": "sha256:9"},
    images={PINNED.listed: "sha256:9"},
    services={
        "db": Service(
            "db", REFERENCE, mounts=(Mount("bind", "conf", "/conf"), Mount("volume", "rows", "/rows"))
        )
    },
    files={"conf/a": "1"},
    alike=frozenset({"db"}),
)
FACTS = replace(
    FACTS, by_hand=ByHand(Project("p", PurePosixPath("/srv/p"), ("a.yml",)), services=FACTS.services)
)


def stays(facts: Facts, **more: Any) -> bool:
    given = {"secrets": {}, "mounted": {}, "files": {"conf/a": "1"}, **more}
    return staying_as_started(facts, {"db": PINNED}, **given) == {"db": REFERENCE}


def test_what_is_alike_stays() -> None:
    assert stays(FACTS)


@pytest.mark.parametrize(
    "other",
    [
        replace(FACTS, alike=frozenset()),
        replace(FACTS, tags={"h/db:17": "sha256:8"}),
        replace(FACTS, containers=(replace(DB, image_id="sha256:8"),)),
        replace(FACTS, containers=(replace(DB, health="unhealthy"),)),
        replace(FACTS, containers=(DB, replace(DB, id="e", image=Image("h/db", "16")))),
        # What Compose does not look at is not the same, or not known to be.
        replace(FACTS, files={"conf/a": "2"}),
        replace(FACTS, files={}),
        replace(FACTS, services={"db": replace(FACTS.services["db"], contents={"/c": "x"})}),
        replace(FACTS, services={"db": replace(FACTS.services["db"], sources={"s": "S"})}),
        replace(FACTS, containers=()),
    ],
)
def test_what_is_not_surely_the_same_is_made_anew(other: Facts) -> None:
    assert not stays(other)


def released(as_started: dict[str, Image], **more: Any) -> Desired:
    return whole_release(
        release_id="r2",
        version=Version("2"),
        files={"conf/a": b"1"},
        images={"db": PINNED},
        secrets={},
        variables={},
        replicas={"db": 1},
        as_started=as_started,
        **more,
    )


def test_compose_is_told_of_no_other_image_and_the_record_has_the_digest() -> None:
    desired = released({"db": REFERENCE})
    assert build.pinned(desired.files["release.yml"]) == {}
    assert desired.release.images == {"db": PINNED}
    assert Release.from_dict(desired.release.as_dict()) == desired.release
    (change,) = make_plan(build.node(), FACTS, desired).changes
    assert (change.action, change.why) == ("keep", "it runs as it is to be")
    plan = make_plan(build.node(), FACTS, released({}))
    assert [c.action for c in plan.changes] == ["recreate"]
    assert plan.down == ("db",)


def test_it_stays_so_until_something_about_it_changes() -> None:
    release = replace(released({"db": REFERENCE}).release, secrets={"db": "S=1"})
    later = replace(FACTS, history=(event("proven", release, hashes={"db": "hash"}),), alike=frozenset())
    assert stays(later, secrets={"db": "S=1"})
    assert not stays(later, secrets={"db": "S=2"})
    assert not stays(later, secrets={"db": "S=1"}, mounted={"db": "other"})
    assert not stays(replace(later, tags={}), secrets={"db": "S=1"})


def test_what_ran_before_is_not_pinned_either_where_its_name_still_leads_there() -> None:
    adopted = adopted_release("r0", FACTS)
    assert adopted.release.as_started == {"db": REFERENCE}
    assert build.pinned(adopted.files["release.yml"]) == {}
    moved = replace(FACTS, tags={"h/db:17": "sha256:8"})
    assert build.pinned(adopted_release("r0", moved).files["release.yml"]) == {"db": (str(PINNED), "")}
    made = FACTS.started_from
    assert made is not None
    unlike = replace(FACTS, by_hand=replace(made, unlike=("db",)))
    assert adopted_release("r0", unlike).release.as_started == {}
    # A later rollback as well.
    assert build.pinned(earlier_release("r9", adopted.release, FACTS).files["release.yml"]) == {}
    assert build.pinned(earlier_release("r9", adopted.release, moved).files["release.yml"]) == {
        "db": (str(PINNED), "")
    }


def test_a_service_that_the_new_files_lack_is_told() -> None:
    old: Container = replace(DB, id="o", service="old")
    facts = replace(FACTS, containers=(DB, old), inactive=frozenset({"old"}))
    desired = released({"db": REFERENCE})
    found = {c.service: c.action for c in make_plan(build.node(), facts, desired).changes}
    assert found == {"db": "keep", "old": "keep"}
    found = {
        c.service: c.action
        for c in make_plan(build.node(), replace(facts, inactive=frozenset()), desired).changes
    }
    assert found == {"db": "keep", "old": "remove"}
