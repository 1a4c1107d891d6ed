import pytest

from deploy_lib.compose.container import Container
from deploy_lib.compose.labels import CONFIG_HASH
from deploy_lib.compose.service import Service
from deploy_lib.config import Probe, Reload
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.layout import SECRETS_LABEL
from deploy_lib.plan.desired import Desired, whole_release
from deploy_lib.plan.plan import make_plan
from deploy_lib.release.image import Image
from deploy_lib.release.release import Version
from deploy_lib.values import replace
from tests.unit import build

PROBES = tuple(
    Probe(name=name, service="web", url=f"http://127.0.0.1:8080/{name}") for name in ("open", "ready")
)
NODE = build.node(reloads=(Reload(path="conf", service="proxy", restart=True),), probes=PROBES)
OLD, NEW = (Image.parse(f"h/x:{tag}@sha256:{digit * 64}") for tag, digit in ((1, "a"), (2, "b")))
FILES = {"compose.yml": b"c", "conf/site.conf": b"p"}


def desired(image: Image = OLD, mark: str = "S=1", files: dict[str, bytes] = FILES) -> Desired:
    return whole_release(
        release_id="r2",
        version=Version("sha-0000001"),
        files=files,
        images={"web": image},
        secrets={"web": mark},
        variables={"IMAGE_TAG": "sha-0000001"},
        replicas={"web": 1},
        places=(),
    )


def settled() -> Facts:
    """A host that is exactly as `desired()` wants it."""
    release = desired().release
    container = Container(
        id="1",
        name="web-1",
        service="web",
        image=OLD,
        image_id="i",
        state="running",
        health="healthy",
        exit_code=0,
        restarts=0,
        started="",
        labels={CONFIG_HASH: "hash", SECRETS_LABEL: "S=1"},
    )
    return Facts(
        files=release.files,
        images={f"h/x@sha256:{'a' * 64}": "i"},
        containers=(container,),
        services={"web": Service("web", Image("h/x", "1"))},
        history=(event("proven", replace(release, id="r1"), hashes={"web": "hash"}),),
    )


def with_container(**changes: object) -> Facts:
    facts = settled()
    return replace(facts, containers=(replace(facts.containers[0], **changes),))  # type: ignore[arg-type]


def test_a_host_that_is_as_recorded_has_nothing_to_do() -> None:
    plan = make_plan(NODE, settled(), desired())
    assert plan.nothing
    assert (plan.changed, plan.dropped, plan.pulls, plan.reloads) == ((), (), (), ())
    assert [c.action for c in plan.changes] == ["keep"]


def test_an_image_that_the_host_has_lost_is_got_again_and_nothing_is_recreated() -> None:
    lost = replace(settled(), images={})
    for shipped, ways in ((set(), ((OLD,), ())), ({OLD}, ((), (OLD,)))):
        plan = make_plan(NODE, lost, desired(), shipped=shipped)
        assert (plan.nothing, plan.pulls, plan.ships) == (False, *ways)
        assert [c.action for c in plan.changes] == ["keep"]


def test_a_new_image_is_pulled_and_its_service_recreated() -> None:
    plan = make_plan(NODE, settled(), desired(NEW))
    assert plan.pulls == (NEW,)
    assert [(c.action, c.why, c.before) for c in plan.changes] == [("recreate", "image", OLD)]
    assert plan.changed == ("release.yml",)
    assert not plan.nothing


def test_a_changed_secret_recreates_who_uses_it() -> None:
    plan = make_plan(NODE, settled(), desired(mark="S=2"))
    assert [(c.action, c.why) for c in plan.changes] == [("recreate", "secret")]


