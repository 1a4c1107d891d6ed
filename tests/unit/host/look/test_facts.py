"""What follows from a host's facts."""

import secrets
from typing import Any

from deploy_lib.compose.container import Container
from deploy_lib.compose.labels import CONFIG_HASH
from deploy_lib.compose.publisher import Publisher
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.machine import Machine
from deploy_lib.layout import SECRETS_LABEL
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.secrets.fingerprint import fingerprints
from deploy_lib.secrets.value import Secret
from deploy_lib.values import replace
from tests.unit import build

DIGEST = f"sha256:{'a' * 64}"
WEB = Image("h/web", "1", DIGEST)
KEY = secrets.token_hex(32)
RELEASE = Release("r1", "1", None, {"web": WEB}, {}, secret_files={"one": "/run/s/A", "two": "/run/s/B"})


def marks(**values: str) -> str:
    return fingerprints({"web": tuple(values)}, {n: Secret(v) for n, v in values.items()}, KEY)["web"]


def got(marks: str) -> Container:
    """A container that got the values with these fingerprints."""
    return build.container(labels={SECRETS_LABEL: marks})


def wanted(**values: str) -> dict[str, Secret]:
    return {name: Secret(value) for name, value in values.items()}


def test_a_secret_has_changed_where_a_container_or_the_record_has_another_value() -> None:
    running = Facts(key=KEY, containers=(got(marks(A="one", B="two")),))
    assert running.changed(wanted(A="one", B="two")) == []
    assert running.changed(wanted(A="one", B="new")) == ["B"]
    recorded = Facts(key=KEY, history=(event("proven", replace(RELEASE, secrets={"web": marks(A="one")})),))
    assert recorded.changed(wanted(A="new")) == ["A"]
    # One container of two that still has the old value is enough.
    both = replace(running, containers=(*running.containers, got(marks(A="old"))))
    assert both.changed(wanted(A="one")) == ["A"]


def test_a_secret_that_nothing_got_has_not_changed_and_without_a_key_nothing_is_known() -> None:
    facts = Facts(key=KEY, containers=(got(marks(A="one")),))
    assert facts.changed(wanted(NEW="value")) == []
    assert not facts.incomparable
    lost = replace(facts, key="")
    assert (lost.changed(wanted(A="other")), lost.incomparable) == ([], True)
    assert not Facts(containers=(build.container(),)).incomparable


def test_what_going_back_has_made_anew_with_another_is_as_recorded() -> None:
    # The hash of a container that is part of another one has the id of that one in it.
    proven = replace(event("proven", RELEASE), hashes={"web": "old"})
    alone = build.container(labels={CONFIG_HASH: "new"})
    part = replace(alone, joined=("other",))
    for history, made_otherwise in (
        ((proven,), [True, True]),
        ((proven, event("reverted", RELEASE)), [True, False]),
        ((proven, event("reverted", RELEASE), proven), [True, True]),
    ):
        facts = Facts(history=history, containers=(alone, part))
        assert [facts.remade(container, proven) for container in (alone, part)] == made_otherwise


def test_a_health_check_that_says_nothing_is_no_fact() -> None:
    ill = build.container(health="unhealthy")
    facts = Facts(containers=(ill, replace(ill, service="other")))
    assert [c.health for c in facts.without_health_of(("other",)).containers] == ["unhealthy", None]


def cut_off(*publishers: Publisher, **more: Any) -> str:
    vpn = build.container(id="vpn", name="vpn-1", started="1970-01-01T00:01:40Z")
    part = build.container(id="part", **{"lives_in": ("vpn",), "started": "1970-01-01T00:01:41Z", **more})
    facts = Facts(containers=(vpn, part), machine=Machine(publishers=publishers))
    found = facts.cut_off(part)
    return f"{found.why}{' (gone)' * found.gone}" if found else ""


def test_what_lives_in_a_container_that_is_gone_or_was_started_after_it_is_cut_off() -> None:
    other = Publisher("other", "", frozenset(), id="o", started=102.0)
    assert cut_off() == ""
    assert cut_off(other) == ""
    assert (
        cut_off(other, started="1970-01-01T00:01:39.5Z") == "it is part of vpn-1, which was started after it"
    )
    assert cut_off(other, lives_in=("o",)) == "it is part of other, which was started after it"
    assert cut_off(other, lives_in=("x",)) == "it is part of a container that is gone (gone)"
    # It is unknown which containers there are, or when it was started.
    assert cut_off(lives_in=("x",)) == ""
    assert cut_off(other, started="?") == ""


def test_an_image_is_found_by_its_digest_or_by_its_id() -> None:
    facts = Facts(images={WEB.listed: "sha256:id"}, image_ids=frozenset({"sha256:id", DIGEST}))
    assert facts.id_of(WEB) == "sha256:id"
    assert facts.has(Image.parse(DIGEST))
    assert not facts.has(Image("h/web", "1", f"sha256:{'b' * 64}"))
    # containerd's store has one id for all names, and Docker does not list them all.
    assert Facts(image_ids=frozenset({DIGEST})).id_of(Image("h/other", "1", DIGEST)) == DIGEST


def test_the_record_gives_a_reference_its_digest_and_a_pinned_one_has_its_own() -> None:
    facts = Facts(history=(event("proven", RELEASE),))
    assert facts.recorded_digest("web", Image("h/web", "1")) == DIGEST
    assert facts.recorded_digest("web", Image("h/web", "2")) == ""
    assert Facts().recorded_digest("web", WEB) == DIGEST


def test_a_container_that_somebody_else_started_is_pinned_by_digest_or_else_by_id() -> None:
    known = Facts(images={WEB.listed: "sha256:1"}, image_ids=frozenset({"sha256:1"}))
    assert known.pinned(build.container()) == WEB
    own = f"sha256:{'c' * 64}"
    built = Facts(image_ids=frozenset({own}))
    assert built.pinned(build.container(image_id=own)) == Image.parse(own)
    assert Facts().pinned(build.container(image=WEB)) == WEB


def test_a_project_without_a_record_is_one_that_runs_and_was_never_begun() -> None:
    running = Facts(containers=(build.container(),))
    assert running.unrecorded
    assert running.replicas == {"web": 1}
    assert not Facts().unrecorded
    for kind in ("started", "proven"):
        assert not replace(running, history=(event(kind, RELEASE),)).unrecorded


def test_secret_files_that_memory_lost_are_named() -> None:
    facts = Facts(delivered=frozenset({"/run/s/B"}))
    assert facts.lost(RELEASE) == ["/run/s/A"]
    assert replace(facts, delivered=frozenset({"/run/s/A", "/run/s/B"})).lost(RELEASE) == []
