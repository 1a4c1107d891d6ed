"""Which images the registries are asked for, and with whose logins."""

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.compose.model import read_model
from deploy_lib.compose.service import Service
from deploy_lib.config import Versions
from deploy_lib.fleet import registries
from deploy_lib.fleet.registries import Asker, Question, ask_registries
from deploy_lib.host.change.history import event
from deploy_lib.host.look import host_login, registry
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login, Manifest
from deploy_lib.node.deployment import Deployment
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release, Version
from deploy_lib.request import Request
from deploy_lib.secrets.value import Secret
from deploy_lib.values import replace
from tests.unit import build
from tests.unit.node.test_deployment import deployment

DIGEST, NEWER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
FIRST, SECOND = Version("sha-000000b"), Version("sha-000000a")
LOGIN = Login("h.example", "me", Secret("a-password"))

SERVICES = {
    "app": {"image": f"h.example/me/app:{FIRST.tag}"},
    "other": {"image": "h.example/you/other:1"},
    "cache": {"image": "redis"},
    "moving": {"image": "busybox:1", "pull_policy": "always"},
    "by_hand": {"image": "made/here:1", "pull_policy": "never"},
    "pinned": {"image": f"prom/prometheus:v2@{DIGEST}"},
    "built": {"build": {"context": "."}},
}
RECORDED = {
    name: Image.parse(f"{SERVICES[name]['image']}@{DIGEST}") for name in ("app", "other", "cache", "moving")
}


OTHERS = Release("r0", "t", None, {"app": RECORDED["app"].unpinned.with_digest(NEWER)}, {})


def facts(*, recorded: bool = True, images: Sequence[str] = (), services: Any = SERVICES) -> Facts:
    release = Release("r1", "t", None, RECORDED if recorded else {}, {})
    return Facts(
        platform="linux/amd64",
        services=read_model(json.dumps({"services": services})),
        history=(event("proven", release),),
        images=dict.fromkeys(images, "sha256:id"),
    )


def question(**request: Any) -> Question:
    return Question("h.example/me", Versions(), [FIRST, SECOND], Request("deploy-x", **request), [LOGIN])


APP, NEXT = f"h.example/me/app:{FIRST.tag}", f"h.example/me/app:{SECOND.tag}"


def test_a_plain_deployment_asks_for_its_own_images_and_what_it_does_not_know() -> None:
    there = [f"prom/prometheus@{DIGEST}"]
    assert [str(i) for i in question().needed(facts(images=there), FIRST)] == ["busybox:1", APP]
    assert [str(i) for i in question().needed(facts(images=there), SECOND)] == ["busybox:1", NEXT]
    # A pinned image that the host lacks is asked for, so that a wrong digest is told before anything is changed.
    everything = question().needed(facts(recorded=False), FIRST)
    assert [str(i) for i in everything] == [
        *("busybox:1", APP, "h.example/you/other:1", f"prom/prometheus:v2@{DIGEST}", "redis"),
    ]


def test_a_commit_s_image_that_the_host_has_as_recorded_is_not_asked_for_again() -> None:
    there = facts(images=[f"prom/prometheus@{DIGEST}", f"h.example/me/app@{DIGEST}"])

    def plain(**request: Any) -> Question:
        return replace(question(**request), fleet=[there])

    assert [str(i) for i in plain().needed(there, FIRST)] == ["busybox:1"]
    assert APP in map(str, plain(refresh="").needed(there, FIRST))
    assert NEXT in map(str, plain().needed(there, SECOND))
    # One release has one digest: where another host has none, or another one, all ask.
    lacks, other = facts(recorded=False), replace(there, history=(event("proven", OTHERS),))
    for further in (lacks, other):
        assert APP in map(str, replace(plain(), fleet=[there, further]).needed(there, FIRST))
    assert APP in map(str, replace(plain(), allow_dirty=True).needed(there, FIRST))
    # Preflight proves the login, and a tag that is no commit's may mean something else by now.
    looked = replace(plain(), request=Request("preflight"))
    assert APP in map(str, looked.needed(there, FIRST))
    moving = replace(plain(), policy=Versions(commit_tag="commit-{sha:9}"))
    assert APP in map(str, moving.needed(there, FIRST))
    # Unless deploy.toml says that it never does, whatever it looks like.
    lasting = Versions(commit_tag="commit-{sha:9}", immutable=("app",))
    assert APP not in map(str, replace(moving, policy=lasting, allow_dirty=True).needed(there, FIRST))
    other = Versions(commit_tag="commit-{sha:9}", immutable=("ap", "me/app"))
    assert APP in map(str, replace(moving, policy=other).needed(there, FIRST))


