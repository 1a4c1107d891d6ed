"""`invoke validate-env` and scripts/validate-env.sh: one list, two programs."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.exceptions import Exit

from deploy_lib.cli import validate_env
from deploy_lib.cli.flags import Given
from deploy_lib.cli.invocation import Invocation
from deploy_lib.config import load
from tests import ROOT

SCRIPT = ROOT / "scripts" / "validate-env.sh"

REQUIRED = {
    "core": ["DB_NAME", "DB_USER", "DB_PASSWORD", "JWT_SECRET", "GF_ADMIN_PASSWORD"],
    "workers": ["KTRDR_API_URL", "WORKER_HOSTNAME", "DB_USER", "DB_PASSWORD"],
}


def script(*arguments: str, env: dict[str, str], path: Path = SCRIPT) -> tuple[int, str]:
    bash = shutil.which("bash")
    assert bash
    # No PATH: it must need nothing but bash.
    done = subprocess.run(
        [bash, path.name, *arguments],
        cwd=path.parent,
        env={"PATH": "/nowhere", **env},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def task(
    stack: str,
    env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    root: Path = ROOT,
) -> tuple[int, str]:
    with monkeypatch.context() as patch:
        for name in itertools.chain(*REQUIRED.values()):
            patch.delenv(name, raising=False)
        for name, value in env.items():
            patch.setenv(name, value)
        try:
            validate_env.run(Invocation("validate-env", root, Given({"stack": stack})))
            code = 0
        except Exit as exit_:
            code = exit_.code
    return code, capsys.readouterr().out


@pytest.mark.parametrize("stack", ["core", "workers"])
def test_all_missing_and_empty_ones_are_named_and_both_programs_agree(
    stack: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = REQUIRED[stack]
    for chosen in itertools.product(("set", "empty", "unset"), repeat=len(names)):
        if sum(state != "set" for state in chosen) not in (0, 1, len(names)):
            continue
        states = dict(zip(names, chosen, strict=True))
        env = {name: "a b'" if state == "set" else "" for name, state in states.items() if state != "unset"}
        missing = [name for name, state in states.items() if state != "set"]
        expected = (
            (1, f"❌ Missing required variables: {' '.join(missing)}\n")
            if missing
            else (0, "✅ All required variables set\n")
        )
        assert task(stack, env, monkeypatch, capsys) == expected
        if len(missing) != len(names) or len(set(chosen)) == 1:
            assert script(stack, env=env) == expected


@pytest.mark.parametrize("arguments", [[], ["cores"], [""]])
def test_anything_else_gets_the_usage_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script(*arguments, env={}) == (1, "Usage: validate-env.sh {core|workers}\n")
    code, said = task(arguments[0] if arguments else "", {}, monkeypatch, capsys)
    assert (code, said) == (1, "Usage: invoke validate-env {core|workers}\n")


def test_the_list_is_the_compose_files_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "compose", tmp_path / "compose")
    shutil.copy(ROOT / "deploy.toml", tmp_path)
    (tmp_path / "scripts").mkdir()
    own = shutil.copy(SCRIPT, tmp_path / "scripts")
    path = tmp_path / "compose" / "docker-compose.core.yml"
    text = (
        path.read_text()
        .replace("${LOG_LEVEL}", "${LOG_LEVEL:?} # ${NOT_READ:?}")
        .replace("JWT_SECRET }", "OTHER }")
    )
    path.write_text(text + "# ${NOR_THIS:?}\n")
    expected = (
        1,
        "❌ Missing required variables: DB_NAME LOG_LEVEL DB_USER DB_PASSWORD OTHER GF_ADMIN_PASSWORD\n",
    )
    assert script("core", env={}, path=Path(own)) == expected
    assert task("core", {}, monkeypatch, capsys, tmp_path) == expected


def test_the_files_that_the_script_reads_are_those_of_deploy_toml() -> None:
    stacks = {node.stack_name: node.stack.compose[0] for node in load(ROOT, "lab").nodes.values()}
    assert stacks == {name: f"compose/docker-compose.{name}.yml" for name in REQUIRED}


def test_invoke_takes_the_stack_as_its_argument() -> None:
    env = {k: v for k, v in os.environ.items() if k not in REQUIRED["core"]}
    invoke = [sys.executable, "-m", "invoke", "validate-env"]
    done = subprocess.run([*invoke, "core"], cwd=ROOT, env=env, capture_output=True, text=True)
    assert (done.returncode, "Missing required variables: DB_NAME" in done.stdout) == (1, True)
    other = subprocess.run([*invoke, "cores"], cwd=ROOT, env=env, capture_output=True, text=True)
    assert (other.returncode, other.stdout) == (1, "Usage: invoke validate-env {core|workers}\n")
    bare = subprocess.run(invoke, cwd=ROOT, env=env, capture_output=True, text=True)
    assert (bare.returncode, "stack" in bare.stderr) == (1, True)
