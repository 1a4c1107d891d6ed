"""The names in deploy.toml, read without judging the rest of it."""

import os
from pathlib import Path

import pytest

from deploy_lib.cli.outline import outline
from tests.unit import sample


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEPLOY_ENV", raising=False)


def test_it_has_the_stacks_their_kinds_and_the_nodes_of_the_default_environment(tmp_path: Path) -> None:
    found = outline(sample.project(tmp_path), [])
    assert found.stacks == {"shop": (), "jobs": ("mailer",)}
    assert found.nodes == {"front": "shop", "night": "jobs", "east": "jobs"}
    assert (found.kinds, found.nodes_of("jobs"), found.problem) == (("mailer",), ["night", "east"], "")


def test_another_environments_nodes_are_those_that_deploy_env_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = '\n[environments.spare.nodes.box]\nhost = "z.example"\nstack = "shop"\ndirectory = "/srv"\n'
    root = sample.project(tmp_path, more=more)
    monkeypatch.setenv("DEPLOY_ENV", "spare")
    assert outline(root, []).nodes == {"box": "shop"}
    monkeypatch.setenv("DEPLOY_ENV", "nowhere")
    assert outline(root, []).nodes == {}


def test_what_is_typed_counts_where_the_file_does_not_tell(tmp_path: Path) -> None:
    typed = ["ops.deploy-web", "--replicas-mailer=2", "--replicas-Bad", "deploy-", "--tag", "deploy-$x"]
    found = outline(tmp_path, typed)
    assert found.stacks == {"web": ("mailer",)}
    assert outline(
        tmp_path, ["deploy-web", "a.b.deploy-jobs", "xdeploy-x", "--tag=a.deploy-x"]
    ).stacks.keys() == {"web", "jobs"}
    assert found.problem == f"there is no deploy.toml in {tmp_path}"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[stacks", "deploy.toml: "),
        (b"\xff\xfe", "deploy.toml: "),
        (b"a = " + b"[" * 5000, "deploy.toml: "),
        (b"x = 1\n", "deploy.toml names no stack"),
        (b"stacks = 7\n", "deploy.toml names no stack"),
        (b"[stacks.'a b']\n", "deploy.toml names no stack"),
        (b"#" * (1024 * 1024 + 1), "too large"),
    ],
)
def test_a_file_that_does_not_tell_is_a_problem_and_no_traceback(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    (tmp_path / "deploy.toml").write_bytes(content)
    found = outline(tmp_path, ["status"])
    assert problem in found.problem
    assert found.stacks == {}


@pytest.mark.timeout(20)
def test_a_file_that_would_never_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "deploy.toml")
    assert "not a regular file" in outline(tmp_path, []).problem


def test_tables_of_the_wrong_type_have_no_names(tmp_path: Path) -> None:
    text = '[stacks.shop]\nreplicas = "many"\n[environments]\nhouse = 3\n'
    (tmp_path / "deploy.toml").write_text(text)
    found = outline(tmp_path, [])
    assert (found.stacks, found.nodes) == ({"shop": ()}, {})
