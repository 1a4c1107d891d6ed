"""Which containers are started again, since what they live in was."""

import pytest

from deploy_lib.compose.labels import CONFIG_HASH
from deploy_lib.compose.publisher import Publisher
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.machine import Machine
from deploy_lib.plan.desired import Desired
from deploy_lib.plan.overtaken import overtaken
from deploy_lib.plan.plan import Plan, make_plan
from deploy_lib.values import replace
from tests.unit.plan.test_plan import NODE, desired, settled

EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
OTHERS = Machine(publishers=(Publisher("other", "", frozenset(), id="o"),))


def host(inner: str = LATE, **web: object) -> tuple[Facts, Desired]:
    """A host that is as it is to be, on which "inner" lives in the container of "proxy" beside "web".

    Args:
        inner: when it was started.
        web: how the container that it lives in is.
    """
    facts, wanted = settled(), desired()
    (one,) = facts.containers
    proxy = replace(one, id="2", name="proxy-1", service="proxy", labels={CONFIG_HASH: "hash"}, started=EARLY)
    part = replace(
        proxy, id="3", name="inner-1", service="inner", started=inner, joined=("2",), lives_in=("2",)
    )
    images = dict.fromkeys(("web", "proxy", "inner"), one.image)
    release = replace(wanted.release, images=images, secrets={"web": "S=1"}, replicas={})
    newest = replace(
        facts.history[0], release=replace(release, id="r1"), hashes=dict.fromkeys(images, "hash")
    )
    containers = (one, replace(proxy, **web), part)  # type: ignore[arg-type]
    facts = replace(facts, containers=containers, history=(newest,), services={}, machine=OTHERS)
    return facts, Desired(release, wanted.files)


def plan(facts: Facts, wanted: Desired) -> Plan:
    return make_plan(NODE, facts, wanted)


def test_what_lives_in_what_it_always_did_is_left_alone() -> None:
    facts, wanted = host()
    assert plan(facts, wanted).nothing
    assert plan(facts, wanted).parts == ("inner",)
    assert overtaken(plan(facts, wanted), facts) == []


@pytest.mark.parametrize(
    ("found", "change", "names"),
    [
        (
            host(started="2026-01-01T00:00:02Z"),
            ("start", "it is part of proxy-1, which was started after it"),
            ["inner-1"],
        ),
        (host(id="4"), ("recreate", "it is part of a container that is gone"), []),
        (host(state="exited"), ("keep", ""), ["inner-1"]),
    ],
    ids=["started again", "made anew", "about to be started"],
)
def test_what_was_cut_off_is_work(
    found: tuple[Facts, Desired], change: tuple[str, str], names: list[str]
) -> None:
    facts, wanted = found
    made = plan(facts, wanted)
    assert not made.nothing
    assert {c.service: (c.action, c.why) for c in made.changes}["inner"] == change
    assert overtaken(made, facts) == names


def test_what_lives_in_one_that_a_reload_starts_again_is_started_again_too() -> None:
    facts, wanted = host()
    changed = replace(
        wanted, release=replace(wanted.release, files={**wanted.release.files, "conf/site.conf": "new"})
    )
    assert overtaken(plan(facts, changed), facts) == ["inner-1"]


def test_what_stays_as_it_is_is_not_started_again() -> None:
    facts, wanted = host(started="2026-01-01T00:00:02Z")
    made = make_plan(NODE, facts, wanted, chosen=["web"])
    assert (made.parts, overtaken(made, facts)) == ((), [])
