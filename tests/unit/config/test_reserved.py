"""Which names a secret can have."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import deploy_lib
from deploy_lib.config.reserved import SCRIPTS, free

ASSIGNED = re.compile(r"""(?:^|[\s;({&|`"])([a-z_]\w*)=(?![=~])""")
LOOPED = re.compile(r"\bfor ([a-z_]\w*)(?:;| in )")
READ = re.compile(r"\bread -r ((?:[a-z_]+ ?)+)")


def texts(tree: ast.AST) -> Iterator[str]:
    """The texts of a module that may be a script's; "0" is where something is put in."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "0" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def test_no_variable_of_a_script_is_a_secret_s_name() -> None:
    found = set[str]()
    for path in Path(deploy_lib.__file__).parent.rglob("*.py"):
        for text in texts(ast.parse(path.read_text())):
            found |= {*ASSIGNED.findall(text), *LOOPED.findall(text)}
            found |= {name for names in READ.findall(text) for name in names.split()}
    free_all_the_same = []
    for name in sorted(found):
        try:
            free(name)
        except ValueError:
            continue
        free_all_the_same.append(name)
    assert free_all_the_same == []


@pytest.mark.parametrize(
    "name", ["limit", "PATH", "LD_PRELOAD", "COMPOSE_FILE", "DOCKER_HOST", "old_KEY", "_"]
)
def test_a_name_that_scripts_use_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="scripts on hosts use"):
        free(name)


@pytest.mark.parametrize(
    "name",
    [
        "DB_PASSWORD",
        "db_password",
        "DOCKER_HUB_TOKEN",
        "LD_SDK_KEY",
        "USER",
        "oldest",
        "PATHS",
        "LANGUAGE",
        "LIMIT",
    ],
)
def test_others_are_free(name: str) -> None:
    assert name not in SCRIPTS
    assert free(name) == name
