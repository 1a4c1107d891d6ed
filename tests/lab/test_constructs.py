"""Every construct of the Compose specification on a real host: what is taken works and stays as it is, what is refused is said."""

from __future__ import annotations

import base64
import functools
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab.layout import Lab
from tests.constructs import CASES, IMAGE, lacking, merged

from .projects import Project, project

STACK = """\
[secrets.TOKEN]
field = "token"

[stacks.constructs]
compose = "compose.yml"
env_file = "constructs.env"
healthy_timeout = 60
"""

PLAIN = {"image": IMAGE, "command": ["sleep", "1000"], "stop_grace_period": "0s"}
BASE = {**PLAIN, "ipc": "shareable", "volumes": ["base-data:/data"], "environment": {"AGAIN": "${AGAIN}"}}

FILES = {
    "constructs.env": "COMPOSE_PROFILES=chosen\nSAID=so\nAGAIN=one\n",
    "one.env": "ONE=1\n",
    "one.txt": "one",
    "labels.txt": "from-a-file=yes\n",
    "dir/two.txt": "two",
    "seccomp.json": '{"defaultAction": "SCMP_ACT_ALLOW"}',
    "spec.json": "{}",
    "common/common.txt": "one",
    "common/common.yml": f"services: {{common: {{image: '{IMAGE}', environment: {{COMMON: 'yes'}}, volumes: ['./common.txt:/common']}}}}",
    "part.yml": f"services: {{short: {{image: '{IMAGE}', command: [sleep, '1000'], stop_grace_period: 0s}}}}",
    "parts/part.env": "PART=a part\n",
    "parts/a.yml": f"services: {{long: {{image: '{IMAGE}', command: [sleep, '1000'], stop_grace_period: 0s, environment: {{P: '$PART'}}}}}}",
}

SCHEMA = r"""
plugin=$(docker info --format '{{range .ClientInfo.Plugins}}{{if eq .Name "compose"}}{{.Path}}{{end}}{{end}}')
at=$(grep -aob '"compose_spec.json"' "$plugin" | head -n 1 | cut -d : -f 1)
tail -c "+$((at - 200))" "$plugin" | head -c 150000 | base64 -w 0
"""
"""Prints the part of the plugin that has the schema."""

CONFIG = """\
d=$(mktemp -d) && cd "$d" && echo ONE=1 > one.env || exit
while read -r x; do
  printf '%s\\n' "$x" > compose.yml
  docker compose config -q 2>&1 | tail -n 1
done
rm -r "$d"
"""
"""For each line of standard input, a Compose file: the last line of what Compose says of it."""


