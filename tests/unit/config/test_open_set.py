"""Programs and secret sources that are no part of the library, and names that stand for none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy_lib.config import Environment, load
from deploy_lib.config.parts import PROGRAMS
from deploy_lib.config.specs import SOURCES
from deploy_lib.errors import UsageError
from tests import ROOT

TOML = """
[secrets.PW]
field = "pw"
[secrets.OWNER]
field = "owner"

[stacks.web]
compose = "compose.yml"
env_file = ".env"

[[stacks.web.apply]]
kind = "ops/cache.py"
secret = "PW"
service = "cache"
database = 3
owner = "OWNER"

[environments.home]
image_registry = "registry.example/me"
default_tag = "HEAD"
registry = { username = "me", password = "PW" }
secrets = { source = "ops/drawer.py", drawer = "drawer" }
nodes.one = { host = "one.example", stack = "web", directory = "/opt/web" }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a deploy.toml and files of its own."""
    shutil.copytree(ROOT / "tests/outside", tmp_path / "ops")
    (tmp_path / "deploy.toml").write_text(TOML)
    return tmp_path


def read(project: Path, old: str = "", new: str = "") -> Environment:
    assert old in TOML
    (project / "deploy.toml").write_text(TOML.replace(old, new, 1))
    return load(project, "home")


def refusal(project: Path, old: str, new: str) -> str:
    with pytest.raises(UsageError) as caught:
        read(project, old, new)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_projects_own_files_bring_their_own_keys(project: Path) -> None:
    environment = read(project)
    (step,) = environment.nodes["one"].stack.apply
    assert (type(step).__name__, step.model_dump()["database"], step.uses()) == ("Cache", 3, ("OWNER",))
    assert environment.secret_source.model_dump() == {"source": "ops/drawer.py", "drawer": "drawer"}
    again = read(project)
    assert type(again.secret_source) is type(environment.secret_source)


def test_a_module_of_an_installed_package_is_named_with_its_dots(project: Path) -> None:
    environment = read(project, '"ops/drawer.py"', '"tests.outside.drawer"')
    assert type(environment.secret_source).__module__ == "tests.outside.drawer"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("database = 3\n", "", "stacks.web.apply.0.database: this key is missing"),
        ("database = 3", 'database = "3"', "stacks.web.apply.0.database: "),
        ("database = 3", "database = 3\ndatabse = 3", "stacks.web.apply.0.databse: unknown key"),
        ('owner = "OWNER"', 'owner = "OWNR"', "stacks.web.apply names no secret: 'OWNR'"),
        (
            'drawer = "drawer"',
            'drawer = "/etc"',
            "environments.home.secrets.drawer: this must be a path inside",
        ),
        ('kind = "ops/cache.py"\n', "", "stacks.web.apply.0.kind: this key is missing"),
        ('kind = "ops/cache.py"', "kind = 7", "stacks.web.apply.0.kind: "),
    ],
)
def test_a_mistake_in_their_keys_is_named_with_its_path(
    project: Path, old: str, new: str, expected: str
) -> None:
    assert refusal(project, old, new).startswith(f"deploy.toml: {expected}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "postgres-rol",
            "there is no program 'postgres-rol', did you mean 'postgres-role'? there are grafana-admin,",
        ),
        ("postgres", "did you mean 'postgres-role'?"),
        (
            "quux",
            "there is no program 'quux'; there are grafana-admin, immutable, mariadb-user, postgres-role, and",
        ),
        ("../x.py", "this must be a path inside the folder of deploy.toml"),
        ("ops/none.py", "there is no file ops/none.py beside deploy.toml"),
        ("ops/broken.py", "ops/broken.py cannot be imported: ZeroDivisionError: "),
        ("ops/drawer.py", "ops/drawer.py has no program: it needs one class made from Apply"),
        ("ops/two.py", "ops/two.py has 2 programs"),
        ("ops/half.py", "ops/half.py: Half lacks change, takes"),
        ("tests.nowhere", "tests.nowhere cannot be imported: ModuleNotFoundError: "),
    ],
)
def test_a_name_that_stands_for_none_says_why(project: Path, name: str, expected: str) -> None:
    (project / "ops/broken.py").write_text("1 / 0\n")
    text = (project / "ops/cache.py").read_text()
    (project / "ops/two.py").write_text(f"{text}\n\nclass Second(Cache):\n    pass\n")
    (project / "ops/half.py").write_text(
        "from deploy_lib.host.programs import Program\n\n\n"
        "class Half(Program):\n    def keeps(self) -> str:\n        return ''\n"
    )
    said = refusal(project, "ops/cache.py", name)
    assert said.startswith("deploy.toml: stacks.web.apply.0.kind: ")
    assert expected in said
    assert said.endswith(f"(it is '{name}')")


def test_the_short_names_are_those_of_the_files() -> None:
    assert PROGRAMS.known() == ["grafana-admin", "immutable", "mariadb-user", "postgres-role"]
    assert SOURCES.known() == ["1password", "environment", "file"]
    assert all(SOURCES.find(name, Path()).__module__.startswith(SOURCES.package) for name in SOURCES.known())


def test_only_what_deploy_toml_names_is_imported(project: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from deploy_lib.config import load; load(Path(), 'home'); "
        "print(*(name for name in sys.modules if name.startswith('deploy_lib.') and "
        "('.programs.' in name or '.sources.' in name)))"
    )
    text = TOML.replace('"ops/drawer.py", drawer = "drawer"', '"file", path = "x"')
    (project / "deploy.toml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["deploy_lib.secrets.sources.file"]
