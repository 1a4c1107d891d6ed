"""The worst values that a secret can have, through a real deployment into a container, and back again by a failed one."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy_lib.layout import KEEP
from lab.layout import Lab
from tests.worst import WORST

from .conftest import FIRST, Host, Outcome, command
from .trail import own_secrets, put

VALUES = {name: value for name, value in WORST.items() if value}
"""An empty one is refused, see tests/unit/secrets/test_sources.py."""

COMPOSE = {
    "name": "ktrdr-worst",
    "services": {
        "reader": {
            "image": "${IMAGE_REGISTRY}/ktrdr-backend:${IMAGE_TAG}",
            "entrypoint": ["sleep", "1000"],
            "init": True,
            "secrets": [name.lower() for name in VALUES],
            "healthcheck": {"test": ["CMD", "true"], "interval": "1s"},
        }
    },
    "secrets": {name.lower(): {"environment": name} for name in VALUES},
}

TOML = """
[stacks.worst]
compose = "compose/worst.yml"
env_file = "compose/.env.worst"
delivery = "{delivery}"

[environments.lab.nodes.W]
host = "ktrdr-core.internal"
stack = "worst"
directory = "/opt/ktrdr-worst"
"""

READ = r"""
docker exec ktrdr-worst-reader-1 sh -c 'cd /run/secrets; for x in *; do echo "$x $(base64 -w 0 "$x")"; done'
"""


@pytest.fixture(params=["compose", pytest.param("memory", marks=pytest.mark.full)])
def worst(
    request: pytest.FixtureRequest, checkout: Path, core: Host, stack: None, lab: Lab
) -> Iterator[Path]:
    """A checkout with one stack more, which gets all of them, on a node of its own."""
    (checkout / "compose/worst.yml").write_text(json.dumps(COMPOSE))
    (checkout / "compose/.env.worst").write_text("")
    path = checkout / "deploy.toml"
    rules = [f'[secrets.{name}]\nfield = "{name}"\n' for name in VALUES]
    path.write_text("\n".join([path.read_text(), *rules, TOML.format(delivery=request.param)]))
    with own_secrets(lab) as own:
        put(lab, {**own, **VALUES})
        try:
            yield checkout
        finally:
            core.sh("docker compose -p ktrdr-worst down -t 0; rm -rf /opt/ktrdr-worst /run/ktrdr-secrets")
            # Its hold on the image that it shares with core would keep core from pruning that.
            core.sh(
                f"docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' {KEEP} | grep -- '-ktrdr-worst[.]$' | xargs docker rmi"
            )


def arrived(core: Host) -> dict[str, bytes]:
    lines = (line.partition(" ") for line in core.sh(READ).splitlines())
    return {name.upper(): base64.b64decode(text) for name, _, text in lines}


def differing(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    return [name for name in expected.keys() | found.keys() if found.get(name) != expected.get(name)]


def deploy(root: Path) -> Outcome:
    return command("invoke", "deploy-all", "--node", "W", "--tag", FIRST, "--json", "--debug", root=root)


def test_the_worst_values_arrive_and_come_back_byte_for_byte(worst: Path, core: Host) -> None:
    expected = {name: value.encode() for name, value in VALUES.items()}
    outcome = deploy(worst)
    assert outcome.code == 0, outcome.err
    assert differing(arrived(core), expected) == []
    assert deploy(worst).document["nodes"]["W"]["outcome"] == "unchanged"
    # A deployment that fails reads them out of the containers, and puts them back.
    path = worst / "compose/worst.yml"
    path.write_text(path.read_text().replace('"sleep", "1000"', '"false"'))
    failed = deploy(worst)
    assert failed.code == 10, failed.err
    assert differing(arrived(core), expected) == []
