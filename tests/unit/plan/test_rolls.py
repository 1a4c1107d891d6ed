from deploy_lib.config import Stack
from deploy_lib.host.change.in_turn import Turn
from deploy_lib.host.change.rolling import Roll
from deploy_lib.plan.rolls import rolls
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from tests.unit import build

IMAGE = Image("h/web", "1")


def rolled(release: Release, *only: str, unproven: tuple[str, ...] = ()) -> list[tuple[str, int, bool]]:
    tables = [{"service": name} for name in ("api", "web")]
    settings = build.node(rolling=Stack(compose=("x",), rolling=tables).rolling, unproven=unproven).stack
    return [
        (roll.gateway.service, roll.count, roll.unproven)
        for roll in rolls(settings, release, only)
        if isinstance(roll, Roll)
    ]


def test_those_that_the_release_has_are_rolled_with_its_replicas() -> None:
    release = Release("r1", "1", None, {"web": IMAGE, "api": IMAGE, "db": IMAGE}, {}, replicas={"web": 3})
    assert rolled(release) == [("api", 1, False), ("web", 3, False)]
    assert rolled(release, unproven=("web",)) == [("api", 1, False), ("web", 3, True)]
    assert rolled(Release("r0", "0", None, {"web": IMAGE}, {})) == [("web", 1, False)]


def test_what_is_not_touched_is_not_rolled() -> None:
    release = Release("r1", "1", None, {"web": IMAGE, "api": IMAGE, "db": IMAGE}, {})
    assert rolled(release, "db") == []
    assert rolled(release, "db", "web") == [("web", 1, False)]


def test_of_a_kind_those_that_the_release_has_come_one_after_the_other() -> None:
    table = {"kind": "job", "log": "ready"}
    made = Stack(compose=("x",), rolling=[table], replicas={"job": ["job-1", "job-2", "job-3"]})
    stack = build.node(rolling=made.rolling, replicas=made.replicas, unproven=("job-2", "web")).stack
    release = Release("r1", "1", None, {"web": IMAGE, "job-2": IMAGE, "job-1": IMAGE}, {})
    assert rolls(stack, release) == (Turn("job", ["job-1", "job-2"], "ready", {"job-2"}),)
    assert rolls(stack, release, ["job-2"]) == (Turn("job", ["job-2"], "ready", {"job-2"}),)
    assert rolls(stack, release, ["web"]) == ()
