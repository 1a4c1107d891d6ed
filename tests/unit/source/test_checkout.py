"""What deploy.toml and a stack's Compose file say of one another."""

from pathlib import Path

import pytest

from deploy_lib.compose.reference import Reference
from deploy_lib.compose.service import Service
from deploy_lib.config import Stack, load
from deploy_lib.errors import UsageError
from deploy_lib.release.image import Image
from deploy_lib.secrets.places import Place
from deploy_lib.source.checkout import check_names, check_tracked, project_of, read_stack
from deploy_lib.source.shipped import Expected, Shipped
from deploy_lib.values import replace
from tests import ROOT
from tests.unit import sample

TEXT = (ROOT / "deploy.toml").read_text()


@pytest.mark.parametrize("node", ["core", "B", "C"])
def test_they_agree(node: str) -> None:
    environment = load(ROOT, "lab")
    assert read_stack(environment, environment.nodes[node]).files


@pytest.mark.parametrize(
    ("node", "key", "old", "new"),
    [
        ("core", "probes", 'service = "backend"\nurl', 'service = "backnd"\nurl'),
        ("core", "reloads", 'service = "grafana"\nrestart', 'service = "graphana"\nrestart'),
        ("core", "apply", 'role = "DB_USER"\nservice = "db"', 'role = "DB_USER"\nservice = "dbb"'),
        (
            "core",
            "before_switch",
            "keep_releases = 5",
            'keep_releases = 5\nbefore_switch = [{ service = "backnd", command = ["x"] }]',
        ),
        ("core", "backups", 'name = "database"\nservice = "db"', 'name = "database"\nservice = "dbb"'),
        ("core", "backups", "compress = false\nkeep", 'compress = false\nstop = ["backnd"]\nkeep'),
        ("B", "replicas", '"backtest-worker-1"', '"backtest-wroker-1"'),
    ],
)
def test_a_service_that_the_stack_has_not_is_named_with_those_that_it_has(
    node: str, key: str, old: str, new: str, tmp_path: Path
) -> None:
    assert old in TEXT
    (tmp_path / "deploy.toml").write_text(TEXT.replace(old, new, 1))
    environment = load(tmp_path, "lab").model_copy(update={"root": ROOT})
    services = {
        name: Service(name, Image("x")) for name in read_stack(environment, environment.nodes[node]).services
    }
    with pytest.raises(
        UsageError, match=rf"\.{key} names the service '\S+', which compose/\S+ lacks; it has"
    ):
        check_names(environment, environment.nodes[node], services)


def test_a_secret_that_deploy_toml_does_not_declare_is_named() -> None:
    environment = load(ROOT, "lab")
    place = Place("db", "file", "/run/secrets/x", ("", "NOBODY_S", ""))
    services = {"db": Service("db", Image("x"), secrets=(place,))}
    with pytest.raises(UsageError, match="needs the secret NOBODY_S"):
        check_names(environment, environment.nodes["core"], services)


def test_a_secret_s_file_that_git_has_is_refused_where_a_service_gets_it() -> None:
    reference = Reference(
        "s.txt", "the file of the secret s", "a.yml line 4", "secret", owner=("secrets", "s")
    )
    shipped = Shipped({}, (), expected=(Expected(reference, "why", "do this", tracked=True),))
    web = Service("web", Image("x"))
    check_tracked(shipped, {"web": web})
    with pytest.raises(
        UsageError, match=r"^a.yml line 4: s.txt, the file of the secret s, is a secret that git has"
    ):
        check_tracked(shipped, {"web": replace(web, shared={"secrets": {"s": {}}})})


def test_a_service_that_no_file_has_a_word_of_is_refused_before_a_host_is_asked() -> None:
    environment = load(ROOT, "lab")
    local = read_stack(environment, environment.nodes["core"])
    local.check_service("db")
    with pytest.raises(UsageError, match="there is no service 'bakend'") as caught:
        local.check_service("bakend")
    assert caught.value.hint == "did you mean backend?"


def test_the_name_that_compose_would_choose_may_stand_in_the_env_file(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text("services: {web: {image: x}}\n")
    environment = load(ROOT, "lab")
    stack = Stack(compose="compose.yml", env_file="shop.env")
    node = environment.nodes["core"].model_copy(update={"stack": stack, "project": None})
    here = environment.model_copy(update={"root": tmp_path})
    for content, name in (("A=1\n", node.directory.name), ("COMPOSE_PROJECT_NAME=shop\n", "shop")):
        (tmp_path / "shop.env").write_text(content)
        found = read_stack(here, node)
        assert (found.project, found.named) == (name, False)


@pytest.mark.parametrize(
    ("last", "project", "named"),
    [
        ("name: app-${STAGE:-prod}\n", "app-prod", False),
        ("name: app-$NOWHERE\n", "ktrdr-core", False),
        ("name: app-2\n", "app-2", True),
        ("services: {}\n", "app", True),
    ],
)
def test_the_last_file_with_a_name_decides_also_where_it_has_a_variable(
    last: str, project: str, named: bool, tmp_path: Path
) -> None:
    (tmp_path / "a.yml").write_text("name: app\nservices: {web: {image: x}}\n")
    (tmp_path / "b.yml").write_text(last)
    environment = load(ROOT, "lab")
    stack = Stack(compose=("a.yml", "b.yml"), env_file=())
    node = environment.nodes["core"].model_copy(update={"stack": stack, "project": None})
    here = environment.model_copy(update={"root": tmp_path})
    found = read_stack(here, node)
    assert (found.project, found.named, project_of(here, node)) == (project, named, project)


def test_a_name_in_an_env_file_counts_where_compose_would_take_it(tmp_path: Path) -> None:
    sample.project(tmp_path)
    (tmp_path / "shop.env").write_text("GREETING=x\nMODE=open\nCOMPOSE_PROJECT_NAME=old\n")
    local = read_stack(environment := load(tmp_path, "house"), environment.nodes["front"])
    assert (local.project, local.otherwise) == ("shop", "old")
    (tmp_path / "shop.env").write_text("GREETING=x\nMODE=open\nCOMPOSE_PROJECT_NAME=shop\n")
    assert read_stack(environment, environment.nodes["front"]).otherwise == ""