@pytest.mark.parametrize(
    ("facts", "action"),
    [
        (replace(settled(), containers=()), "create"),
        (with_container(state="exited"), "start"),
        (with_container(health="unhealthy"), "start"),
        (with_container(labels={CONFIG_HASH: "other", SECRETS_LABEL: "S=1"}), "recreate"),
        (replace(settled(), history=()), "recreate"),
    ],
)
def test_whatever_is_not_as_recorded_is_work(facts: Facts, action: str) -> None:
    plan = make_plan(NODE, facts, desired())
    assert not plan.nothing
    assert [c.action for c in plan.changes] == [action]


def test_a_container_of_no_service_is_work() -> None:
    facts = settled()
    stray = replace(facts.containers[0], service="gone", id="2")
    assert not make_plan(NODE, replace(facts, containers=(*facts.containers, stray)), desired()).nothing


def test_a_container_of_a_profile_that_is_not_active_is_left_and_does_so_in_the_record() -> None:
    facts = settled()
    facts = replace(facts, containers=(*facts.containers, replace(facts.containers[0], service="second")))
    wish = desired()
    wish = replace(wish, release=replace(wish.release, idle=("second",)))
    first = make_plan(NODE, facts, wish)
    assert [(c.service, c.action) for c in first.changes] == [("web", "keep"), ("second", "keep")]
    # The record does not know of it yet, and would call it drift.
    assert not first.nothing
    recorded = replace(facts.history[0], release=replace(facts.history[0].release, idle=("second",)))
    facts = replace(facts, history=(recorded,))
    assert make_plan(NODE, facts, wish).nothing
    # The new files do not have the service at all.
    gone = make_plan(NODE, facts, desired())
    assert [(c.service, c.action) for c in gone.changes] == [("web", "keep"), ("second", "remove")]
    assert not gone.nothing


def test_files_are_reloaded_where_they_changed_and_dropped_where_they_are_gone() -> None:
    plan = make_plan(NODE, settled(), desired(files={"compose.yml": b"c"}))
    assert plan.dropped == ("conf/site.conf",)
    assert [r.service for r in plan.reloads] == ["proxy"]


def test_what_earlier_releases_have_shipped_into_a_container_s_own_place_is_left() -> None:
    facts, lay = settled(), ("rows/.gitkeep", "up/init.sql", "old.conf")
    recorded = facts.history[0]
    more = {**recorded.release.files, **dict.fromkeys(lay, "1")}
    facts = replace(
        facts, files=more, history=(replace(recorded, release=replace(recorded.release, files=more)),)
    )
    assert make_plan(NODE, facts, desired()).dropped == ("old.conf", "up/init.sql")
    assert make_plan(build.node(data=("up",)), facts, desired()).dropped == ("old.conf",)


def test_a_stopped_container_is_said_to_be_that_whatever_its_health_was() -> None:
    plan = make_plan(NODE, with_container(state="exited", health="unhealthy"), desired())
    assert plan.changes[0].why == "it is exited"


def test_what_runs_without_a_record_is_adopted_but_not_what_a_first_deployment_left_half_way() -> None:
    begun = event("started", replace(desired().release, id="r1"))
    found = {
        kind: replace(settled(), history=(begun, replace(begun, kind=kind)))
        for kind in ("failed", "reverted")
    }
    by_hand = make_plan(NODE, replace(settled(), history=()), desired(NEW))
    assert by_hand.back is not None
    assert by_hand.before is not None
    assert by_hand.before.kind == "adopted"
    assert make_plan(NODE, found["reverted"], desired(NEW)).back is not None
    for facts in (found["failed"], replace(settled(), history=(begun,))):
        half = make_plan(NODE, facts, desired(NEW))
        assert (half.before, half.back) == (None, None)


def test_going_back_puts_everything_right_although_the_failed_release_lies_there_already() -> None:
    before = desired()
    new = desired(NEW, files={**FILES, "conf/more.conf": b"more"})
    left = replace(settled(), files=new.release.files)
    newest = event("failed", new.release)
    facts = replace(left, history=(*left.history, newest))
    plan = make_plan(NODE, facts, new)
    assert plan.changed == ()
    assert plan.undo is not None
    assert plan.undo.files == {"release.yml": before.release.files["release.yml"]}
    assert plan.undo.dropped == ["conf/more.conf"]
    # The service is told again: nobody knows whether it was.
    back = make_plan(NODE, facts, desired())
    assert back.dropped == ("conf/more.conf",)
    assert [r.service for r in back.reloads] == ["proxy"]


