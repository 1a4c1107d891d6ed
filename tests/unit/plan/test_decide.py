"""What each command decides, from what was found on the host, and what that makes the host do."""

import json
import secrets

import pytest

from deploy_lib.compose.labels import CONFIG_HASH
from deploy_lib.compose.service import Service
from deploy_lib.config import OneOff
from deploy_lib.errors import PreflightError
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Manifest
from deploy_lib.host.programs.postgres import PostgresRole
from deploy_lib.host.stack import HostStack
from deploy_lib.plan.decide import decide_rollback, decide_rotation, decide_version
from deploy_lib.plan.decision import Decision, Job
from deploy_lib.plan.steps import due_one_offs, make_staging, make_switch
from deploy_lib.release.files import Entry
from deploy_lib.release.history import Event
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release, Version
from deploy_lib.request import Request
from deploy_lib.secrets.places import Place
from deploy_lib.secrets.value import Secret
from deploy_lib.source.checkout import Local
from deploy_lib.source.shipped import Shipped
from deploy_lib.values import replace
from tests.unit import sample
from tests.unit.plan.test_plan import FILES, NEW, OLD, settled
from tests.unit.plan.test_plan import NODE as PLAIN

MIGRATION = OneOff(service="web", command=("migrate",))
ROLE = PostgresRole(kind="postgres-role", secret="DB_PASSWORD", service="db", role="DB_USER")
NODE = PLAIN.model_copy(
    update={"stack": PLAIN.stack.model_copy(update={"before_switch": (MIGRATION,), "apply": (ROLE,)})}
)
VERSION = Version("sha-0000002")
SHIPPED = Shipped({path: Entry(content) for path, content in FILES.items()}, tuple(FILES)[:1])
KEY = secrets.token_hex(32)


def case(**request: object) -> Job:
    return Job(sample.house(), NODE, Local(SHIPPED, "shop-1"), Request("deploy-shop", **request), "r2")  # type: ignore[arg-type]


def values() -> dict[str, Secret]:
    return {"DB_PASSWORD": Secret(secrets.token_hex(8))}


def rendered(reference: str) -> Facts:
    """A host with a proven release, on which this checkout's Compose file names `reference`."""
    return replace(settled(), services={"web": service(reference)}, key=KEY)


def service(reference: str) -> Service:
    """It gets one secret, as a file."""
    place = Place("web", "file", "/run/secrets/db", ("", "DB_PASSWORD", ""))
    return Service("web", Image.parse(reference), secrets=(place,), sources={"db": "DB_PASSWORD"})


def forward(facts: Facts, *manifests: Manifest) -> Decision:
    return decide_version(case(), facts, VERSION, dict(zip(["web"], manifests, strict=False)), values(), KEY)


def test_what_the_registry_says_is_what_is_deployed() -> None:
    made = forward(rendered("h/x:2"), Manifest(Image("h/x", "2"), f"sha256:{'b' * 64}"))
    assert made.plan.desired.release.images == {"web": NEW}
    assert made.plan.pulls == (NEW,)
    assert not made.keep_values


def test_an_image_that_no_registry_was_asked_for_stays_at_its_recorded_digest() -> None:
    assert forward(rendered("h/x:1")).plan.desired.release.images == {"web": OLD}


def test_services_with_one_reference_have_each_its_own_digest_and_only_those_that_asked_get_another() -> None:
    names, digests = ("aqueue", "cache"), [f"sha256:{digit * 64}" for digit in "abc"]
    reference = Image.parse("redis:7")
    facts = rendered("h/x:1")
    images = {n: reference.with_digest(d) for n, d in zip(names, digests, strict=False)}
    recorded = replace(facts.history[0], release=replace(facts.history[0].release, images=images))
    services = {name: Service(name, reference) for name in (*names, "later")}
    facts = replace(facts, services=services, history=(recorded,))

    def deployed(**manifests: Manifest) -> list[str]:
        made = decide_version(case(), facts, VERSION, manifests, values(), KEY)
        return [made.plan.desired.release.images[name].digest for name in services]

    assert deployed() == [digests[0], digests[1], digests[0]]
    assert deployed(cache=Manifest(reference, digests[2])) == [digests[0], digests[2], digests[0]]
    # Its file has said something else when the registry was asked.
    assert deployed(cache=Manifest(Image.parse("redis:6"), digests[2]))[1] == digests[1]


