import json
from dataclasses import replace

from deploy_lib import desired as wanted
from deploy_lib import plan as planning
from deploy_lib.operations.compose import HASH_LABEL, SECRETS_LABEL, read_override
from deploy_lib.operations.history import event
from deploy_lib.release import Release

from .test_plan import NODE, OLD, desired, settled


def test_a_release_is_brought_back_with_the_secret_values_that_run_now() -> None:
    target = desired(mark="S=1").release
    running = replace(target, id="r9", secrets={"web": "S=2"})
    back = wanted.restore("r10", target, running)
    assert (back.release.id, back.release.restores, back.release.images) == ("r10", "r2", target.images)
    assert back.release.secrets == {"web": "S=2"}
    assert read_override(back.files["release.yml"]) == ({"web": OLD}, {"web": "S=2"})
    untouched = {k: v for k, v in target.files.items() if k != "release.yml"}
    assert {k: v for k, v in back.release.files.items() if k != "release.yml"} == untouched


def test_a_release_without_changed_secrets_is_brought_back_exactly() -> None:
    target = desired().release
    assert wanted.restore("r10", target, target).release.files == target.files


def test_what_runs_without_a_record_is_adopted_by_digest_with_the_files_that_lie_there() -> None:
    facts = settled()
    container = replace(
        facts.containers[0], image="h/x:1", image_id="i", labels={HASH_LABEL: "h", SECRETS_LABEL: "S=1"}
    )
    facts = replace(facts, history=(), containers=(container,), files={"docker-compose.core.yml": "c"})
    adopted = wanted.adopt("r1", facts)
    assert adopted.release.images == {"web": OLD}
    assert adopted.release.replicas == {"web": 1}
    assert Release.from_dict(json.loads(json.dumps(adopted.release.as_dict()))) == adopted.release
    assert read_override(adopted.files["release.yml"]) == ({"web": OLD}, {"web": "S=1"})
    assert adopted.release.files["docker-compose.core.yml"] == "c"


def test_an_image_that_no_registry_knows_is_adopted_by_its_id() -> None:
    facts = settled()
    container = replace(facts.containers[0], image="local/x:dev", image_id="sha256:abc")
    adopted = wanted.adopt("r1", replace(facts, history=(), containers=(container,)))
    assert adopted.release.images == {"web": "sha256:abc"}


def test_the_plan_says_what_a_failure_goes_back_to() -> None:
    facts = settled()
    assert (found := planning.make(NODE, facts, desired()).back) is not None
    assert found.release.id == "r1"
    adopted = planning.make(NODE, replace(facts, history=()), desired())
    assert adopted.before is not None
    assert adopted.before.kind == "adopted"
    assert planning.make(NODE, replace(facts, history=(), containers=()), desired()).back is None


def test_a_rollback_skips_releases_with_the_same_content() -> None:
    facts = settled()
    first = replace(facts.history[0], before="r0")
    again = planning.make(NODE, replace(facts, history=(first,)), desired())
    assert again.next_before == "r0"
    other = planning.make(NODE, replace(facts, history=(first,)), desired(f"h/x:2@sha256:{'b' * 64}"))
    assert other.next_before == "r1"


def test_an_interrupted_release_is_never_nothing_to_do() -> None:
    facts = settled()
    started = event("started", replace(desired().release, id="r3"))
    assert not planning.make(NODE, replace(facts, history=(*facts.history, started)), desired()).nothing
