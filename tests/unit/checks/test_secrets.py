from typing import Any

from deploy_lib.checks import Check, check_exposure, check_once_read
from deploy_lib.compose.service import Service
from deploy_lib.config import load
from deploy_lib.release.image import Image
from deploy_lib.secrets.places import Place
from tests import ROOT
from tests.unit import build

LAB = load(ROOT, "lab")
STEPS, NODE = LAB.apply, LAB.nodes["core"]


def test_a_secret_that_is_read_once_is_not_simply_deployed() -> None:
    check = check_once_read(NODE, STEPS, ["DB_PASSWORD", "JWT_SECRET"], recorded=True)
    assert check.result == "failed"
    assert "DB_PASSWORD" in check.problem
    assert "JWT_SECRET" not in check.problem
    assert "invoke rotate-secrets" in check.hint
    other = check_once_read(
        NODE.model_copy(update={"command": "make"}), STEPS, ["DB_PASSWORD"], recorded=True
    )
    assert "make rotate-secrets" in other.hint


def test_one_that_is_read_at_each_start_is() -> None:
    assert check_once_read(NODE, STEPS, ["JWT_SECRET"], recorded=True).result == "ok"
    assert check_once_read(NODE, STEPS, [], recorded=True).result == "ok"


def test_without_its_key_nothing_is_called_unchanged() -> None:
    check = check_once_read(NODE, STEPS, [], recorded=True, lost="/opt/ktrdr-core/.deploy/key")
    assert check.result == "warning"
    assert "/opt/ktrdr-core/.deploy/key is gone, so nothing can tell whether DB_PASSWORD" in check.problem
    assert check_once_read(NODE, {}, [], recorded=True, lost="/opt/x").result == "ok"


def test_what_cannot_be_changed_is_set_back() -> None:
    check = check_once_read(NODE, STEPS, ["DB_PASSWORD", "DB_USER"], recorded=True)
    assert "DB_USER" in check.problem
    assert "set it back" in check.hint


def test_without_a_record_there_is_a_way_out_too() -> None:
    found = check_once_read(NODE, STEPS, ["DB_PASSWORD"], recorded=False)
    assert found.hint is not None
    assert found.hint.startswith("set them back at their source, deploy")


def test_a_secret_is_called_as_the_stack_calls_it() -> None:
    steps = {"OTHER_NAME": STEPS["DB_PASSWORD"], "OTHER_USER": STEPS["DB_USER"]}
    check = check_once_read(NODE, steps, ["OTHER_NAME"], recorded=True)
    assert check.problem.startswith("OTHER_NAME (the field of DB_PASSWORD) was changed at its source")
    fixed = check_once_read(NODE, steps, ["OTHER_USER"], recorded=True)
    assert fixed.problem.startswith("OTHER_USER (the field of DB_USER) was changed at its source")


def exposed(*places: Place, accepted: tuple[str, ...] = (), **more: Any) -> dict[str, Check]:
    node = build.node(exposed=accepted)
    web = Service("web", Image.parse("x"), secrets=places, **more)
    return {check.name: check for check in check_exposure(node, {"web": web})}


FILE = Place("web", "file", "/run/secrets/pw", ("", "PW", ""))
VARIABLE = Place("web", "environment", "APP_KEY", ("", "PW", ""))
URL = Place("web", "environment", "URL", ("db://", "WHO", ":", "PW", "@db"))


def test_a_secret_that_docker_inspect_shows_has_to_be_accepted() -> None:
    found = exposed(VARIABLE)["secrets in the environment"]
    assert found.result == "failed"
    assert "PW stands in the environment of web (APP_KEY)" in found.problem
    assert 'exposed = ["PW"] in [stacks.shop]' in (found.hint or "")
    accepted = exposed(VARIABLE, accepted=("PW",))["secrets in the environment"]
    assert (accepted.result, accepted.found) == ("ok", "PW in web")


def test_the_line_that_accepts_one_more_keeps_those_that_are_accepted() -> None:
    found = exposed(VARIABLE, URL, accepted=("PW",))["secrets in the environment"]
    assert 'exposed = ["PW", "WHO"]' in (found.hint or "")


def test_one_that_could_not_be_restored_is_refused_although_it_is_accepted() -> None:
    found = exposed(URL, accepted=("PW", "WHO"))["secrets in the environment"]
    assert found.result == "failed"
    assert "could not be restored" in found.problem
    assert exposed(URL, FILE, accepted=("PW", "WHO"))["secrets in the environment"].result == "ok"


def test_a_secret_in_plain_sight_is_refused_whatever_is_accepted() -> None:
    line = ("services.web.command", "--password=${PW}")
    found = exposed(accepted=("PW",), refused=(line,))["secrets in plain sight"]
    assert found.result == "failed"
    assert "services.web.command (--password=${PW})" in found.problem


def test_a_compose_secret_from_elsewhere_is_refused() -> None:
    found = exposed(foreign=("key",))["secrets of the Compose file"]
    assert found.result == "failed"
    assert "web gets key" in found.problem


def test_without_secrets_in_the_environment_nothing_is_said() -> None:
    assert {check.result for check in exposed(FILE).values()} == {"ok"}


def test_the_same_field_under_another_name_is_read_once_too() -> None:
    other = {**LAB.secrets, "WORKERS_PASSWORD": LAB.secrets["DB_PASSWORD"]}
    steps = LAB.model_copy(update={"secrets": other}).apply
    assert check_once_read(NODE, steps, ["WORKERS_PASSWORD"], recorded=True).result == "failed"
    assert check_once_read(NODE, steps, ["JWT_SECRET"], recorded=True).result == "ok"


def test_a_config_whose_content_no_rendering_shows_is_refused_with_the_line_that_means_the_same() -> None:
    found = exposed(unseen={"app": "APP_INI"})["configs"]
    assert found.result == "failed"
    assert "web gets the config app by `environment: APP_INI`" in found.problem
    assert 'content: "${APP_INI}"' in (found.hint or "")
