"""A host that is off: an optional node is left out, shown, and brought up to the others' release when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import hosts
from lab.layout import Lab

from .conftest import NODES
from .projects import HOST, Project, project

STACK = """
[environments.lab.nodes.away]
host = "{away}"
stack = "pair"
directory = "/opt/pair"
{optional}

[stacks.pair]
compose = "compose.yml"
env_file = "pair.env"
healthy_timeout = 30
"""

COMPOSE = """\
name: pair
services:
  web:
    image: python:3.13-slim-trixie
    command: [sleep, infinity]
    stop_grace_period: 1s
    environment: { WORD: "${WORD}" }
"""

AWAY = "B"


@dataclass
class Pair:
    """The same stack on two hosts, one of which can be switched off as far as this machine can tell."""

    project: Project
    lab: Lab

    def off(self, lines: str) -> None:
        """What ssh_config says of the other host first; "" for a host that is there."""
        text = self.lab.ssh_config.read_text()
        head = f"Host {NODES[AWAY]}\n{lines}\n\n" if lines else ""
        self.project.write({"ssh_config": head + text})

    def optional(self, yes: bool) -> None:
        words = "optional = true" if yes else ""
        self.project.configure(STACK.format(away=NODES[AWAY], optional=words))
        path = self.project.root / "deploy.toml"
        path.write_text(path.read_text().replace(str(self.lab.ssh_config), "ssh_config"))

    def word(self, there: str) -> str:
        """What the container on a node runs with."""
        shown = "docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' pair-web-1 | sed -n s/^WORD=//p"
        return hosts.execute(self.lab, there, "sh", "-c", shown, check=False).strip()


@pytest.fixture(scope="module")
def pair(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with project(lab, tmp_path_factory.mktemp("pair"), "pair") as made:
        pair = Pair(made, lab)
        made.write({"compose.yml": COMPOSE, "pair.env": "WORD=one\n"})
        pair.optional(True)
        yield pair
        remove = "docker rm -f pair-web-1; docker network rm pair_default; rm -rf /opt/pair"
        hosts.execute(lab, AWAY, "sh", "-c", remove, check=False)


OFF = "Port 1"


def test_it_is_left_out_and_the_next_command_brings_it_up(pair: Pair) -> None:
    pair.off(OFF)
    checked = pair.project.run("preflight", "--json")
    assert checked.code == 0, checked.err
    assert {n: d["outcome"] for n, d in checked.document["nodes"].items()} == {
        "here": "ready",
        "away": "skipped",
    }
    done = pair.project.run("deploy-all", "--json")
    assert done.code == 0, done.err
    assert "away: warning: skipped, being optional and off: no TCP connection to" in done.err
    nodes = done.document["nodes"]
    assert (nodes["here"]["outcome"], nodes["away"]["outcome"]) == ("deployed", "skipped")
    assert "no TCP connection" in nodes["away"]["error"]
    shown = pair.project.run("status")
    assert shown.code == 0, shown.err
    assert "off (optional)" in shown.out
    pair.off("")
    back = pair.project.run("deploy-all", "--json")
    assert back.code == 0, back.err
    assert {n: d["outcome"] for n, d in back.document["nodes"].items()} == {
        "here": "unchanged",
        "away": "deployed",
    }
    assert pair.word(AWAY) == "one"


def test_what_answers_and_what_is_wanted_is_never_left_out(pair: Pair, tmp_path: Path) -> None:
    for lines, said in ((f"UserKnownHostsFile {tmp_path}/none", "is not known"), ("User nobody", "login")):
        pair.off(lines)
        done = pair.project.run("deploy-all")
        assert done.code == 3, done.err
        assert said in done.err
    pair.off(OFF)
    named = pair.project.run("deploy-all", "--node", "away", "--node", "here")
    assert named.code == 3, named.err
    assert "skipped" not in named.err
    pair.optional(False)
    strict = pair.project.run("deploy-all")
    pair.optional(True)
    assert strict.code == 3, strict.err
    assert "invoke deploy-all --node here" in strict.err
    # What it says works, in that very state.
    assert pair.project.run("deploy-all", "--node", "here").code == 0


@pytest.mark.full
def test_a_rollback_and_a_pruning_do_without_it_too(pair: Pair) -> None:
    pair.off("")
    pair.project.write({"pair.env": "WORD=two\n"})
    assert pair.project.run("deploy-all").code == 0
    pair.off(OFF)
    done = pair.project.run("rollback", "--json")
    assert done.code == 0, done.err
    assert done.document["nodes"]["away"]["outcome"] == "skipped"
    assert (pair.word("C"), pair.word(AWAY)) == ("one", "two")
    assert pair.project.run("prune").code == 0
    history = pair.project.run("history", "--json")
    assert (history.code, history.document["nodes"]["away"]["outcome"]) == (0, "skipped")
    everything = (pair.project.root / "ssh_config").read_text()
    pair.project.write({"ssh_config": f"Host {HOST}\n{OFF}\n\n{everything}"})
    alone = pair.project.run("deploy-all")
    pair.off("")
    assert alone.code == 3, alone.err
    assert "no TCP connection" in alone.err