def test_an_image_without_a_digest_is_never_deployed() -> None:
    for answers in ([], [Manifest(Image("h/x", "9"), problem="not found", status=404)]):
        with pytest.raises(PreflightError, match="no digest is known for h/x:9"):
            forward(rendered("h/x:9"), *answers)


def test_no_decision_shows_the_key() -> None:
    assert KEY not in repr(forward(rendered("h/x:1")))


def past() -> tuple[Facts, Event]:
    """A host that runs a second release, all of whose first is still there; and the first."""
    facts = rendered("h/x:2")
    first = facts.history[0]
    second = replace(first.release, id="r1b", tag="sha-0000002", images={"web": NEW})
    newest = event("proven", second, before="r1")
    running = replace(facts.containers[0], image=NEW)
    place = Place("web", "file", "/run/secrets/s", ("", "S", ""))
    deployed = {"web": replace(service("h/x:2"), secrets=(place,))}
    images = {**facts.images, f"h/x@sha256:{'b' * 64}": "j"}
    return replace(
        facts, containers=(running,), images=images, history=(first, newest), deployed=deployed
    ), first


def test_going_back_keeps_the_values_and_runs_no_migration() -> None:
    facts, first = past()
    made = decide_rollback(case(), facts, first)
    assert [(c.action, c.image) for c in made.plan.changes] == [("recreate", OLD)]
    assert made.keep_values
    assert made.key == KEY
    assert due_one_offs(made, NODE.stack) == []
    assert due_one_offs(replace(made, keep_values=False), NODE.stack) == [MIGRATION]


def joined_by_another(facts: Facts) -> Facts:
    """The same host, on which a service is part of the container of "web"; no file is rendered."""
    (web,), (newest, *older) = facts.containers, reversed(facts.history)
    inner = replace(
        web, id="2", name="inner-1", service="inner", labels={CONFIG_HASH: "hash"}, joined=(web.id,)
    )

    def with_inner(each: Event) -> Event:
        release = each.release
        images = {**release.images, "inner": web.image}
        return replace(each, release=replace(release, images=images), hashes={"web": "hash", "inner": "hash"})

    history = tuple(map(with_inner, (*older, newest)))
    return replace(facts, containers=(web, inner), history=history, services={})


def test_what_is_part_of_a_container_is_made_anew_with_it_on_the_way_to_what_nobody_renders() -> None:
    facts, _ = past()
    facts = joined_by_another(facts)
    target = facts.history[0]
    # Its own image is the same in both.
    images = {**target.release.images, "inner": facts.containers[1].image}
    target = replace(target, release=replace(target.release, images=images))
    back = decide_rollback(case(), facts, target).plan
    assert [(c.service, c.action) for c in back.changes] == [("inner", "recreate"), ("web", "recreate")]

    facts = rendered("h/x:1")
    places = facts.services["web"].secrets
    release = replace(facts.history[0].release, secrets={"web": "DB_PASSWORD=old"}, places=places)
    facts = joined_by_another(replace(facts, history=(replace(facts.history[0], release=release),)))
    turned = decide_rotation(case(), facts, values(), ["DB_PASSWORD"]).plan
    assert [(c.service, c.action, c.why) for c in turned.changes] == [
        ("inner", "recreate", "it is part of web"),
        ("web", "recreate", "secret"),
    ]


def test_each_release_keeps_what_proved_it() -> None:
    facts, first = past()
    made = forward(facts, Manifest(Image("h/x", "2"), f"sha256:{'b' * 64}")).plan.desired.release
    assert made.probes == NODE.stack.probes
    written = json.loads(json.dumps(made.as_dict()))
    assert Release.from_dict(written) == made
    assert Release.from_dict({**written, "probes": [{"name": "of a newer program"}]}).probes is None
    old = replace(first, release=replace(first.release, probes=NODE.stack.probes[:1]))
    assert decide_rollback(case(), facts, old).plan.desired.release.probes == NODE.stack.probes[:1]
    assert made.same_content(replace(made, probes=()))


