"""A made-up project on a host of the lab: its files are text, and commands are run in its folder as its owner would run them."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import hosts
from lab.layout import Lab

from .conftest import Outcome, command, environment

NODE, HOST = "C", "ktrdr-workers-c.internal"
"""Where the projects are: a host on which nothing is left between tests."""

TASKS = """\
from pathlib import Path

from deploy_lib import collection

ns = collection(Path(__file__).parent)
"""

HEAD = """\
[secrets.REGISTRY_PASSWORD]
field = "registry"

[environments.lab]
image_registry = "registry.ktrdr.internal:5443/ktrdr"
default_tag = "1.0"
ssh_config = "{ssh_config}"
registry = {{ username = "lab", password = "REGISTRY_PASSWORD" }}
secrets = {{ source = "file", path = "secrets.json" }}

[environments.lab.nodes.here]
host = "{host}"
stack = "{name}"
directory = "/opt/{name}"
"""


@dataclass
class Project:
    """A project in a folder of its own, and what its host has of it.

    Attributes:
        name: of its only stack, of its Compose project and of its directory.
        more: further tables of deploy.toml.
    """

    lab: Lab
    root: Path
    name: str
    more: str = ""
    fields: dict[str, str] = field(default_factory=dict, repr=False)

    def write(self, files: Mapping[str, str]) -> None:
        """Files of the checkout, by path."""
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)

    def configure(self, stack: str, head: str = HEAD) -> None:
        """Writes deploy.toml.

        Args:
            stack: the tables of the stack and its secrets.
        """
        about = head.format(ssh_config=self.lab.ssh_config, host=HOST, name=self.name)
        self.write({"deploy.toml": f"{about}\n{stack}", "tasks.py": TASKS})

    def value(self, name: str) -> str:
        """A secret's value; a new one is made where there is none."""
        self.fields.setdefault(name, secrets.token_urlsafe(24))
        (self.root / "secrets.json").write_text(json.dumps(self.fields))
        (self.root / "secrets.json").chmod(0o600)
        return self.fields[name]

    def renew(self, name: str) -> str:
        """Changes a secret, and gives its old value."""
        old = self.fields.pop(name)
        self.value(name)
        return old

    def run(self, *words: str) -> Outcome:
        """A command of the project."""
        return command("invoke", *words, root=self.root)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The same, while it goes on."""
        return subprocess.Popen(
            ["invoke", *words],
            cwd=self.root,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def deploy(self, *words: str) -> Outcome:
        """Deploys its stack, with a JSON document."""
        return self.run(f"deploy-{self.name}", "--json", *words)

    def sh(self, script: str, *, check: bool = True) -> str:
        """Shell text on the host, from outside."""
        return hosts.execute(self.lab, NODE, "sh", "-c", script, check=check)

    def given(self, text: str, script: str) -> str:
        """Shell text on the host that has a text on its standard input: a secret stands in no command line."""
        return hosts.execute(self.lab, NODE, "sh", "-c", script, stdin=text.encode())

    def containers(self) -> dict[str, str]:
        """Container ids by service."""
        form = '{{.Label "com.docker.compose.service"}} {{.ID}}'
        label = f"label=com.docker.compose.project={self.name}"
        listed = self.sh(f"docker ps -a --no-trunc --filter {label} --format '{form}'")
        rows = (line.partition(" ") for line in listed.splitlines())
        return {service: container for service, _, container in rows}

    def inside(self, service: str, script: str) -> str:
        """Shell text in a service's container."""
        return self.sh(f"docker exec {self.containers()[service]} sh -c '{script}'")

    def environment(self, service: str) -> dict[str, str]:
        """The environment that `docker inspect` shows."""
        shown = self.sh(f"docker inspect --format '{{{{json .Config.Env}}}}' {self.containers()[service]}")
        return dict(entry.split("=", 1) for entry in json.loads(shown))

    def inspected(self, service: str) -> Any:
        """All that `docker inspect` shows."""
        return json.loads(self.sh(f"docker inspect {self.containers()[service]}"))[0]

    def remove(self) -> None:
        """Takes all of it from the host."""
        label = f"label=com.docker.compose.project={self.name}"
        self.sh(
            f"docker ps -aq --filter {label} | xargs -r docker rm -f -v; docker volume ls -q --filter {label} | xargs -r docker volume rm; "
            f"docker network ls -q --filter {label} | xargs -r docker network rm; rm -rf /opt/{self.name}"
        )


@contextmanager
def project(lab: Lab, root: Path, name: str) -> Iterator[Project]:
    """An empty project; what it leaves on its host is removed."""
    made = Project(lab, root, name)
    made.value("registry")
    made.fields["registry"] = json.loads(lab.secrets.read_text())["ghcr_token"]
    made.value("registry")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / ".gitignore").write_text("secrets.json\n")
    made.remove()
    try:
        yield made
    finally:
        made.remove()
