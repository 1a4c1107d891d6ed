"""docs/user-guides/deployment-homelab.md: its commands are ones that the programs know, its symptoms are words that they say."""

import re
import shlex
import sys
from collections.abc import Iterator

import pytest
from invoke.collection import Collection
from invoke.parser import Parser, ParserContext

from deploy_lib import host_collection
from deploy_lib.config import parse
from deploy_lib.config.file import File
from tests import ROOT

GUIDE = (ROOT / "docs/user-guides/deployment-homelab.md").read_text()
DEPLOY = (ROOT / "deploy.toml").read_text()

PROGRAMS = {"ssh", "ssh-keygen", "ssh-copy-id", "git", "curl", "read", "export", "scp", "mkdir"}
"""What it calls besides `invoke` and `fab`: a further one has to be tried before it is added here."""


def blocks(language: str) -> list[str]:
    """Its fenced blocks of one language, with the indentation that a list gives them taken off."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", GUIDE, re.MULTILINE | re.DOTALL)
    return ["\n".join(line.removeprefix(space) for line in text.splitlines()) for space, text in found]


def commands() -> Iterator[list[str]]:
    """Every command of its `sh` blocks, in words."""
    for block in blocks("sh"):
        for line in block.splitlines():
            for part in re.split(r" && (?=(?:[^']*'[^']*')*[^']*$)", line):
                words = shlex.split(part)
                while words and (re.fullmatch(r"[A-Z_]+=\S*", words[0]) or words[0] == "scripts/run"):
                    words.pop(0)
                if words:
                    yield words


def file() -> File:
    """deploy.toml with what the guide adds to it."""
    return parse("\n".join([DEPLOY, *blocks("toml")]))


@pytest.fixture(scope="module")
def ours() -> Iterator[Collection]:
    """`invoke`'s own collection."""
    sys.path.insert(0, str(ROOT))
    sys.modules.pop("tasks", None)
    try:
        import tasks

        yield tasks.ns
    finally:
        sys.path.remove(str(ROOT))
        sys.modules.pop("tasks", None)


def flags(known: Collection, words: list[str]) -> ParserContext:
    """The one task that they call.

    Raises:
        invoke.exceptions.ParseError: there is no such task or flag, or a value is missing.
    """
    (context,) = Parser(contexts=known.to_contexts()).parse_argv(words)
    return context


COMMANDS = list(commands())


def test_it_has_commands_and_what_it_adds_to_deploy_toml_is_right() -> None:
    assert len([words for words in COMMANDS if words[0] == "invoke"]) > 25
    assert set(file().environments["homelab"].nodes) == {"core", "B", "C", "D"}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_is_one_that_there_is(words: list[str], ours: Collection) -> None:
    homelab = file().environments["homelab"]
    if words[0] == "fab":
        hosts = {node.host for node in homelab.nodes.values()}
        assert words[1] == "-H"
        assert set(words[2].split(",")) <= hosts
        flags(host_collection(ROOT), words[3:])
        return
    if words[0] != "invoke":
        assert words[0] in PROGRAMS, f"{words[0]}: try it, then add it to PROGRAMS"
        named = {word for word in words if word.endswith(".internal")}
        assert {name.rpartition("@")[2] for name in named} <= {node.host for node in homelab.nodes.values()}
        return
    given = {name: argument.value for name, argument in flags(ours, words[1:]).args.items()}
    stack = words[1].removeprefix("deploy-") if words[1] != "deploy-all" else None
    for name in given.get("node") or []:
        assert name in homelab.nodes
        if words[1].startswith("deploy-") and stack:
            assert homelab.nodes[name].stack == stack
    services = given.get("service") or ()
    for service in [services] if isinstance(services, str) else services:
        assert any(
            re.search(rf"^  {service}:$", path.read_text(), re.M) for path in ROOT.glob("compose/*.yml")
        )
    for name, value in given.items():
        if name.startswith("replicas-") and value:
            kinds = file().stacks[str(stack)].replicas
            assert int(value) <= len(kinds[name.removeprefix("replicas-")])


def sources() -> str:
    paths = [*(ROOT / "deploy_lib").rglob("*.py"), *(ROOT / "lab/dev").glob("*.py"), ROOT / "deploy.toml"]
    return "\n".join(path.read_text() for path in paths)


def test_a_symptom_is_what_the_programs_say() -> None:
    table = GUIDE.partition("| what you see |")[2]
    rows = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    assert len(rows) > 15
    text = sources()
    for row in rows:
        for said in re.findall(r"`([^`]+)`", row):
            assert said in text or said in ("admin",), said
        for check in re.findall(r"the check \*([^*]+)\*", row):
            assert f'"{check}"' in text, check


def test_every_section_of_the_plan_is_there() -> None:
    chapters = re.findall(r"^## (.+)$", GUIDE, re.MULTILINE)
    wanted = ["Prerequisites", "1Password", "First deployment", "Updating", "Scaling workers", "Rollback"]
    assert [name for name in chapters if name in wanted] == wanted
    assert any(name.startswith("Troubleshooting") for name in chapters)


def test_what_it_points_to_is_there() -> None:
    chapters = set(re.findall(r"^## (.+)$", GUIDE, re.MULTILINE))
    text = re.sub(r"\s+", " ", GUIDE)
    for name in re.findall(r"see \*([^*]+)\*|as in \*([^*]+)\*|The table in \*([^*]+)\*", text):
        title = next(filter(None, name))
        assert title in chapters or f"**{title}.**" in GUIDE, title
    for path in re.findall(r"`((?:docs|compose|scripts|monitoring)/[\w./-]+)`", GUIDE):
        assert (ROOT / path).exists(), path