def test_a_rollback_after_a_rollback_goes_to_where_it_would_have_gone_then() -> None:
    facts, first = past()
    assert decide_rollback(case(), facts, replace(first, before="r0")).plan.next_before == "r0"


def test_other_variables_of_the_node_alone_can_be_rolled_back() -> None:
    facts = rendered("h/x:1")
    running = replace(forward(facts).plan.desired.release, id="r1")
    facts = replace(facts, history=(event("proven", running, before="r0"),))
    assert forward(facts).plan.next_before == "r0"
    louder = replace(case(), node=NODE.model_copy(update={"variables": {"LOG": "debug"}}))
    assert decide_version(louder, facts, VERSION, {}, values(), KEY).plan.next_before == "r1"


def test_going_back_is_refused_when_the_host_no_longer_has_all_of_it() -> None:
    facts, first = past()
    path = "compose.yml"
    edited = replace(facts, files={**facts.files, path: "other"})
    assert decide_rollback(
        case(), replace(edited, objects=frozenset({first.release.files[path]})), first
    ).plan.changed
    pruned = {name: i for name, i in facts.images.items() if name.endswith("b" * 64)}
    for host, what in ((edited, path), (replace(facts, images=pruned), OLD)):
        with pytest.raises(PreflightError) as raised:
            decide_rollback(case(), host, first)
        assert str(what) in raised.value.what
        assert "invoke deploy-shop --tag" in (raised.value.hint or "")


@pytest.mark.parametrize("why", ["renamed", "rebooted", "removed"])
def test_going_back_is_refused_where_the_host_has_no_value_for_a_secret(why: str) -> None:
    facts, first = past()
    proven, name = facts.history[-1], "S"
    if why == "renamed":
        name = "OLD_NAME"
        first = replace(first, release=replace(first.release, secrets={"web": "OLD_NAME=1 S=1"}))
    elif why == "rebooted":
        release = replace(proven.release, secret_files={"s": "/run/ktrdr-secrets/shop-1/S"})
        facts = replace(facts, history=(facts.history[0], replace(proven, release=release)))
        assert decide_rollback(
            case(), replace(facts, delivered=frozenset(release.secret_files.values())), first
        )
    else:
        facts = replace(facts, containers=())
    with pytest.raises(PreflightError, match=f"release r1 needs {name}, and no container") as raised:
        decide_rollback(case(), facts, first)
    assert raised.value.hint == f"deploy it anew: invoke deploy-shop --tag {first.release.tag}"
    kept = replace(first, release=replace(first.release, carried=(name,), carried_from="r1"))
    assert decide_rollback(case(), facts, kept)


def test_an_image_of_the_release_before_that_is_gone_is_got_again_unless_no_registry_may_be_needed() -> None:
    facts = replace(rendered("h/x:2"), images={})
    made = forward(facts, Manifest(Image("h/x", "2"), f"sha256:{'b' * 64}"))
    assert make_staging(made, facts, HostStack(NODE, "p")).recover == [OLD]
    assert make_staging(replace(made, keep_values=True), facts, HostStack(NODE, "p")).recover == ()


def test_a_migration_runs_for_a_new_image_and_for_no_other_change() -> None:
    made = forward(rendered("h/x:2"), Manifest(Image("h/x", "2"), f"sha256:{'b' * 64}"))
    assert due_one_offs(made, NODE.stack) == [MIGRATION]
    assert due_one_offs(forward(rendered("h/x:1")), NODE.stack) == []


