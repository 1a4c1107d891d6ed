import pytest

from deploy_lib.checks import (
    check_files,
    check_places,
    check_profiles,
    check_project,
    check_reloads,
    check_storage,
    check_variables,
)
from deploy_lib.compose.reference import Reference
from deploy_lib.compose.service import Mount, Service
from deploy_lib.config import load
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.release.files import Entry
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.secrets.places import Place
from deploy_lib.source.shipped import Expected, Shipped
from deploy_lib.values import replace
from tests import ROOT
from tests.unit import build

NODES = load(ROOT, "lab").nodes


def test_a_stack_without_shared_storage_is_not_asked() -> None:
    assert list(check_storage(NODES["core"], (), deferred=False)) == []


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (frozenset(), "nothing is mounted"),
        (frozenset({"writable"}), "nothing is mounted"),
        (frozenset({"mounted"}), "is not writable"),
        (frozenset({"mounted", "writable"}), ""),
    ],
)
def test_shared_storage_is_mounted_and_writable(found: frozenset[str], problem: str) -> None:
    (check,) = check_storage(NODES["B"], found, deferred=False)
    assert check.result == ("failed" if problem else "ok")
    assert problem in check.problem
    (later,) = check_storage(NODES["B"], found, deferred=True)
    assert later.result == ("deferred" if problem else "ok")


SECRET = Service("web", Image.parse("x"), secrets=(Place("web", "file", "/run/secrets/s", ("", "S", "")),))


@pytest.mark.parametrize(
    ("facts", "given", "problem"),
    [
        (Facts(), {}, ""),
        (Facts(blank=frozenset({"B", "A"})), {}, "A has no value; B has no value"),
        (Facts(services={"web": SECRET}), {"A": "1"}, ""),
        (
            Facts(services={"web": SECRET}),
            {"S": "oops"},
            "S is a secret, and has a value in compose/.env.core, too",
        ),
    ],
)
def test_nothing_is_deployed_blank(facts: Facts, given: dict[str, str], problem: str) -> None:
    check = check_variables(NODES["core"], facts, given)
    assert check.problem == problem
    assert check.result == ("failed" if problem else "ok")
    # The advice is that for what is wrong, and no other.
    assert ("set it in" in (check.hint or "")) == bool(facts.blank)
    assert ("take S out of" in (check.hint or "")) == ("S" in given)


def test_a_variable_that_is_named_without_a_value_needs_one_too() -> None:
    spec = {"environment": {"SET": "", "NOWHERE": None, "BLANK": None}}
    facts = Facts(services={"web": Service("web", Image("x"), spec=spec)}, blank=frozenset({"BLANK"}))
    check = check_variables(NODES["core"], facts, {})
    assert (check.result, check.problem) == ("failed", "BLANK has no value; NOWHERE has no value")


def test_a_project_without_a_fixed_name_is_given_the_line_that_fixes_it() -> None:
    check = check_project(NODES["core"], "ktrdr-core", Facts(containers=(build.container(),)), named=False)
    assert check.result == "failed"
    assert "under which 1 containers are here" in check.problem
    assert 'project = "ktrdr-core"' in (check.hint or "")
    assert check_project(NODES["core"], "ktrdr-core", Facts(), named=True).result == "ok"


def expected(path: str) -> Expected:
    return Expected(Reference(path, "which web mounts", "a.yml line 3"), "git ignores it", "do this")


def test_what_no_checkout_ships_must_be_on_the_host() -> None:
    shipped = Shipped(
        {"a.yml": Entry(b"")}, ("a.yml",), expected=(expected("data"), expected("x")), notes=(("n", "h"),)
    )
    files, places, note = check_files(NODES["core"], shipped, Facts(user="me", present=frozenset({"data"})))
    assert files.result == "failed"
    assert (
        files.problem
        == "a.yml line 3: x, which web mounts, is not on the host, and is not shipped: git ignores it"
    )
    assert files.hint == "do this"
    both = replace(shipped, expected=tuple(replace(expected(path), data=path) for path in ("a", "b")))
    (own, *_) = check_files(NODES["core"], both, Facts(user="me"))
    assert own.hint == ('do this; what the stack fills itself is named in [stacks.core]: data = ["a", "b"]')
    assert places.result == "ok"
    assert (note.result, note.problem) == ("warning", "n")
    optional = replace(expected("may-be"), reference=Reference("may-be", "w", "a.yml", "input", needed=False))
    shipped = replace(shipped, expected=(*shipped.expected, optional))
    there = Facts(user="me", present=frozenset({"data", "x"}))
    assert [c.result for c in check_files(NODES["core"], shipped, there)] == ["ok", "ok", "warning"]


