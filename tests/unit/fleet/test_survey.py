"""What the survey does with a host where others could change what is deployed."""

import io
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.checks.host import check_ownership
from deploy_lib.config import Environment, Versions
from deploy_lib.errors import PreflightError, RemoteError, UsageError
from deploy_lib.fleet import registries, rotation, vault
from deploy_lib.fleet import survey as surveying
from deploy_lib.fleet.findings import NodeSurvey, Survey, require_checks
from deploy_lib.fleet.registries import Asker, Question, Registries
from deploy_lib.host.look import registry
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login, Manifest
from deploy_lib.node.deployment import Deployment
from deploy_lib.output.console import Console
from deploy_lib.release.image import Image
from deploy_lib.release.release import Version
from deploy_lib.request import Request
from deploy_lib.secrets.value import Secret
from deploy_lib.values import replace
from tests.unit.node.test_deployment import deployment
from tests.unit.plan.test_decide import VERSION, rendered, values

LOOSE = (("/opt is loose", "chmod go-w /opt"),)


def node(strangers: tuple[tuple[str, str], ...]) -> tuple[Deployment, NodeSurvey]:
    made = deployment()
    facts = replace(made.facts, strangers=strangers)
    return made, NodeSurvey(made.node, facts, (check_ownership(facts),), "", "")


def survey_of(found: NodeSurvey) -> Survey:
    return Survey((), {found.node.name: found}, VERSION, values(), (), {}, VERSION)


@pytest.mark.parametrize(("strangers", "asked"), [((), 1), (LOOSE, 0)])
def test_no_login_goes_by_way_of_it(
    monkeypatch: pytest.MonkeyPatch, strangers: tuple[tuple[str, str], ...], asked: int
) -> None:
    ready: list[Deployment] = []
    one, found = node(strangers)
    found_there = vault.Vault(values(), (cast(Any, "a login"),), found.checks[0])

    def ask(_: object, askers: Sequence[Asker], *__: object) -> Registries:
        ready.extend(asker.deployment for asker in askers)
        return Registries(VERSION)

    monkeypatch.setattr(surveying, "versions", lambda *_: [VERSION])
    monkeypatch.setattr(surveying, "open_vault", lambda *_: found_there)
    monkeypatch.setattr(surveying, "_look", lambda *_: found)
    monkeypatch.setattr(surveying, "ask_registries", ask)
    monkeypatch.setattr(surveying, "_checkout", lambda _: UsageError("no git"))
    environment = cast(
        Environment,
        SimpleNamespace(
            root=None,
            follows=None,
            apply={},
            image_registry="h.example",
            versions=Versions(),
            allow_dirty=False,
        ),
    )
    surveying.survey(environment, [one], one.request)
    assert len(ready) == asked


def test_no_flag_deploys_to_it() -> None:
    console = Console(err=io.StringIO())
    assert require_checks(survey_of(node(())[1]), console, lenient=True) == VERSION
    with pytest.raises(PreflightError, match="/opt is loose"):
        require_checks(survey_of(node(LOOSE)[1]), console, lenient=True)


WANTED = [Version("sha-000000b"), Version("sha-000000a")]
LOGIN = Login("h.example", "me", Secret("a-password"))


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        (lambda image: Manifest(image, f"sha256:{'a' * 64}"), "sha-000000b"),
        (lambda image: Manifest(image, problem="manifest unknown", status=404), None),
        # What is refused or broken says nothing of which images there are: that is what is then told.
        (lambda image: Manifest(image, problem="unauthorized", status=401), "sha-000000b"),
        (lambda image: Manifest(image, problem="connection refused", status=500), "sha-000000b"),
        (None, "sha-000000b"),
    ],
)
def test_a_registry_that_refuses_is_not_one_without_images(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[Image], Manifest] | None, chosen: str | None
) -> None:
    def resolve(_: object, names: Sequence[Image], *__: object) -> dict[Image, Manifest]:
        if answer is None:
            raise RemoteError("the engine does not answer")
        return {name: answer(name) for name in names}

    monkeypatch.setattr(registry, "resolve", resolve)
    asker = Asker(deployment(), rendered(f"h.example/x/y:{WANTED[0].tag}"))
    found = registries.choose_version(
        [asker], Question("h.example/x", Versions(), WANTED, Request("preflight"), [LOGIN])
    )
    assert (found and found.tag) == chosen


LARGE = "v" * 131_072


def large(_: object, names: Sequence[str]) -> dict[str, Secret]:
    return dict.fromkeys(names, Secret("a-password")) | {names[-1]: Secret(LARGE)}


def test_a_value_without_room_stops_a_deployment_before_a_host_is_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    login = SimpleNamespace(password="A_TOKEN", username="me", host="h.example")
    environment = cast(Environment, SimpleNamespace(registries=(login,), root=None))
    made, found = node(())
    monkeypatch.setattr(vault, "source_of", lambda _: SimpleNamespace(name=lambda root: "vault"))
    monkeypatch.setattr(vault, "fetch", large)
    with pytest.raises(UsageError, match="has 131072 bytes") as caught:
        vault.open_vault(environment, [made], {made.node.name: replace(found, facts=Facts())})
    assert LARGE[:9] not in str(caught.value)


def test_a_value_without_room_stops_a_rotation_before_a_host_is_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rotation, "fetch", large)
    monkeypatch.setattr(rotation, "_look", lambda _: None)
    made = deployment()
    environment = cast(Environment, SimpleNamespace(secrets=dict.fromkeys(made.running_secrets)))
    with pytest.raises(UsageError, match="has 131072 bytes"):
        rotation.rotate(environment, [made], Request("rotate-secrets"), Console(err=io.StringIO()))