def test_after_an_ordinary_release_going_back_touches_what_changed_and_no_more() -> None:
    plan = make_plan(NODE, settled(), desired(NEW))
    assert plan.undo is not None
    assert set(plan.undo.files) == {"release.yml"}
    assert not plan.undo.dropped
    edited = replace(settled(), files={**settled().files, "compose.yml": "by hand"})
    undo = make_plan(NODE, edited, desired(NEW)).undo
    assert undo is not None
    assert set(undo.files) == {"release.yml", "compose.yml"}


def test_a_host_that_a_failure_was_left_on_is_recorded_again_when_somebody_put_it_right_by_hand() -> None:
    facts = replace(settled(), history=(*settled().history, event("failed", desired(NEW).release)))
    assert not make_plan(NODE, facts, desired()).nothing


def test_other_probes_alone_make_a_release_that_changes_nothing_that_runs() -> None:
    facts, wish = settled(), desired()
    probes = NODE.stack.probes
    old = replace(facts.history[0].release, probes=probes[:1])
    known = replace(facts, history=(replace(facts.history[0], release=old),))
    wish = replace(wish, release=replace(wish.release, probes=probes))
    plan = make_plan(NODE, known, wish)
    assert (plan.nothing, plan.other_probes, plan.changed) == (False, True, ())
    assert [c.action for c in plan.changes] == ["keep"]
    assert make_plan(NODE, known, replace(wish, release=replace(wish.release, probes=probes[:1]))).nothing
    assert make_plan(NODE, facts, wish).nothing, "a record from before probes were recorded"


@pytest.mark.parametrize(
    ("code", "action"),
    [(0, "keep"), (7, "start")],
)
def test_work_that_is_done_is_not_done_again_before_it_changes(code: int, action: str) -> None:
    once = Desired(replace(desired().release, ends={"web": "must"}), {})
    facts = with_container(state="exited", health=None, exit_code=code)
    plan = make_plan(NODE, facts, once)
    assert [c.action for c in plan.changes] == [action]
    assert plan.nothing == (not code)
    changed = Desired(replace(desired(NEW).release, ends={"web": "must"}), {})
    assert [c.action for c in make_plan(NODE, facts, changed).changes] == ["recreate"]


def test_a_changed_file_recreates_who_is_marked_by_it() -> None:
    marked = Desired(replace(desired().release, mounted={"web": "abc"}), {})
    assert [(c.action, c.why) for c in make_plan(NODE, settled(), marked).changes] == [
        ("recreate", "files that it mounts")
    ]


def test_what_was_ill_before_is_known() -> None:
    assert make_plan(NODE, with_container(health="unhealthy"), desired()).ill == ("web",)
    assert make_plan(NODE, settled(), desired()).ill == ()
    assert make_plan(NODE, replace(with_container(health="unhealthy"), history=()), desired()).ill == ("web",)


def test_what_a_failed_release_has_left_ill_says_nothing_of_the_release_before() -> None:
    newest = event("failed", desired(NEW).release)
    left = with_container(health="unhealthy", image=NEW, labels={CONFIG_HASH: "new", SECRETS_LABEL: "S=1"})
    adopted = replace(left.history[0], kind="adopted", hashes={})
    for first in (left.history[0], adopted):
        assert make_plan(NODE, replace(left, history=(first, newest)), desired(NEW)).ill == ()
    # Its own container, which the failed release did not touch, was ill before.
    own = with_container(health="unhealthy")
    assert make_plan(NODE, replace(own, history=(*own.history, newest)), desired()).ill == ("web",)
