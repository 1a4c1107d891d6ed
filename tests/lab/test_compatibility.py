"""A host that an earlier version of this program deployed is taken as it is: nothing to change, and a way back."""

import io
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from lab.layout import Lab

from .conftest import FIRST, ROOT, SECOND, Host, Outcome, Run, command, copy_checkout, uv
from .faults import Bench

pytestmark = pytest.mark.full

BEFORE = "19d35ae5f013e1613832d7db6f73f91eba063a27"
"""The last commit before the modules moved to the rooms that they are in now."""

EXITS = "sha-000000a"

PACKAGES = ".packages"


def invoke_before(before: Path, *words: str) -> Outcome:
    """A command of that version."""
    return command("invoke", *words, root=before, PYTHONPATH=f"{before}:{before / PACKAGES}")


@pytest.fixture
def before(lab: Lab, tmp_path: Path) -> Path:
    """That commit's files, with this lab."""
    # A lab's copy of the checkout is a directory that git does not track: git archives from the top only.
    top = subprocess.check_output(["git", "rev-parse", "--show-toplevel"], cwd=ROOT, text=True).strip()
    known = ["git", "cat-file", "-e", f"{BEFORE}^{{commit}}"]
    if subprocess.run(known, cwd=top, capture_output=True).returncode:
        # A clone without the history gets this one commit.
        subprocess.run(["git", "fetch", "--quiet", "--depth=1", "origin", BEFORE], cwd=top, check=True)
    archive = subprocess.run(["git", "archive", BEFORE], cwd=top, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(tmp_path, filter="data")
    (tmp_path / ".lab").symlink_to(lab.directory)
    # What it needs and this one does not.
    pinned = re.search(r'name = "gitpython"\nversion = "([^"]+)"', (tmp_path / "uv.lock").read_text())
    assert pinned is not None
    target = ("--quiet", "--python", sys.executable, "--target", tmp_path / PACKAGES)
    subprocess.run([uv(), "pip", "install", *target, f"gitpython=={pinned[1]}"], check=True)
    return tmp_path


@pytest.fixture
def same_files(lab: Lab, before: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Today's program and deploy.toml, with the files and probes of then: it is the program that is compared."""
    made = copy_checkout(lab, tmp_path_factory.mktemp("same"))
    for name in ("compose", "monitoring"):
        shutil.rmtree(made / name)
        shutil.copytree(before / name, made / name)
    # Another probe is another configuration: what is not to be from before the switch was not asked for then.
    toml = made / "deploy.toml"
    text = re.sub(r"%20and%20[^\"]*\{started:[^\"]*\}", "", toml.read_text())
    # There was no gateway then.
    toml.write_text(text.replace('[[stacks.core.rolling]]\nservice = "backend"\n', ""))
    assert "{started:" not in re.sub("(?m)^#.*", "", toml.read_text())
    return made


def test_what_an_earlier_version_deployed_is_recognised(
    before: Path, same_files: Path, deploy: Run, core: Host, bench: Bench, broken: None
) -> None:
    for tag in (FIRST, SECOND):
        done = invoke_before(before, "deploy-core", "--json", "--tag", tag)
        assert done.code == 0, done.err
        assert not (before / "deploy_lib/host").exists()
    containers = core.containers()
    again = deploy("--tag", SECOND, root=same_files)
    assert (again.code, again.core["outcome"]) == (0, "unchanged"), again.err
    assert core.containers() == containers
    assert command("invoke", "status", "--json", "--node", "core").code == 0
    events = command("invoke", "history", "--json", "--node", "core").core["events"]
    assert [e["release"]["tag"] for e in events if e["kind"] == "proven"][-2:] == [FIRST, SECOND]
    back = command("invoke", "rollback", "--json", "--node", "core")
    assert (back.code, back.core["to"]) == (0, FIRST), back.err
    assert core.containers()["db"] == containers["db"]
    # The other way round: who has not updated yet reads what this one has written.
    old = invoke_before(before, "history", "--json", "--node", "core")
    assert old.core["events"][-1]["release"]["tag"] == FIRST, old.err

    # Its backend publishes the port that a gateway has now, and lets it go only when it is replaced: that once it is replaced at
    # once, in either direction.
    failed = deploy("--tag", EXITS)
    assert failed.code == 10, failed.err
    assert (core.containers().keys() & {"gateway"}, bench.version()) == (set(), FIRST)
    done = deploy("--tag", SECOND)
    assert done.code == 0, done.err
    assert "gateway, the gateway of backend, does not run: backend is replaced at once" in done.err
    assert (core.containers().keys() & {"gateway"}, bench.version()) == ({"gateway"}, SECOND)
    back = command("invoke", "rollback", "--json", "--node", "core")
    assert (back.code, back.core["to"]) == (0, FIRST), back.err
    assert "there cannot be two containers of backend: it is replaced at once" in back.err
    assert (core.containers().keys() & {"gateway"}, bench.version()) == (set(), FIRST)
    assert core.containers()["db"] == containers["db"]
