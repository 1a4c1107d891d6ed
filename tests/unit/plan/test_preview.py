from dataclasses import replace

from deploy_lib.cli.report import going_back
from deploy_lib.compose.container import Container
from deploy_lib.compose.labels import CONFIG_HASH
from deploy_lib.config import OneOff, Reload, load
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login
from deploy_lib.host.stack import HostStack
from deploy_lib.plan.plan import make_plan
from deploy_lib.plan.preview import commands, diff, diffs, foresee
from deploy_lib.release.image import Image
from deploy_lib.secrets.value import Secret
from tests import ROOT
from tests.unit.plan.test_plan import NEW, OLD, desired, settled

NODE = load(ROOT, "lab").nodes["core"]
STACK = HostStack(NODE, "p")
LOGIN = Login("docker.io", "me", Secret("a-password"))


def test_files_are_shown_as_what_changes_in_them() -> None:
    plan = make_plan(NODE, settled(), desired(files={"docker-compose.core.yml": b"one\nthree\n"}))
    old = {"docker-compose.core.yml": b"one\ntwo\n", "monitoring/prometheus/prometheus.yml": b"p\n"}
    found = diffs(plan, old, plan.desired.files)
    assert found["docker-compose.core.yml"].splitlines() == [
        *("--- a/docker-compose.core.yml", "+++ b/docker-compose.core.yml"),
        *("@@ -1,2 +1,2 @@", " one", "-two", "+three"),
    ]
    assert "+++ /dev/null" in found["monitoring/prometheus/prometheus.yml"]
    assert "-p" in found["monitoring/prometheus/prometheus.yml"].splitlines()


def test_a_new_file_comes_from_nowhere_and_what_is_no_text_is_not_shown() -> None:
    assert diff("x", b"", b"new\n").splitlines()[:2] == ["--- /dev/null", "+++ b/x"]
    assert diff("x", b"\xff\x00", b"new\n") == "binary file x differs"


def shown(image: Image = NEW, facts: Facts | None = None, login: Login | None = LOGIN) -> list[str]:
    facts = facts or settled()
    plan = make_plan(NODE, facts, desired(image))
    one_offs = [OneOff(service="web", command=("migrate", "it's"))]
    return commands(STACK, plan, facts, login=login, one_offs=one_offs, secrets=["A", "B"])


def test_the_commands_come_in_their_order_and_show_no_secret() -> None:
    login, pull, one_off, up = shown()
    assert login == "docker login --username me --password-stdin docker.io"
    assert pull == f"docker pull {NEW}"
    assert one_off.startswith("A=*** B=*** docker compose -p p ")
    assert one_off.endswith("""run --rm --name p-before-switch --no-deps -T web migrate 'it'"'"'s'""")
    assert up.startswith("A=*** B=*** docker compose -p p ")
    assert " up -d " in up


def test_there_is_no_login_without_a_private_image_and_nothing_where_nothing_is_to_be_done() -> None:
    assert not [c for c in shown(login=replace(LOGIN, host="other")) if "login" in c]
    plan = make_plan(NODE, settled(), desired())
    assert commands(STACK, plan, settled(), login=LOGIN, one_offs=[], secrets=[]) == []


def test_a_service_that_stays_is_told_of_its_files() -> None:
    facts = settled()
    plan = make_plan(NODE, facts, desired())
    reload = Reload(path="monitoring/", service="web", signal="SIGHUP", check=("true",))
    plan = replace(plan, nothing=False, reloads=(reload,))
    last = commands(STACK, plan, facts, login=None, one_offs=[], secrets=[])[-1]
    container: Container = facts.containers[0]
    assert last.startswith(
        f"docker exec {container.name} true && docker exec {container.name} sh -c 'kill -s HUP 1'"
    )


def test_what_compose_would_recreate_is_foreseen_with_its_reason() -> None:
    facts = settled()
    running = facts.containers[0].labels[CONFIG_HASH]

    def change(found: str, changed: tuple[str, ...], image: Image = OLD) -> tuple[str, str]:
        plan = replace(make_plan(NODE, facts, desired(image)), changed=changed)
        (change,) = foresee(plan, facts, {"web": found}, (".env.core", "release.env")).changes
        return change.action, change.why

    assert change(running, (".env.core",)) == ("keep", "")
    assert change("other", (".env.core", "release.yml")) == ("recreate", "environment")
    assert change("other", ("docker-compose.core.yml", ".env.core")) == ("recreate", "configuration")
    assert change("other", ("docker-compose.core.yml",), NEW) == ("recreate", "image")


def test_a_failure_and_a_later_rollback_may_lead_to_different_releases() -> None:
    plan = make_plan(NODE, settled(), desired(NEW))
    assert plan.back is not None
    running = f"{plan.back.release.tag} (release r1)"
    assert going_back(plan) == f"if it fails, and for a rollback afterwards: {running}"
    # As it is when a rollback, or a release of the same content, is what would be deployed.
    skipping = replace(plan, next_before="r0")
    assert going_back(skipping) == f"if it fails: {running}; for a rollback afterwards: release r0"
    first = replace(plan, next_before=None)
    assert going_back(first) == f"if it fails: {running}; there is nothing for a rollback afterwards"