def test_a_rotation_changes_fingerprints_and_no_image() -> None:
    facts = rendered("h/x:1")
    places = facts.services["web"].secrets
    release = replace(facts.history[0].release, secrets={"web": "DB_PASSWORD=old"}, places=places)
    facts = replace(facts, history=(replace(facts.history[0], release=release),))
    made = decide_rotation(case(), facts, values(), ["DB_PASSWORD"])
    assert made.plan.desired.release.images == release.images
    assert made.plan.desired.release.secrets != release.secrets
    assert made.plan.applies == tuple(step.secret for step in made.applies) == ("DB_PASSWORD",)
    assert due_one_offs(made, NODE.stack) == []


def test_nothing_is_rotated_that_could_not_be_taken_back() -> None:
    facts = rendered("h/x:1")
    release = replace(facts.history[0].release, secrets={"web": "DB_PASSWORD=old"}, places=None)
    # Its files were not read, and no record says where the value is.
    facts = replace(facts, history=(replace(facts.history[0], release=release),), services={}, deployed={})
    with pytest.raises(PreflightError, match="nothing could go back to the running value of DB_PASSWORD"):
        decide_rotation(case(), facts, values(), ["DB_PASSWORD"])


def test_nothing_is_rotated_where_nothing_is_recorded() -> None:
    with pytest.raises(PreflightError, match="not deployed by this program"):
        decide_rotation(case(), replace(settled(), history=()), values(), ["DB_PASSWORD"])


def test_what_is_kept_follows_from_the_history_as_it_will_be() -> None:
    """A rollback's own lineage is that of the release that it restores: rolling back again has to find it."""
    facts, first = past()
    releases = [replace(first.release, id=f"old{n}", files={"a": str(n) * 64}) for n in range(5)]
    events = [
        event("proven", release, before=f"old{n - 1}" if n else None) for n, release in enumerate(releases)
    ]
    facts = replace(facts, history=tuple(events))
    stack = NODE.stack.model_copy(update={"keep_releases": 3})
    three = replace(case(), node=NODE.model_copy(update={"stack": stack}))
    made = decide_rollback(three, replace(facts, objects=frozenset({"3" * 64})), events[3])
    pruned = make_switch(
        made, facts, three, token="t", happens=lambda kind, detail: event(kind, first.release)
    ).prune
    kept = {n for n in range(5) if str(n) * 64 in pruned}
    assert {3, 2, 1} <= kept
    assert 0 not in kept


def test_a_reference_that_is_pinned_already_is_used_as_it_is() -> None:
    reference = f"h/x:2@sha256:{'b' * 64}"
    for answers in ([], [Manifest(Image.parse(reference), f"sha256:{'b' * 64}")]):
        made = forward(rendered(reference), *answers)
        assert [str(image) for image in made.plan.desired.release.images.values()] == [reference]


def test_what_is_pinned_in_the_file_is_used_as_it_is() -> None:
    digest = f"sha256:{'c' * 64}"
    for text in (f"prom/prometheus:v2@{digest}", f"h.example:5000/x@{digest}"):
        assert forward(rendered(text)).plan.desired.release.images == {"web": Image.parse(text)}


def test_what_is_never_pulled_is_the_hosts_own_image() -> None:
    facts = rendered("made/here:1")
    local = replace(facts.services["web"], spec={"pull_policy": "never"})
    facts = replace(facts, services={"web": local})
    with pytest.raises(PreflightError, match="the host has no made/here:1"):
        forward(facts)
    there = replace(facts, tags={"made/here:1": "sha256:" + "d" * 64})
    assert str(forward(there).plan.desired.release.images["web"]) == "sha256:" + "d" * 64


def test_a_project_without_images_of_its_own_has_no_variables_of_a_version() -> None:
    plain = replace(case(), environment=sample.house().model_copy(update={"image_registry": ""}))
    both = {sample.house().versions.tag_variable, sample.house().versions.registry_variable}
    assert both <= set(case().variables(VERSION, settled()))
    assert not both & set(plain.variables(VERSION, settled()))


def test_a_secret_that_is_needed_only_now_stops_before_anything_is_changed() -> None:
    with pytest.raises(PreflightError, match="need DB_PASSWORD now"):
        decide_version(case(), rendered("h/x:1"), VERSION, {}, {}, KEY)
