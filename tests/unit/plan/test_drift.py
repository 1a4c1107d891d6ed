"""How a host differs from its record, in words."""

import pytest

from deploy_lib.compose.labels import CONFIG_HASH
from deploy_lib.compose.publisher import Publisher
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.machine import Machine
from deploy_lib.plan.drift import drift
from deploy_lib.release.image import Image
from deploy_lib.values import replace
from tests.unit.plan.test_status import (
    CONTAINER,
    DIGEST,
    ID,
    IMAGE,
    KEEP,
    RELEASE,
    SECOND,
    SETTLED,
    with_container,
)

OTHER = Image("r.example:5443/k/web", "2", f"sha256:{'b' * 64}")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (replace(SETTLED, containers=()), "web is missing: it has no container"),
        (with_container(state="exited", health=None), "p-web-1 is exited"),
        (with_container(health="unhealthy"), "p-web-1 is unhealthy"),
        (
            with_container(image=OTHER, image_id="sha256:else"),
            f"p-web-1 runs {OTHER}, and the release has {IMAGE}",
        ),
        (with_container(image_id="sha256:else"), f"p-web-1 runs another image than {IMAGE}"),
        (
            with_container(labels={CONFIG_HASH: "x"}),
            "p-web-1 was created with another configuration than the release's",
        ),
        (
            replace(
                with_container(lives_in=("vpn",)),
                machine=Machine(publishers=(Publisher("vpn-1", "", frozenset(), id="vpn", started=4e9),)),
            ),
            "p-web-1 is cut off: it is part of vpn-1, which was started after it",
        ),
        (replace(SETTLED, containers=(CONTAINER, SECOND)), "web has 2 containers, and the release has 1"),
        (
            replace(SETTLED, containers=(CONTAINER, replace(CONTAINER, service="idle", name="p-idle-1"))),
            "idle has 1 container, and the release has 0",
        ),
        (
            replace(SETTLED, containers=(CONTAINER, replace(CONTAINER, service="gone", name="p-gone-1"))),
            "p-gone-1 is not part of the release",
        ),
        (replace(SETTLED, files={**RELEASE.files, "f": "9"}), "the file f was edited on the host"),
        (replace(SETTLED, files={"f": "1"}), "the file d/g is missing"),
        (
            replace(SETTLED, files={**RELEASE.files, "d/new": "3"}),
            "the file d/new is not part of the release: remove it, or take it into the checkout",
        ),
        (replace(SETTLED, images={}), f"the image {IMAGE} is not on the host any more"),
        (
            replace(SETTLED, tags={"r.example:5443/k/web:1": "sha256:else"}),
            f"the tag r.example:5443/k/web:1 on the host points to another image than the release's ({DIGEST}); "
            f"this puts it back: docker tag {ID} r.example:5443/k/web:1",
        ),
        (
            replace(SETTLED, tags={KEEP: "sha256:else"}),
            f"the tag {KEEP} on the host points to another image than the release's ({DIGEST}); "
            f"this puts it back: docker tag {ID} {KEEP}",
        ),
    ],
)
def test_each_difference_is_drift_in_words_of_its_own(facts: Facts, words: str) -> None:
    assert drift(facts) == (words,)


def test_a_container_that_is_starting_or_was_restarted_is_no_drift() -> None:
    assert drift(with_container(health="starting", restarts=7)) == ()


def test_an_adopted_project_may_have_been_started_from_other_names() -> None:
    assert drift(with_container(image=Image("web"))) == ()
    adopted = replace(RELEASE, images={"web": Image.parse(ID)}, replicas={"web": 1})
    facts = replace(
        with_container(image=Image("web")),
        image_ids=frozenset({ID}),
        history=(event("adopted", adopted),),
    )
    assert drift(facts) == ()


def test_secrets_that_a_reboot_has_taken_are_told() -> None:
    file = "/run/ktrdr-secrets/p/S"
    release = replace(RELEASE, secret_files={"s": file})
    facts = replace(SETTLED, history=(event("proven", release, hashes={"web": "hash"}),))
    assert drift(replace(facts, delivered=frozenset({file}))) == ()
    (said,) = drift(facts)
    assert "no longer in memory" in said
    assert "next deployment" in said


@pytest.mark.parametrize(
    "written", ["docker.io/library/web:1", "index.docker.io/library/web:1", "library/web:1"]
)
def test_an_image_of_the_hub_is_found_under_the_name_that_docker_lists(written: str) -> None:
    image = Image.parse(written).with_digest(DIGEST)
    release = replace(RELEASE, images={"web": image}, replicas={"web": 1})
    facts = replace(
        with_container(image=image),
        images={f"web@{DIGEST}": ID},
        tags={"web:1": ID, image.keep_tag("core"): ID},
        history=(replace(SETTLED.history[-1], release=release),),
    )
    assert drift(facts) == ()
    # Another service has the same tag, of which another image was taken.
    images = {**release.images, "new": image.with_digest(f"sha256:{'e' * 64}")}
    both = replace(release, images=images, replicas={"web": 1, "new": 0})
    two = replace(
        facts,
        images={**facts.images, f"web@sha256:{'e' * 64}": "sha256:new"},
        history=(replace(SETTLED.history[-1], release=both),),
    )
    assert all(drift(replace(two, tags={"web:1": tagged})) == () for tagged in (ID, "sha256:new"))
    moved = replace(facts, tags={"web:1": "sha256:else"})
    assert drift(moved) == (
        f"the tag web:1 on the host points to another image than the release's ({DIGEST}); "
        f"this puts it back: docker tag {ID} web:1",
    )
