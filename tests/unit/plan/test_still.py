"""Which services a restore stops and starts again."""

import pytest

from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.plan.still import Still, still
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from tests.unit import build

WANTED = {"web", "seed", "tool"}
RELEASE = Release(
    "r1",
    "1",
    None,
    {name: Image("h/x", "1") for name in ("db", "web", "seed")},
    {},
    replicas={"db": 1, "web": 1, "seed": 1},
    ends={"seed": "must"},
    idle=("tool",),
)


def host(*history: object, web: str = "running", **seed: object) -> Facts:
    """A host on which "seed" has done its work, and "tool" was run once by somebody."""
    states: dict[str, dict[str, object]] = {"db": {}, "web": {"state": web}, "tool": {"state": "exited"}}
    states["seed"] = {"state": "exited", "exit_code": 0, **seed}
    containers = tuple(build.container(id=name, service=name, **how) for name, how in states.items())
    return Facts(containers=containers, history=history)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (host(), Still(("web",))),
        # What is under way would write, and has not done its work.
        (host(state="running"), Still(("seed", "web"))),
        (host(exit_code=3), Still(("web",), aside=("seed",))),
        (host(web="exited"), Still(aside=("web",))),
        (host(web="restarting"), Still(("web",))),
        # A restore that was interrupted has stopped it, or it was stopped before.
        (host(event("restoring", RELEASE, stopped=("web",)), web="exited"), Still(("web",), ("web",))),
        (host(event("restore-failed", RELEASE, stopped=()), web="exited"), Still(aside=("web",))),
        (host(event("restoring", RELEASE, stopped=("web",))), Still(("web",))),
        # An earlier program has not written down what it was, and has stopped all.
        (host(event("restoring", RELEASE), web="exited"), Still(("web",), ("web",))),
        (host(event("restored", RELEASE, stopped=("web",)), web="exited"), Still(aside=("web",))),
    ],
)
def test_what_runs_stands_still_and_goes_on(facts: Facts, found: Still) -> None:
    assert still(facts, RELEASE, WANTED) == found


def test_what_another_restore_has_left_stopped_goes_on_too() -> None:
    facts = host(event("restoring", RELEASE, stopped=("web",)), web="exited")
    assert still(facts, RELEASE, ()) == Still(("web",), ("web",))
