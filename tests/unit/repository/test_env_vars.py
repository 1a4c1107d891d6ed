"""docs/ENV_VARS.md is held against the Compose files, the env files, deploy.toml and the programs, in both directions."""

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
import yaml

from deploy_lib.compose.variables import variables
from deploy_lib.config import parse
from lab.dev import variables as dev
from tests import ROOT

PAGE = (ROOT / "docs/ENV_VARS.md").read_text()
DEPLOY = parse((ROOT / "deploy.toml").read_text())
STACKS = {"core": "Core stack", "workers": "Worker stack", "dev": "Development environment"}
NAME = re.compile(r"`([^`]+)`")


def table(section: str) -> dict[str, dict[str, str]]:
    """A section's first table: by the name in its first column, its cells by their titles."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    found = {row[0].strip("`"): dict(zip(rows[0], row, strict=True)) for row in rows[2:]}
    assert len(found) == len(rows) - 2, "a variable stands there twice"
    return found


def compose(stack: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((ROOT / f"compose/docker-compose.{stack}.yml").read_text())
    return data


def services(patterns: str, stack: str) -> set[str]:
    """The services that a cell means."""
    known = compose(stack)["services"]
    found: set[str] = set()
    for pattern in NAME.findall(patterns):
        meant = {name for name in known if fnmatchcase(name, pattern)}
        assert meant, f"no service is like {pattern}"
        found |= meant
    return found


def env_file(stack: str) -> dict[str, str]:
    name = {"dev": ".env.dev.example"}.get(stack, f".env.{stack}")
    return {line.name: line.value for line in dev.parse((ROOT / "compose" / name).read_text()) if line.name}


def readers(stack: str) -> dict[str, set[str]]:
    """Which services read a variable, in their part of the file or as a secret."""
    data = compose(stack)
    sources = {name: spec["environment"] for name, spec in data["secrets"].items()}
    found: dict[str, set[str]] = {}
    for name, spec in data["services"].items():
        read = variables(yaml.safe_dump({"services": {name: spec}}).encode(), stack).read
        for variable in (*read, *(sources[secret] for secret in spec.get("secrets", []))):
            found.setdefault(variable, set()).add(name)
    return found


def default(stack: str, name: str) -> str:
    """What the env file gives, or else the Compose file."""
    given = env_file(stack).get(name)
    if given is None:
        path = ROOT / f"compose/docker-compose.{stack}.yml"
        defaults = set(re.findall(rf"\$\{{{name}:-([^}}]+)\}}", path.read_text()))
        assert len(defaults) <= 1, f"{name} has several defaults"
        given = next(iter(defaults), "")
    return given


each_stack = pytest.mark.parametrize("stack", STACKS)


@each_stack
def test_every_variable_of_a_stack_stands_there_and_no_other(stack: str) -> None:
    assert set(table(STACKS[stack])) == set(readers(stack)) | set(env_file(stack))


@each_stack
def test_who_reads_it_is_who_does(stack: str) -> None:
    page = {name: services(row["read by"], stack) for name, row in table(STACKS[stack]).items()}
    assert page == readers(stack)


@each_stack
def test_its_default_is_the_files(stack: str) -> None:
    page = {name: row["default"].strip("`") for name, row in table(STACKS[stack]).items()}
    assert page == {name: default(stack, name) for name in page}


@each_stack
def test_its_rule_is_what_the_files_insist_on(stack: str) -> None:
    needed = set(variables((ROOT / f"compose/docker-compose.{stack}.yml").read_bytes(), stack).needed)
    for name, row in table(STACKS[stack]).items():
        rules = {rule.strip() for rule in row["rule"].split(",") if rule.strip()}
        expected = {"required"} if name in needed else set()
        if stack != "dev" and name in DEPLOY.secrets:
            least = DEPLOY.secrets[name].min_length
            expected.add("not empty" if least == 1 else f"at least {least} characters")
        assert rules == expected, name


@pytest.mark.parametrize("stack", ["core", "workers"])
def test_its_kind_is_where_its_value_comes_from(stack: str) -> None:
    of_nodes = {
        name for env in DEPLOY.environments.values() for node in env.nodes.values() for name in node.variables
    }
    kinds = DEPLOY.stacks[stack].replicas
    replicas = {service.upper().replace("-", "_") for names in kinds.values() for service in names}
    generated = {DEPLOY.versions.tag_variable, DEPLOY.versions.registry_variable} | replicas
    for name, row in table(STACKS[stack]).items():
        if name in DEPLOY.secrets:
            expected = f"secret `{DEPLOY.secrets[name].field}`"
        elif name in env_file(stack):
            expected = "configuration"
        else:
            expected = "node" if name in of_nodes else "generated" if name in generated else "?"
        assert row["kind"] == expected, name


def test_what_development_makes_is_what_its_example_leaves_empty() -> None:
    lines = {
        line.name: line for line in dev.parse((ROOT / "compose/.env.dev.example").read_text()) if line.name
    }
    for name, row in table(STACKS["dev"]).items():
        if name not in lines:
            assert row["kind"] == "of the shell", name
        else:
            assert row["kind"] == ("made here" if lines[name].secret else "configuration"), name
    secret = {source["environment"] for source in compose("dev")["secrets"].values()}
    assert {name for name, line in lines.items() if line.secret} == secret - {"DB_USER"}


def test_every_secret_of_deploy_toml_is_on_the_page() -> None:
    for name, spec in DEPLOY.secrets.items():
        assert f"`{name}`" in PAGE, name
        assert f"`{spec.field}`" in PAGE, spec.field


def test_what_is_set_in_containers_stands_there_service_by_service() -> None:
    page = table("In the containers")
    names = set()
    for stack in STACKS:
        found: dict[str, set[str]] = {}
        for service, spec in compose(stack)["services"].items():
            for name in spec.get("environment", {}):
                found.setdefault(name, set()).add(service)
        assert {n: services(row[stack], stack) for n, row in page.items() if row[stack]} == found, stack
        names |= found.keys()
    assert set(page) == names


def test_what_the_application_reads_is_set_for_it_or_has_a_word() -> None:
    source = (ROOT / "docker/backend/src/ktrdr_backend/settings.py").read_text()
    read = set(re.findall(r'"([A-Z][A-Z0-9]*_[A-Z0-9_]+)"', source))
    assert len(read) > 10
    known = set(table("In the containers"))
    assert {name for name in read if name not in known and f"{name}_FILE" not in known} == {"KTRDR_VERSION"}
    assert "`KTRDR_VERSION`" in PAGE


READ = re.compile(
    r"""environ(?:\.get\(|\.setdefault\(|\[)\s*"([A-Z][A-Z0-9_]+)"|^(?:TOKEN|ACCOUNT) = "([A-Z_]+)\"""",
    re.MULTILINE,
)
INTERNAL = {
    "RUN_BEGAN",  # of `invoke test` and its own pytest
    "INVOKE_DEBUG",  # Invoke's own
    *("HOME", "SHELL", "BUILDX_CONFIG"),  # the system's and Docker's own
}


def sources(folders: Iterable[str]) -> Iterator[str]:
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if "recipes" not in path.parts:
                yield path.read_text()
    yield (ROOT / "tasks.py").read_text()


def test_what_the_commands_read_on_the_operator_s_machine_stands_there() -> None:
    text = "\n".join(sources(("deploy_lib", "lab", "fabfile")))
    read = {name or constant for name, constant in READ.findall(text)}
    page = set(table("On the operator's machine"))
    assert read - INTERNAL <= page
    assert not [name for name in page if name not in text]
    assert table("On the operator's machine")["DEPLOY_ENV"]["default"] == f"`{DEPLOY.default_environment}`"


def test_a_name_in_the_text_is_one_of_a_table() -> None:
    known = {
        name
        for section in (*STACKS.values(), "In the containers", "On the operator's machine")
        for name in table(section)
    }
    prose = "\n".join(line for line in PAGE.splitlines() if not line.startswith(("|", "    ")))
    for name in re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`", prose):
        assert name in known or name in ("NAME_FILE", "KTRDR_VERSION") or name in DEPLOY.secrets, name
