"""Which backup can be put back, and what has to run for that."""

from typing import Any

import pytest

from deploy_lib.errors import PreflightError
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.node import restoration
from deploy_lib.release.image import Image
from deploy_lib.values import replace
from tests.unit.node.test_restoring import ENTRY, FACTS, RELEASE, container, deployment, file


def test_what_depends_on_the_data_stands_still_unless_deploy_toml_says_otherwise() -> None:
    site = deployment(ENTRY).site
    assert restoration.choose(site, FACTS, file()).stop == ("web",)
    site = deployment(ENTRY.model_copy(update={"stop": ("watch",)})).site
    assert restoration.choose(site, FACTS, file()).stop == ("watch",)
    site = deployment(ENTRY.model_copy(update={"stop": ()})).site
    assert restoration.choose(site, FACTS, file()).stop == ()


@pytest.mark.parametrize(
    ("facts", "what", "said"),
    [
        (FACTS, {"whole": False}, "is gone, or has another size"),
        (FACTS, {"name": "rowz"}, "no such name\n  -> did you mean rows?"),
        (Facts(), {}, "no release is recorded"),
        (replace(FACTS, history=(*FACTS.history, event("started", RELEASE))), {}, "was interrupted"),
        (
            replace(FACTS, containers=(replace(FACTS.containers[0], image=Image("h/db", "2")),)),
            {},
            "the proven release, sha-0000001, is not what runs: db",
        ),
    ],
)
def test_what_cannot_be_put_back_is_refused_with_what_to_do(
    facts: Facts, what: dict[str, Any], said: str
) -> None:
    with pytest.raises(PreflightError) as raised:
        restoration.choose(deployment(ENTRY).site, facts, file(**what))
    assert said in str(raised.value)


def test_data_can_be_put_back_where_the_release_of_before_did_not_prove_itself_without_them() -> None:
    failed = event("failed", replace(RELEASE, id="r2"))
    assert restoration.choose(
        deployment(ENTRY).site, replace(FACTS, history=(*FACTS.history, failed)), file()
    )


def test_a_backup_of_another_release_is_said_to_be_one() -> None:
    site = deployment(ENTRY).site
    assert restoration.choose(site, FACTS, file()).other_release == ""
    assert "rollback" in restoration.choose(site, FACTS, file(release="r0")).other_release


@pytest.mark.parametrize("state", ["exited", "paused", "created"])
def test_what_does_not_run_is_neither_started_nor_a_part_of_the_proof(state: str) -> None:
    down = container("watch", state=state, health=None)
    stopped = replace(FACTS, containers=(container("db"), container("web"), down))
    for entry in (ENTRY, ENTRY.model_copy(update={"stop": ("watch",)})):
        found = restoration.choose(deployment(entry).site, stopped, file())
        assert (found.aside, "watch" in found.stop, found.ill) == (("watch",), False, ("watch",))
    gone = replace(FACTS, history=(event("proven", replace(RELEASE, replicas={"web": 2})),))
    assert restoration.choose(deployment(ENTRY).site, gone, file()).aside == ("web",)


@pytest.mark.parametrize(
    ("service", "how", "aside"),
    [
        ("web", {"state": "restarting"}, ()),
        ("watch", {"state": "exited", "exit_code": 1}, ("watch",)),
        ("web", {"state": "exited"}, ()),
    ],
)
def test_what_crashes_because_of_the_data_or_has_done_its_work_keeps_no_backup_from_being_put_back(
    service: str, how: dict[str, Any], aside: tuple[str, ...]
) -> None:
    release = replace(RELEASE, ends={"watch": "must", "web": "may"})
    others = [c for c in FACTS.containers if c.service != service]
    facts = replace(
        FACTS,
        history=(event("proven", release),),
        containers=(*others, container(service, health=None, **how)),
    )
    found = restoration.choose(deployment(ENTRY).site, facts, file())
    assert (found.ill, found.aside) == ((service,), aside)
