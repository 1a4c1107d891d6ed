"""Plain Fabric: a `put` for each file and a `run` for each command; several nodes side by side: plain_fabric.py NODE..."""

from __future__ import annotations

import io
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fabric import Config, Connection

WORK = Path(os.environ["BENCH_WORK"])
NODES: dict[str, dict[str, Any]] = json.loads((WORK / "nodes.json").read_text())


def deploy(name: str) -> None:
    """The whole deployment of one node."""
    n = NODES[name]
    config = Config(runtime_ssh_path=str(WORK / "checkout/.lab/ssh_config"))
    with Connection(n["host"], config=config) as c:
        files = Path(n["files"])
        for path in sorted(files.rglob("*")):
            if path.is_file():
                c.put(str(path), f"{n['dir']}/{path.relative_to(files)}")
        env = {**n["secrets"], "DOCKER_CONFIG": n["docker"]}
        compose = f"cd {n['dir']} && {n['compose']}"
        login = f"docker login -u lab --password-stdin {n['registry']}"
        c.run(login, env=env, hide=True, in_stream=io.StringIO(n["token"]))
        c.run(f"{compose} pull -q", env=env, hide=True, in_stream=False)
        c.run(f"{compose} up -d --wait --quiet-pull && {n['after']}", env=env, hide=True, in_stream=False)
        c.run(n["health"], hide=True, in_stream=False)


with ThreadPoolExecutor(len(sys.argv) - 1) as pool:
    list(pool.map(deploy, sys.argv[1:]))
