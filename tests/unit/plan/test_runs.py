from deploy_lib.compose.labels import DEPENDS_ON
from deploy_lib.compose.service import Ends
from deploy_lib.config import Stack
from deploy_lib.host.change.start import Runs
from deploy_lib.host.look.facts import Facts
from deploy_lib.plan.runs import in_order, made_along, runs, that_end
from deploy_lib.release.release import Release
from deploy_lib.values import replace
from tests.unit import build

NEEDS = {
    "app": "seed:service_completed_successfully:false",
    "db": "",
    "migrate": "cache:service_started:false,db:service_healthy:false",
    "cache": "db:service_started:true",
    "seed": "migrate:service_completed_successfully:false,db:service_healthy:false",
}
FACTS = Facts(
    containers=tuple(
        replace(build.container(labels={DEPENDS_ON: needs}), service=name, id=name)
        for name, needs in NEEDS.items()
    )
)


def test_services_come_after_what_they_depend_on() -> None:
    assert in_order(["seed"], FACTS) == ["db", "cache", "migrate", "seed"]
    assert in_order(["migrate", "app"], FACTS) == ["db", "cache", "migrate", "seed", "app"]
    assert in_order(["db", "new"], FACTS) == ["db", "new"]
    circle = replace(FACTS.containers[0], labels={DEPENDS_ON: "app:service_started:true"})
    assert in_order(["app"], Facts(containers=(circle,))) == ["app"]


def test_what_has_done_its_work_names_what_comes_early_as_far_as_that_may_be_touched() -> None:
    names, ending = sorted(NEEDS), {"migrate", "seed"}
    made = runs(names, ending, ending, FACTS, late=False, known=["db", "app"])
    assert made == Runs(
        ("app", "cache", "db"), ("migrate", "seed"), early=("db", "cache", "migrate", "seed"), known=("db",)
    )
    # Of an earlier release one may have to do its work again, and then comes later.
    made = runs(names, {"seed"}, ending, FACTS, late=True)
    assert (made.done, made.later, made.early) == (
        ("seed",),
        ("migrate",),
        ("db", "cache", "migrate", "seed"),
    )
    assert runs(names, ending, ending, FACTS, late=False, only=["app", "seed"]).early == ("seed",)
    assert runs(["app", "db"], ending, ending, FACTS, late=False) == Runs()


def test_what_may_end_is_one_that_ends_only_once_it_has() -> None:
    image = FACTS.containers[0].image
    ends: dict[str, Ends] = {"migrate": "must", "web": "may", "job": "may", "gone": "must", "ill": "may"}
    release = Release(
        "r", "1", None, dict.fromkeys(["migrate", "web", "job", "ill", "app"], image), {}, ends=ends
    )
    one = FACTS.containers[0]
    facts = Facts(
        containers=(
            replace(one, service="web", state="running"),
            replace(one, service="job", state="exited", exit_code=0),
            replace(one, service="ill", state="exited", exit_code=1),
        )
    )
    assert that_end(release, facts) == {"migrate", "job"}


def test_what_is_made_anew_along_is_what_no_other_call_of_compose_makes() -> None:
    image = FACTS.containers[0].image
    release = Release(
        "r", "1", None, dict.fromkeys(NEEDS, image), {}, ends={"migrate": "must", "seed": "must"}
    )
    old, stack = replace(FACTS, compose="2.26.1-4"), Stack(compose=("x",))
    every = {"app": ("seed",), "migrate": ("cache", "db"), "cache": ("db",), "seed": ("migrate", "db")}
    assert made_along(old, release, stack, []) == every
    assert made_along(replace(FACTS, compose="2.40.3"), release, stack, []) == {}
    # What has done its work, and what that depends on, is made by itself.
    assert made_along(old, release, stack, [*NEEDS]) == {}
    assert made_along(old, replace(release, ends={}), stack, [*NEEDS]) == every
    assert made_along(old, release, stack, [], ["app", "cache", "db"]) == {"cache": ("db",)}
    rolling = Stack(
        compose=("x",), rolling=({"service": "db"}, {"kind": "job"}), replicas={"job": ("seed", "migrate")}
    )
    assert made_along(old, release, rolling, []) == {"migrate": ("cache",)}