@pytest.fixture(scope="module")
def constructs(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project, with what its files call external on the host."""
    with project(lab, tmp_path_factory.mktemp("constructs"), "constructs") as made:
        made.value("token")
        made.write(FILES)
        made.configure(STACK)
        made.sh(
            "docker rm -f constructs-other; docker network create constructs-network; docker volume create constructs-volume; "
            f"docker create --name constructs-other docker.io/library/{IMAGE} sleep 1 || {{ docker pull -q {IMAGE} && docker create --name constructs-other {IMAGE} sleep 1; }}",
        )
        try:
            yield made
        finally:
            made.remove()
            made.sh(
                "docker rm -f constructs-other; docker network rm constructs-network; docker volume rm constructs-volume"
            )


def taken() -> dict[str, Any]:
    """All that is taken: the examples of a group are one service."""
    whole: dict[str, Any] = {
        "name": "constructs",
        "x-own": {"any": "thing"},
        "include": [
            "part.yml",
            {"path": ["parts/a.yml"], "env_file": "parts/part.env", "project_directory": "."},
        ],
        "volumes": {"base-data": None},
        "services": {"base": BASE, "maybe": {**PLAIN, "profiles": ["never"]}},
    }
    for case in CASES.values():
        if case.verdict == "taken":
            service, top = case.named(case.group)
            whole = merged(whole, top)
            if service:
                known = whole["services"].get(case.group, PLAIN)
                whole["services"][case.group] = merged(
                    {**known, **{k: v for k, v in service.items() if k == "command"}},
                    {k: v for k, v in service.items() if k != "command"},
                )
    return whole


def each(*verdicts: str) -> dict[str, str]:
    """The names of services, one for each example of a verdict."""
    found = [construct for construct, case in CASES.items() if case.verdict in verdicts]
    return {construct: f"s{number}" for number, construct in enumerate(found)}


def example(construct: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    service, top = CASES[construct].named(name)
    return {key: value for key, value in {**PLAIN, **service}.items() if value is not None}, top


def written(whole: dict[str, Any]) -> str:
    return yaml.safe_dump(whole, sort_keys=False, width=1000)


def paths(schema: dict[str, Any]) -> Iterator[str]:
    """The keys of a schema, each with those that it is part of: `services.ports.target`."""

    def walk(node: Any, path: str) -> Iterator[str]:
        while "$ref" in node:
            node = schema["definitions"][node["$ref"].rpartition("/")[2]]
        for other in (*node.get("oneOf", ()), *([node["items"]] if "items" in node else ())):
            yield from walk(other, path)
        for key, inner in (node.get("properties") or {}).items():
            yield f"{path}.{key}".lstrip(".")
            yield from walk(inner, f"{path}.{key}".lstrip("."))
        for key, inner in (node.get("patternProperties") or {}).items():
            if not key.startswith("^x-"):
                yield from walk(inner, path)

    return walk(schema, "")


def test_the_table_has_each_key_of_the_hosts_own_schema(constructs: Project) -> None:
    text = base64.b64decode(constructs.sh(SCHEMA)).decode(errors="replace")
    schema, _ = json.JSONDecoder().raw_decode(text[re.search(r'\{\s*"\$schema"', text).start() :])  # type: ignore[union-attr]
    found = list(dict.fromkeys(paths(schema)))
    assert len(found) > 300
    assert lacking(found) == []


def test_what_is_refused_or_does_nothing_is_said(constructs: Project) -> None:
    names, whole = (
        each("refused", "ignored"),
        {"name": "constructs", "services": {"base": BASE}, "volumes": {"base-data": None}},
    )
    for construct, name in names.items():
        service, top = example(construct, name)
        whole = merged(whole, {**top, "services": {name: service}})
    constructs.write({"compose.yml": written(whole)})
    done = constructs.run("preflight")
    assert done.code == 3, done.err
    said = done.out + done.err
    assert [
        f"{c}: {CASES[c].said(name)}" for c, name in names.items() if CASES[c].said(name) not in said
    ] == [], said
    assert constructs.containers() == {}


def test_what_compose_itself_refuses_it_refuses_in_preflight(constructs: Project) -> None:
    names = each("Compose")
    files = ""
    for construct, name in names.items():
        service, top = example(construct, name)
        files += json.dumps({"name": "constructs", "services": {name: service}, **top}) + "\n"
    said = constructs.given(files, CONFIG)
    lines = dict(zip(names, said.splitlines(), strict=True))
    assert [f"{c}: {line}" for c, line in lines.items() if CASES[c].said(names[c]) not in line] == []
    whole = {"name": "constructs", "services": {"web": {**PLAIN, "provider": {"type": "x"}}}}
    constructs.write({"compose.yml": written(whole)})
    done = constructs.run("deploy-constructs")
    assert done.code == 3
    assert "Compose file: validating compose.yml: services.web" in done.err
    assert "Additional property provider is not allowed" in done.err


def small() -> dict[str, Any]:
    """A service, and one that is part of its container."""
    guests = [case.named("guest")[0] for case in CASES.values() if case.group == "guest"]
    guest = functools.reduce(merged, guests, PLAIN)
    return {
        "name": "constructs",
        "volumes": {"base-data": None},
        "services": {"base": BASE, "guest": guest},
    }


def test_who_is_part_of_a_container_is_made_anew_with_it(constructs: Project) -> None:
    constructs.write({"compose.yml": written(small())})
    assert constructs.deploy().code == 0
    before = constructs.containers()
    constructs.write({"constructs.env": FILES["constructs.env"].replace("AGAIN=one", "AGAIN=two")})
    plan = constructs.run("deploy-constructs", "--dry-run")
    assert re.search(r"guest +recreate +it is part of base", plan.out), plan.out
    assert constructs.deploy().code == 0
    after = constructs.containers()
    assert not set(after.values()) & set(before.values())
    assert constructs.inspected("guest")["HostConfig"]["NetworkMode"] == f"container:{after['base']}"
    assert constructs.run("status").code == 0


ENGINE = [*each("Engine")]


@pytest.mark.parametrize(
    "construct", [pytest.param(each, marks=() if each == ENGINE[-1] else pytest.mark.full) for each in ENGINE]
)
def test_what_the_engine_cannot_do_goes_back(constructs: Project, construct: str) -> None:
    before = constructs.containers()
    service, top = example(construct, "new")
    constructs.write({"compose.yml": written(merged(small(), {**top, "services": {"new": service}}))})
    done = constructs.run("deploy-constructs")
    assert done.code == 10, done.err
    assert "Error response from daemon: " in done.err
    assert constructs.containers() == before


def described(data: Any, path: str) -> Any:
    for key in path.split("."):
        data = data[key]
    return data


def test_what_is_taken_is_there_and_stays_as_it_is(constructs: Project) -> None:
    constructs.write({"compose.yml": written(taken())})
    done = constructs.deploy()
    assert done.code == 0, done.err
    before = constructs.containers()
    listed = json.loads(constructs.sh(f"docker inspect {' '.join(before.values())}"))
    shown = {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in listed}
    asked = {construct: case for construct, case in CASES.items() if case.inside}
    script = "\n".join(
        f"echo $(docker exec {before[case.group]} sh -c {shlex.quote(case.inside[0])})"
        for case in asked.values()
        if case.inside
    )
    answers = dict(zip(asked, constructs.sh(script).splitlines(), strict=True))
    wrong = [
        f"{construct}: {found}"
        for construct, case in CASES.items()
        if case.seen and (found := described(shown[case.group], case.seen[0])) != case.seen[1]
    ]
    wrong += [
        f"{c}: {answers[c]}" for c, case in asked.items() if case.inside and answers[c] != case.inside[1]
    ]
    assert not wrong, "\n".join(wrong)
    assert "P=a part" in shown["long"]["Config"]["Env"]
    again = constructs.deploy()
    assert again.document["nodes"]["here"]["outcome"] == "unchanged", again.err
    assert constructs.run("status").code == 0
    assert constructs.containers() == before


def test_a_network_or_volume_that_stays_as_it_was_made_is_no_success(constructs: Project) -> None:
    whole = taken()
    whole["networks"]["main-inner"] = {"internal": False}
    whole["networks"]["main-ipam"]["ipam"]["config"] = [{"subnet": "10.231.4.0/24"}]
    whole["volumes"]["main-opts"]["driver_opts"]["o"] = "size=200k"
    whole["volumes"]["main-lab"]["labels"] = {"a": "c"}
    constructs.write({"compose.yml": written(whole)})
    done = constructs.run("deploy-constructs")
    assert done.code == 3, done.err
    for line in (
        "the network constructs_main-inner is there with another internal than the file's, and Compose keeps it",
        "the network constructs_main-ipam is there with another ipam than",
        "the volume constructs_main-opts is there with another driver_opts than",
        "the volume constructs_main-lab is there with another labels than",
    ):
        assert line in done.err
    # The advice works, and costs no data.
    assert "docker compose -p constructs down --remove-orphans" in done.err
