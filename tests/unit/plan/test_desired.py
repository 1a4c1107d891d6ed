import json
from pathlib import PurePosixPath

from deploy_lib.compose.labels import CONFIG_HASH
from deploy_lib.compose.project import Project
from deploy_lib.compose.service import Service
from deploy_lib.host.change.history import event
from deploy_lib.host.look.by_hand import ByHand
from deploy_lib.layout import DELIVERY_LABEL, SECRETS_LABEL
from deploy_lib.plan.adopted import adopted_release
from deploy_lib.plan.desired import Desired, earlier_release, rotated_release
from deploy_lib.plan.plan import make_plan
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.values import replace
from tests.unit import build
from tests.unit.plan.test_plan import NEW, NODE, OLD, desired, settled

ID = "sha256:" + "c" * 64


def test_a_release_is_brought_back_with_the_secret_values_that_run_now() -> None:
    target = desired(mark="S=1").release
    running = replace(target, id="r9", secrets={"web": "S=2"})
    back = earlier_release("r10", target, replace(settled(), history=(event("proven", running),)))
    assert (back.release.id, back.release.restores, back.release.images) == ("r10", "r2", target.images)
    assert back.release.secrets == {"web": "S=2"}
    assert build.pinned(back.files["release.yml"]) == {"web": (str(OLD), "S=2")}
    untouched = {k: v for k, v in target.files.items() if k != "release.yml"}
    assert {k: v for k, v in back.release.files.items() if k != "release.yml"} == untouched


def test_a_release_without_changed_secrets_is_brought_back_exactly() -> None:
    target = desired().release
    assert (
        earlier_release("r10", target, replace(settled(), history=(event("proven", target),))).release.files
        == target.files
    )


def test_what_runs_without_a_record_is_adopted_by_digest_with_the_files_that_lie_there() -> None:
    facts = settled()
    container = replace(
        facts.containers[0],
        image=Image("h/x", "1"),
        image_id="i",
        labels={CONFIG_HASH: "h", SECRETS_LABEL: "S=1"},
    )
    facts = replace(facts, history=(), containers=(container,), files={"compose.yml": "c"})
    adopted = adopted_release("r1", facts)
    assert adopted.release.images == {"web": OLD}
    assert adopted.release.replicas == {"web": 1}
    assert Release.from_dict(json.loads(json.dumps(adopted.release.as_dict()))) == adopted.release
    assert build.pinned(adopted.files["release.yml"]) == {"web": (str(OLD), "S=1")}
    assert adopted.release.files["compose.yml"] == "c"


def test_an_image_that_no_registry_knows_is_adopted_by_its_id() -> None:
    facts = settled()
    container = replace(facts.containers[0], image=Image("local/x", "dev"), image_id=ID)
    adopted = adopted_release("r1", replace(facts, history=(), containers=(container,)))
    assert adopted.release.images == {"web": Image.parse(ID)}


def test_the_plan_says_what_a_failure_goes_back_to() -> None:
    facts = settled()
    assert (found := make_plan(NODE, facts, desired()).back) is not None
    assert found.release.id == "r1"
    adopted = make_plan(NODE, replace(facts, history=()), desired())
    assert adopted.before is not None
    assert adopted.before.kind == "adopted"
    assert make_plan(NODE, replace(facts, history=(), containers=()), desired()).back is None


def test_a_rollback_skips_releases_with_the_same_content() -> None:
    facts = settled()
    first = replace(facts.history[0], before="r0")
    again = make_plan(NODE, replace(facts, history=(first,)), desired())
    assert again.next_before == "r0"
    other = make_plan(NODE, replace(facts, history=(first,)), desired(NEW))
    assert other.next_before == "r1"


def test_an_interrupted_release_is_never_nothing_to_do() -> None:
    facts = settled()
    started = event("started", replace(desired().release, id="r3"))
    assert not make_plan(NODE, replace(facts, history=(*facts.history, started)), desired()).nothing


def test_a_rotation_is_the_release_that_runs_with_other_fingerprints() -> None:
    running = replace(desired(mark="S=1 T=2").release, id="r1", restores="r0")
    rotated = rotated_release("r2", running, {"T": "3"}).release
    assert rotated.secrets == {"web": "S=1 T=3"}
    assert (rotated.images, rotated.replicas, rotated.restores) == (running.images, running.replicas, None)
    assert running.same_content(rotated)


FILES = {"s": "/run/ktrdr-secrets/p/S"}


def test_another_delivery_recreates_who_has_secrets() -> None:
    memory = replace(desired().release, secret_files=FILES)
    facts = replace(settled(), delivered=frozenset(FILES.values()))
    plan = make_plan(NODE, facts, Desired(memory, {}))
    assert [(c.action, c.why) for c in plan.changes] == [("recreate", "delivery of its secrets")]


def test_secret_files_that_are_gone_are_work() -> None:
    facts = settled()
    (container,) = facts.containers
    labelled = replace(container, labels={**container.labels, DELIVERY_LABEL: "/run/ktrdr-secrets/p"})
    memory = replace(facts.history[0].release, secret_files=FILES)
    facts = replace(facts, containers=(labelled,), history=(event("proven", memory, hashes={"web": "hash"}),))
    there = replace(facts, delivered=frozenset(FILES.values()))
    assert make_plan(NODE, there, Desired(memory, {})).nothing
    assert not make_plan(NODE, facts, Desired(memory, {})).nothing


def test_a_project_without_a_record_keeps_its_delivery() -> None:
    facts = settled()
    (container,) = facts.containers
    labelled = replace(container, labels={**container.labels, DELIVERY_LABEL: "/run/ktrdr-secrets/p"})
    deployed = {"web": Service("web", OLD, sources={"s": "S"})}
    facts = replace(facts, history=(), containers=(labelled,), deployed=deployed)
    assert adopted_release("r1", facts).release.secret_files == FILES


def test_what_was_started_by_hand_goes_back_to_the_files_that_it_was_started_from() -> None:
    started = Project("p", PurePosixPath("/opt/p"), ("by-hand.yml", "release.yml"), (".env", "release.env"))
    facts = replace(settled(), history=(), by_hand=ByHand(started))
    release = adopted_release("r1", facts).release
    assert (release.compose_files, release.env_files) == (("by-hand.yml",), (".env",))
    assert adopted_release("r1", replace(facts, by_hand=None)).release.compose_files == ()