def test_only_what_a_rendered_service_has_must_be_on_the_host() -> None:
    owners = [("services", "web"), ("services", "debug"), ("secrets", "s"), ("volumes", "v"), ()]
    found = [
        replace(expected(f"{n}"), reference=replace(expected(f"{n}").reference, owner=o))
        for n, o in enumerate(owners)
    ]
    shipped = Shipped({}, (), expected=tuple(found))
    service = Service("web", Image("x"), shared={"volumes": {"v": {}}})
    files, _ = check_files(NODES["core"], shipped, Facts(user="me", services={"web": service}))
    assert [path for path in "01234" if f": {path}, which" in files.problem] == ["0", "3", "4"]
    unrendered, _ = check_files(NODES["core"], shipped, Facts(user="me"))
    assert unrendered.problem.count("is not on the host") == len(owners)


def test_what_a_deployment_leaves_beside_it_is_told() -> None:
    second = build.container(service="second")
    facts = Facts(containers=(build.container(), second), services={"web": Service("web", Image("x"))})
    (check,) = check_profiles(["web", "second"], facts)
    assert check.result == "warning"
    assert "second runs here, of a profile that is not active" in check.problem
    # What no file declares is removed, which the plan says.
    assert not [*check_profiles(["web"], facts)]


def test_a_directory_with_something_in_it_in_a_file_s_place_is_named_with_the_way_out() -> None:
    facts = Facts(
        files={"a": "directory", "b": "directory", "c": "directory"}, occupied=frozenset({"a", "c"})
    )
    check = check_places(NODES["core"], {"a": "1", "b": "1", "c": "directory"}, facts)
    assert (check.result, check.hint) == (
        "failed",
        "look what it is, and move it away: mv /opt/ktrdr-core/a /opt/ktrdr-core/a.old",
    )
    # The release that runs has put it there, and takes it away.
    recorded = Release("r", "t", None, {}, {"a/inner": "1"})
    facts = replace(facts, history=(event("proven", recorded),))
    assert check_places(NODES["core"], {"a": "1"}, facts).result == "ok"


@pytest.mark.parametrize(
    ("reload", "mounted", "refused"),
    [
        ({"signal": "SIGHUP"}, "conf/a.conf", True),
        ({"watched": True}, "conf/a.conf", True),
        ({"restart": True}, "conf/a.conf", False),
        ({"signal": "SIGHUP"}, "conf", False),
        ({"signal": "SIGHUP"}, "other/a.conf", False),
    ],
)
def test_a_file_that_is_mounted_by_itself_cannot_be_told_of(
    reload: dict[str, object], mounted: str, refused: bool
) -> None:
    node = build.node(reloads=({"path": "conf/", "service": "web", **reload},))
    services = {"web": Service("web", Image("x"), mounts=(Mount("bind", mounted, "/a"),))}
    check = check_reloads(node, services, ["conf/a.conf", "other/a.conf"])
    assert check.result == ("failed" if refused else "ok")
    assert ("web mounts conf/a.conf by itself" in check.problem) == refused


def test_what_was_started_in_another_directory_is_given_the_line_that_finds_it() -> None:
    labels = {
        "com.docker.compose.project.working_dir": "/srv/web",
        "com.docker.compose.project.config_files": "/srv/web/c.yml",
    }
    facts = Facts(containers=(build.container(labels=labels),))
    check = check_project(build.node(), "shop-1", facts, named=True)
    assert check.result == "failed"
    assert 'directory = "/srv/web"' in (check.hint or "")
    assert check_project(build.node("/srv/web"), "shop-1", facts, named=True).result == "ok"


def test_a_name_that_an_env_file_gives_otherwise_is_not_passed_over() -> None:
    check = check_project(build.node(), "shop-1", Facts(), named=True, otherwise="old-shop")
    assert check.result == "failed"
    assert "COMPOSE_PROJECT_NAME in the env file is 'old-shop'" in check.problem
    assert 'project = "old-shop"' in (check.hint or "")
