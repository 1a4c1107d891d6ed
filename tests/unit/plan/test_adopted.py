"""What runs without a record, as a release: each thing that a rollback to it would need."""

from collections.abc import Mapping

import pytest

from deploy_lib.compose.container import Container
from deploy_lib.compose.service import Service
from deploy_lib.host.look.facts import Facts
from deploy_lib.layout import SECRETS_LABEL
from deploy_lib.plan.adopted import adopted_release
from deploy_lib.release.image import Image
from deploy_lib.secrets.places import Place
from deploy_lib.values import replace
from tests.unit import build

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def container(service: str, image: str, image_id: str, **labels: str) -> Container:
    image_of = Image.parse(image)
    return build.container(id=service, service=service, image=image_of, image_id=image_id, labels=labels)


def running(*containers: Container, images: Mapping[str, str] | None = None, **files: str) -> Facts:
    return Facts(containers=containers, images=images or {}, files=files)


@pytest.mark.parametrize(
    ("image", "images", "kept"),
    [
        # By digest, when the host has one for this very repository.
        ("h/x:1", {f"h/x@{A}": "i"}, f"h/x:1@{A}"),
        ("h:5000/x:1", {f"h:5000/x@{A}": "i"}, f"h:5000/x:1@{A}"),
        # Another repository's digest for the same image is no name that this one could be pulled by.
        ("h/x:1", {f"h/y@{A}": "i"}, "i"),
        # The digest is that of the image that runs, not of the one that the tag means by now.
        ("h/x:1", {f"h/x@{B}": "other", f"h/x@{A}": "i"}, f"h/x:1@{A}"),
        ("h/x:1", {f"h/x@{B}": "other"}, "i"),
        # What is exact already stays.
        (f"h/x:1@{A}", {}, f"h/x:1@{A}"),
        (A, {}, A),
    ],
)
def test_an_image_is_kept_by_the_most_exact_name_that_it_has(
    image: str, images: Mapping[str, str], kept: str
) -> None:
    facts = running(container("web", image, "i"), images=images)
    assert str(adopted_release("r0", facts).release.images["web"]) == kept


def test_every_service_and_container_counts() -> None:
    web = container("web", "h/x:1", "i")
    facts = running(web, replace(web, id="2", name="p-web-2"), container("db", "pg:17", "j"))
    release = adopted_release("r0", facts).release
    assert release.replicas == {"web": 2, "db": 1}
    assert set(release.images) == {"web", "db"}
    assert (release.id, release.commit) == ("r0", None)


def test_fingerprints_come_from_the_labels_and_from_nowhere_else() -> None:
    facts = running(container("web", A, A, **{SECRETS_LABEL: "S=1"}), container("db", B, B))
    adopted = adopted_release("r0", facts)
    assert adopted.release.secrets == {"web": "S=1"}
    assert build.pinned(adopted.files["release.yml"]) == {"web": (A, "S=1"), "db": (B, "")}


def test_files_are_those_that_lie_there_and_what_is_missing_is_made() -> None:
    facts = running(container("web", A, A), **{"docker-compose.yml": "c", "conf/a": "d"})
    adopted = adopted_release("r0", facts)
    assert {**adopted.release.files, "release.yml": "", "release.env": ""} == {
        "docker-compose.yml": "c",
        "conf/a": "d",
        "release.yml": "",
        "release.env": "",
    }
    assert set(adopted.files) == {"release.yml", "release.env"}


def test_generated_files_that_lie_there_stay_as_they_are() -> None:
    facts = running(container("web", A, A), **{"release.yml": "y", "release.env": "e"})
    adopted = adopted_release("r0", facts)
    assert adopted.release.files == {"release.yml": "y", "release.env": "e"}
    assert not adopted.files


@pytest.mark.parametrize(
    ("images", "tag"),
    [
        (("h/x:sha-abc1234", "pg:17"), "sha-abc1234"),
        (("h/x:latest", "pg:17"), "latest"),
        (("h/x:latest", "h/y:sha-abc1234"), "latest"),
        (("pg:17",), "unknown"),
        ((f"h/x:sha-abc1234@{A}",), "sha-abc1234"),
    ],
)
def test_its_tag_is_that_of_its_own_images(images: tuple[str, ...], tag: str) -> None:
    known = {f"{image.partition('@')[0].rpartition(':')[0]}@{A}": image for image in images}
    facts = running(*(container(f"s{n}", image, image) for n, image in enumerate(images)), images=known)
    assert adopted_release("r0", facts).release.tag == tag


def test_nothing_of_an_adopted_release_claims_to_have_been_proven() -> None:
    release = adopted_release("r0", running(container("web", A, A))).release
    # It is judged by its health alone: nobody knows which of today's probes it could pass.
    assert (release.probes, release.restores, release.secret_files) == ((), None, {})


def test_what_stands_beside_a_secret_is_not_recorded_for_nobody_may_have_declared_it() -> None:
    whole = Place("web", "environment", "KEY", ("", "PW", ""))
    beside = Place("web", "environment", "URL", ("db://", "WHO", ":undeclared@db"))
    for places, recorded in (((whole,), (whole,)), ((whole, beside), None), ((), ())):
        deployed = {"web": Service("web", Image.parse(A), secrets=places)}
        facts = replace(running(container("web", A, A)), deployed=deployed)
        assert adopted_release("r0", facts).release.places == recorded
