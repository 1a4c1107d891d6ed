from typing import Any

import pytest

from deploy_lib.cli.status import as_dict
from deploy_lib.compose.container import Container
from deploy_lib.compose.labels import CONFIG_HASH, NUMBER
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.machine import Machine
from deploy_lib.plan.status import Status, left_behind, status
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.values import replace
from tests.unit import sample

DIGEST = f"sha256:{'a' * 64}"
IMAGE = Image("r.example:5443/k/web", "1", DIGEST)
ID = f"sha256:{'c' * 64}"
RELEASE = Release(
    "r1",
    "sha-0000001",
    None,
    {"web": IMAGE, "idle": IMAGE},
    {"f": "1", "d/g": "2"},
    {},
    {"web": 1, "idle": 0},
)
CONTAINER = Container(
    id="c1",
    name="p-web-1",
    service="web",
    image=IMAGE,
    image_id=ID,
    state="running",
    health="healthy",
    exit_code=0,
    restarts=3,
    started="2026-01-02T03:04:05.678Z",
    labels={CONFIG_HASH: "hash"},
    ports=(8000,),
)
KEEP = IMAGE.keep_tag("core")
SETTLED = Facts(
    files=RELEASE.files,
    images={f"r.example:5443/k/web@{DIGEST}": ID},
    tags={KEEP: ID, "other:1": "sha256:else"},
    containers=(CONTAINER,),
    history=(event("started", RELEASE), event("proven", RELEASE, hashes={"web": "hash"})),
    machine=Machine(now=1767323105),
)


def with_container(**changes: Any) -> Facts:
    return replace(SETTLED, containers=(replace(CONTAINER, **changes),))


def test_a_host_that_is_as_recorded() -> None:
    found = status(SETTLED)
    assert (found.outcome, found.drift, found.notes) == ("as recorded", (), ())
    (row,) = found.rows
    assert (row.service, row.tag, row.digest, row.state, row.health) == (
        "web",
        "1",
        DIGEST,
        "running",
        "healthy",
    )
    assert (row.uptime, row.restarts, row.ports, row.container) == (60, 3, (8000,), "c1")
    assert as_dict(found)["release"]["tag"] == "sha-0000001"


SECOND = replace(CONTAINER, id="c2", name="p-web-2", labels={CONFIG_HASH: "hash", NUMBER: "2"})


def test_what_differs_from_the_record_is_drift() -> None:
    found = status(replace(SETTLED, containers=()))
    assert (found.outcome, found.drift) == ("drift", ("web is missing: it has no container",))


def test_missing_and_further_containers_have_rows_of_their_own() -> None:
    def names(found: Status) -> list[tuple[str, str]]:
        return [(row.service, row.state) for row in found.rows]

    assert names(status(replace(SETTLED, containers=()))) == [("web", "missing")]
    assert names(status(replace(SETTLED, containers=(CONTAINER, SECOND)))) == [
        ("web", "running"),
        ("web-2", "running"),
    ]
    # After rolling switches it has another number.
    tenth = replace(SECOND, id="c10", labels={CONFIG_HASH: "hash", NUMBER: "10"})
    assert names(status(replace(SETTLED, containers=(tenth,)))) == [("web", "running")]
    both = status(replace(SETTLED, containers=(tenth, SECOND)))
    assert [(row.service, row.container) for row in both.rows] == [("web", SECOND.id), ("web-2", tenth.id)]


def test_an_interrupted_release_shows_as_interrupted_unless_it_is_under_way() -> None:
    begun = replace(
        SETTLED, history=(*SETTLED.history, event("started", replace(RELEASE, id="r2", tag="sha-2")))
    )
    found = status(begun)
    assert found.outcome == "interrupted"
    assert "the switch to sha-2 (release r2), begun by" in found.drift[0]
    note = '{"who":"me","origin":"here","since":"now","what":"deploy-core","token":"t"}'
    locked = status(replace(begun, machine=replace(begun.machine, locked=note)))
    assert locked.outcome == "as recorded"
    assert locked.notes == ("the deployment lock is held by me on here, since now, for deploy-core",)
    assert "t" not in locked.notes[0].split()


def test_a_host_without_a_record() -> None:
    assert status(Facts()).outcome == "not deployed"
    found = status(Facts(containers=(CONTAINER,)))
    assert (found.outcome, "without a record" in found.drift[0]) == ("drift", True)


def test_what_is_worth_knowing_is_no_drift() -> None:
    failed = replace(SETTLED, history=(*SETTLED.history, event("failed", replace(RELEASE, tag="sha-2"))))
    found = status(failed, ["2 commits behind origin/main"])
    assert found.outcome == "as recorded"
    assert "of sha-2 by" in found.notes[0]
    assert found.notes[1] == "2 commits behind origin/main"