@pytest.mark.parametrize(
    ("refresh", "asked"),
    [("cache", ["busybox:1", APP, "redis"]), ("", ["busybox:1", APP, "h.example/you/other:1", "redis"])],
)
def test_a_tag_that_is_somebody_elses_is_looked_up_anew_on_request(refresh: str, asked: list[str]) -> None:
    there = facts(images=[f"prom/prometheus@{DIGEST}"])
    assert [str(i) for i in question(refresh=refresh).needed(there, FIRST)] == asked


def test_of_a_project_without_a_registry_no_image_has_its_version() -> None:
    services = {"web": {"image": f"nginx:{FIRST.tag}"}}
    alone = Question("", Versions(), [FIRST], Request("deploy-x"), [])
    assert [str(i) for i in alone.needed(facts(services=services), SECOND)] == [f"nginx:{FIRST.tag}"]


def test_only_the_services_that_are_refreshed_take_what_their_tag_has_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Answers(monkeypatch, lambda image: there(image, NEWER))
    both = {"cache": {"image": "redis"}, "queue": {"image": "redis"}}
    release = Release("r1", "t", None, dict.fromkeys(both, RECORDED["cache"]), {})
    known = replace(facts(services=both), history=(event("proven", release),))
    found = ask(replace(question(refresh="cache"), wanted=[FIRST]), known)
    (manifests,) = found.manifests.values()
    assert list(manifests) == ["cache"]


def test_what_a_new_node_is_told_is_nothing_to_one_that_has_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    Answers(monkeypatch, lambda image: there(image, NEWER))
    services = {"cache": SERVICES["cache"]}
    nodes = {"B": facts(services=services), "C": facts(recorded=False, services=services)}
    found = ask_all(replace(question(), wanted=[FIRST]), nodes)
    assert {name: list(manifests) for name, manifests in found.manifests.items()} == {"B": [], "C": ["cache"]}


@pytest.mark.parametrize(
    ("told", "result", "said"),
    [(DIGEST, "warning", "is on the host, and is used"), (NEWER, "failed", "toomanyrequests")],
)
def test_an_answer_with_a_digest_counts_for_a_node_that_got_none(
    monkeypatch: pytest.MonkeyPatch, told: str, result: str, said: str
) -> None:
    services = {"app": {"image": "h.example/me/app:main"}}
    recorded = Image.parse(f"h.example/me/app:main@{DIGEST}")
    settled = replace(
        facts(images=[f"h.example/me/app@{DIGEST}"], services=services),
        history=(event("proven", Release("r1", "t", None, {"app": recorded}, {})),),
    )
    nodes = {"A": settled, "B": facts(recorded=False, services=services)}
    answers = iter(
        [Manifest(recorded.unpinned, problem="toomanyrequests", status=429), there(recorded.unpinned, told)]
    )
    Answers(monkeypatch, lambda _: next(answers))
    found = ask_all(replace(question(parallel=1), wanted=[FIRST]), nodes)
    assert {name: manifests["app"].digest for name, manifests in found.manifests.items()} == {
        "A": told,
        "B": told,
    }
    (check,) = (check for check in found.nodes["A"] if check.name == "image app:main")
    assert check.result == result
    assert said in check.problem


