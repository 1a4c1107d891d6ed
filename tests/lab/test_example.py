"""examples/two-stacks with nothing but the wheel and its dependencies: its own lab, deployed, changed, broken, taken back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import docker as build
from lab import hosts
from lab.layout import Lab, load

from .beside import in_turn
from .conftest import CHECKOUT as ROOT
from .conftest import Outcome, uv

EXAMPLE = ROOT / "examples" / "two-stacks"
OWN = "uptime-watch"


def call(*arguments: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(arguments, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    call(uv(), "build", "--quiet", "--out-dir", folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that has the wheel and what it depends on, in the lock file's versions."""
    folder = tmp_path_factory.mktemp("environment")
    locked = folder / "locked.txt"
    export = ("export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-hashes")
    call(uv(), *export, "--output-file", locked)
    call(uv(), "venv", "--quiet", "--python", sys.executable, folder / "venv")
    install = ("pip", "install", "--quiet", "--python", folder / "venv", "--constraint", locked)
    call(uv(), *install, wheel)
    return folder / "venv" / "bin"


@dataclass(frozen=True)
class Project:
    """A copy of the example, in a git repository of its own."""

    root: Path
    programs: Path

    def run(self, *arguments: str) -> Outcome:
        kept = {k: v for k, v in os.environ.items() if k not in ("DEPLOY_ENV", "PYTHONPATH", "VIRTUAL_ENV")}
        done = subprocess.run(
            [self.programs / arguments[0], *arguments[1:]],
            cwd=self.root,
            env={**kept, "PATH": f"{self.programs}:{kept['PATH']}"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Outcome(done.returncode, done.stdout, done.stderr)

    def do(self, *arguments: str) -> Outcome:
        """What has to succeed."""
        outcome = self.run(*arguments)
        assert outcome.code == 0, outcome.err
        return outcome

    def commit(self, page: str, watch: str = "") -> str:
        """Another page, and other words at the start of the watcher's program; its image is built. Returns its tag."""
        site = self.root / "site" / "html" / "index.html"
        site.write_text(f"<!doctype html>\n<p>{page}\n")
        program = self.root / "watch" / "watch.sh"
        first, _, rest = (EXAMPLE / "watch" / "watch.sh").read_text().partition("\n")
        program.write_text(f"{first}\n{watch}\n{rest}")
        call("git", "add", "--all", cwd=self.root)
        author = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
        call("git", *author, "commit", "--quiet", "--message", page, cwd=self.root)
        self.do("invoke", "lab.build")
        return f"sha-{call('git', 'rev-parse', 'HEAD', cwd=self.root)[:7]}"

    @property
    def lab(self) -> Lab:
        return load(self.root)

    def page(self) -> str:
        with urllib.request.urlopen(self.lab.url("site", 8080), timeout=10) as answer:
            return str(answer.read().decode())

    def watcher(self) -> str:
        """The tag that the watcher runs."""
        chosen = "docker ps --filter label=com.docker.compose.service=watch --format '{{.Image}}'"
        (image,) = hosts.execute(self.lab, "watch", "sh", "-c", chosen).splitlines()
        return image.partition("@")[0].rpartition(":")[2]

    def sql(self, statement: str) -> str:
        command = ("docker", "exec", "-i", "site-db-1", "psql", "-U", "watch", "-d", "uptime", "-At")
        return hosts.execute(self.lab, "site", *command, stdin=statement.encode()).strip()


@pytest.fixture(scope="module")
def project(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("example") / "two-stacks"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".lab", "__pycache__"))
    call("git", "init", "--quiet", cwd=root)
    project = Project(root, programs)
    try:
        with in_turn(ROOT):
            project.do("invoke", "lab.up")
        yield project
    finally:
        prefix = project.lab.prefix
        project.do("invoke", "lab.down")
        left = [build.run(*words) for words in (("ps", "-a"), ("volume", "ls"), ("network", "ls"))]
        built = build.run("images", "--format", "{{.Repository}}:{{.Tag}}", f"example/{OWN}").split()
        if built:
            build.run("rmi", *built)
        assert not any(prefix in text for text in left)


def test_the_wheel_has_nothing_of_this_repository_s_own_application(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "deploy_lab/recipes/host/Dockerfile" in names
    assert {name.partition("/")[0] for name in names if name.endswith(".py")} == {"deploy_lib", "deploy_lab"}
    lab = [name for name in names if name.startswith("deploy_lab/")]
    assert not [
        name for name in lab if re.search("backend|demo|timescaledb|prometheus|grafana|jaeger|mariadb", name)
    ]


def test_the_environment_has_the_library_and_the_lab_from_the_wheel(programs: Path, tmp_path: Path) -> None:
    script = "import deploy_lib, deploy_lab; print(deploy_lib.__file__, deploy_lab.__file__)"
    found = call(programs / "python", "-c", script, cwd=tmp_path).split()
    assert all(Path(path).is_relative_to(programs.parent) for path in found)
    with pytest.raises(AssertionError, match="ModuleNotFoundError"):
        call(programs / "python", "-c", "import lab", cwd=tmp_path)


@pytest.mark.takes(110)
def test_a_project_of_two_stacks_is_deployed_changed_broken_and_taken_back(project: Project) -> None:
    first = project.commit("The first page.")
    assert set(project.do("invoke", "deploy-all", "--json").document["nodes"]) == {"site", "watch"}
    assert ("The first page." in project.page(), project.watcher()) == (True, first)
    began = project.sql("SELECT min(at) FROM answers WHERE status = '200'")
    assert began

    outcome = project.do("invoke", "deploy-all", "--json")
    assert {node["outcome"] for node in outcome.document["nodes"].values()} == {"unchanged"}

    second = project.commit("The second page.", "echo another version")
    project.do("invoke", "deploy-all")
    assert ("The second page." in project.page(), project.watcher()) == (True, second)

    # The site's part is fine by itself; it goes back because the watcher's is not.
    project.commit("A page that nobody is to see.", "echo broken; exit 7")
    broken = project.run("invoke", "deploy-all")
    assert broken.code == 10, broken.err
    assert ("The second page." in project.page(), project.watcher()) == (True, second)

    project.do("invoke", "rollback")
    assert ("The first page." in project.page(), project.watcher()) == (True, first)
    assert project.sql("SELECT min(at) FROM answers WHERE status = '200'") == began
    project.do("invoke", "status")
    project.do("fab", "-H", "site.example.internal", "status")