def test_a_container_of_a_profile_that_is_not_active_is_told_and_is_no_drift() -> None:
    second = replace(CONTAINER, service="second", name="p-second-1", state="exited")
    facts = replace(SETTLED, containers=(CONTAINER, second))
    assert status(facts).drift == ("p-second-1 is not part of the release",)
    idle = event("proven", replace(RELEASE, idle=("second",)), hashes={"web": "hash"})
    found = status(replace(facts, history=(idle,)))
    assert (found.outcome, found.drift) == ("as recorded", ())
    assert "p-second-1: of a profile that is not active" in found.notes[0]


def test_services_that_were_deployed_by_themselves_are_told() -> None:
    def notes(*parts: str) -> tuple[str, ...]:
        files = ("compose.yml", *(f"deploy-services/{name}.yml" for name in parts))
        release = replace(RELEASE, compose_files=files)
        return status(replace(SETTLED, history=(event("proven", release, hashes={"web": "hash"}),))).notes

    assert notes() == ()
    assert notes("web")[0].startswith("web was deployed by itself: its part")
    assert notes("web", "db")[0].startswith("db, web were deployed by themselves: their part")


@pytest.mark.parametrize(
    ("kind", "shown"), [("restoring", "was interrupted"), ("restore-failed", "could not be undone")]
)
def test_data_of_which_nobody_knows_what_they_are_are_no_quiet_matter(kind: Any, shown: str) -> None:
    began = event(kind, RELEASE, backups=("b1", "b2"))
    facts = replace(SETTLED, history=(*SETTLED.history, began))
    found = status(facts)
    assert found.outcome == "interrupted"
    assert shown in found.drift[0]
    assert "b2 as they were before it" in found.drift[0]
    # Whoever holds the lock is still at it.
    assert status(replace(facts, machine=replace(facts.machine, locked="{}"))).outcome == "as recorded"
    for settled in ("restored", "restore-reverted"):
        later = replace(facts, history=(*facts.history, event(settled, RELEASE, backups=("b1", "b2"))))  # type: ignore[arg-type]
        assert status(later).outcome == "as recorded"


def at_release(release_id: str, tag: str) -> Status:
    release = replace(RELEASE, id=release_id, tag=tag)
    return status(replace(SETTLED, history=(event("proven", release, hashes={"web": "hash"}),)))


@pytest.mark.parametrize(
    ("east", "night", "optional", "expected"),
    [
        (("r1", "1"), ("r2", "2"), True, "it has missed 2, which the others run: invoke deploy-jobs --tag 2"),
        (("r1", "1"), ("r2", "2"), False, ""),
        (("r2", "2"), ("r1", "1"), True, ""),
        (("r1", "2"), ("r2", "2"), True, ""),
        # Those that run another stack are deployed by themselves, too.
        (("r1", "1"), None, True, "it has missed 3, which the others run: invoke deploy-jobs --tag 3"),
        (("r1", "1"), ("r1", "1"), True, ""),
    ],
)
def test_an_optional_node_that_has_missed_a_release_is_told(
    east: tuple[str, str], night: tuple[str, str] | None, optional: bool, expected: str
) -> None:
    nodes = {
        name: node.model_copy(update={"optional": optional}) for name, node in sample.house().nodes.items()
    }
    known = {"east": at_release(*east), "front": at_release("r3", "3")}
    known |= {"night": at_release(*night)} if night else {}
    said = left_behind(sample.house(), nodes["east"], known, nodes.values())
    assert said.startswith(expected)
    assert bool(said) == bool(expected)


def test_a_patch_is_called_what_it_is() -> None:
    image = Image.parse(ID)
    release = replace(
        RELEASE, images={**RELEASE.images, "web": image}, patches={"web": f"web:patch {DIGEST}"}
    )
    container = replace(CONTAINER, image=image)
    known = Facts(
        history=(event("proven", release, hashes={"web": "hash"}),),
        containers=(container,),
        image_ids=frozenset({ID}),
        images={IMAGE.listed: ID},
        files=release.files,
    )
    found = status(known)
    assert (as_dict(found)["to"], found.drift) == ("a patch of sha-0000001", ())
    assert [(row.tag, row.digest) for row in found.rows] == [("web:patch", ID)]
    nodes = {name: node.model_copy(update={"optional": True}) for name, node in sample.house().nodes.items()}
    before = status(replace(known, history=(event("proven", replace(RELEASE, id="r0")),)))
    said = left_behind(sample.house(), nodes["east"], {"east": before, "night": found}, nodes.values())
    assert said == (
        "it has missed a patch of sha-0000001, which the others run: invoke deploy-jobs --tag sha-0000001 --image web=..."
    )