class Answers:
    """Registries, as they answer through the engine and through the host's own Docker."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, engine: Any, own: Any = None) -> None:
        self.own: list[str] = []

        def resolve(_: object, names: Sequence[Image], __: object) -> dict[Image, Manifest]:
            return {name: engine(name) for name in names}

        def ask(_: object, names: Sequence[Image]) -> dict[Image, Manifest]:
            self.own += [str(name) for name in names]
            return {name: own(name) for name in names}

        monkeypatch.setattr(registry, "resolve", resolve)
        monkeypatch.setattr(host_login, "ask_with_host_login", ask)


def there(image: Image, digest: str = DIGEST) -> Manifest:
    return Manifest(image, digest, ("linux/amd64",))


def refused(image: Image) -> Manifest:
    return Manifest(image, problem="no basic auth credentials", status=500)


def ask(asked: Question, *found: Facts) -> registries.Registries:
    return ask_registries(cast(Any, None), [Asker(deployment(), each) for each in found], asked)


def ask_all(asked: Question, nodes: Mapping[str, Facts]) -> registries.Registries:
    named = {name: build.node().model_copy(update={"name": name}) for name in nodes}
    visits = {name: SimpleNamespace(node=node, session=None) for name, node in named.items()}
    askers = [Asker(cast(Deployment, visits[name]), each) for name, each in nodes.items()]
    return ask_registries(cast(Any, None), askers, asked)


def test_what_is_refused_without_a_login_of_ours_is_asked_for_with_the_hosts_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = Answers(monkeypatch, refused, there)
    services = {"a": {"image": "h.example/me/a:1"}, "b": {"image": "other.example/b:1"}}
    alone = replace(question(), wanted=[FIRST])
    found = ask(alone, facts(services=services))
    assert answers.own == ["other.example/b:1"]
    (manifests,) = found.manifests.values()
    assert manifests["b"].digest == DIGEST
    (checks,) = found.nodes.values()
    assert {check.name: check.result for check in checks if check.result != "ok"} == {
        "registry login": "failed",
        "image a:1": "failed",
    }


def test_what_the_hosts_own_login_does_not_help_with_is_told_in_the_engines_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Answers(monkeypatch, refused, lambda image: Manifest(image, problem="what?", status=500))
    found = ask(
        replace(question(), wanted=[FIRST], logins=()), facts(services={"b": {"image": "other.example/b:1"}})
    )
    (checks,) = found.nodes.values()
    (bad,) = (check for check in checks if check.result == "failed")
    assert bad.problem == "other.example/b:1: no basic auth credentials"
    assert "docker login other.example" in bad.hint


def test_the_newest_commit_counts_that_has_the_images_of_all_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = f"h.example/me/late:{FIRST.tag}"

    def engine(image: Image) -> Manifest:
        return (
            Manifest(image, problem="manifest unknown", status=404) if str(image) == missing else there(image)
        )

    Answers(monkeypatch, engine)
    late = facts(services={"late": {"image": missing}})
    early = facts(services={"app": SERVICES["app"]})
    assert registries.choose_version([Asker(deployment(), early)], question()) == FIRST
    assert (
        registries.choose_version([Asker(deployment(), each) for each in (early, late)], question()) == SECOND
    )


@pytest.mark.parametrize(("command", "said"), [("preflight", ["app", "redis"]), ("deploy-x", [])])
def test_only_preflight_says_that_a_tag_has_moved(
    monkeypatch: pytest.MonkeyPatch, command: str, said: list[str]
) -> None:
    Answers(monkeypatch, lambda image: there(image, NEWER))
    services = {name: SERVICES[name] for name in ("app", "cache")}
    asked = replace(question(), wanted=[FIRST], request=Request(command))
    found = ask(asked, facts(services=services))
    (checks,) = found.nodes.values()
    warned = [check for check in checks if check.result != "ok"]
    # A commit's own image, too, which was pushed a second time.
    assert [check.name.rpartition(" ")[2].partition(":")[0].rpartition("/")[2] for check in warned] == said
    assert all(check.result == "warning" for check in warned)
    assert [check.hint.partition("--refresh ")[2] for check in warned] == ["app", "cache"][: len(said)]
    (manifests,) = found.manifests.values()
    assert "cache" not in manifests


def test_a_service_without_an_image_is_asked_for_nowhere() -> None:
    built = {"built": SERVICES["built"]}
    assert question().needed(facts(recorded=False, services=built), FIRST) == []
    assert Service("built", Image("")).image == Image("")
