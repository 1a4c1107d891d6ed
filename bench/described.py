"""What the others have to know to deploy the same stacks: read by their scripts, in bash and in Python."""

from __future__ import annotations

import json
import shlex

from .place import Place
from .stacks import OWN_DOCKER, STACKS


def describe(made: Place, tag: str) -> None:
    """Writes down, for the others, which release they deploy."""
    nodes: dict[str, dict[str, object]] = {}
    password = made.secrets["GHCR_TOKEN"]
    values = {name: value for name, value in made.secrets.items() if name != "GHCR_TOKEN"}
    for name, node in made.lab.project.environment.nodes.items():
        stack = STACKS[node.stack_name]
        health = " && ".join(_asks(asked) for asked in stack.asked)
        bash = f"bash -c {shlex.quote(health)}"
        files = ("--env-file", stack.env_file, "--env-file", "release.env", "-f", stack.compose)
        command = " ".join(["docker", "compose", "-p", stack.project, *files, "-f", "release.yml"])
        nodes[name] = {
            "host": node.host,
            "dir": str(node.directory),
            "project": stack.project,
            "compose": command,
            "compose_file": stack.compose,
            "env_file": stack.env_file,
            "files": str(made.files(name, tag)),
            "secrets": values,
            "registry": made.lab.project.environment.registry_host,
            "token": password,
            "docker": OWN_DOCKER,
            "health": bash,
            "health_bash": health,
            "after": made.env.get("BENCH_AFTER", "true"),
        }
        words = {
            "HOST": node.host,
            "DIR": str(node.directory),
            "FILES": str(made.files(name, tag)),
            "COMPOSE": command,
            "COMPOSE_FILE": stack.compose,
            "ENV_FILE": stack.env_file,
            "PROJECT": stack.project,
            "REGISTRY": made.lab.project.environment.registry_host,
            "HEALTH": bash,
            "AFTER": made.env.get("BENCH_AFTER", "true"),
            "TOKEN": password,
            **values,
        }
        text = "".join(f"{key}={shlex.quote(value)}\n" for key, value in words.items())
        text += f"SECRETS={shlex.quote(' '.join(values))}\n"
        (made.folder / "nodes" / f"{name}.sh").write_text(text)
    (made.folder / "nodes.json").write_text(json.dumps(nodes))


def _asks(asked: str) -> str:
    """A request by bash's own means, which fails unless it is answered with 200."""
    port, _, path = asked.partition("/")
    request = f"printf 'GET /{path} HTTP/1.0\\r\\n\\r\\n'"
    return f"exec 3<>/dev/tcp/127.0.0.1/{port} && {request} >&3 && head -n 1 <&3 | grep -q ' 200'"
