"""`invoke demo`: from a clean clone to the KTRDR stacks running on the lab's hosts."""

from __future__ import annotations

import os
from pathlib import Path

from deploy_lib.cli import deploy
from deploy_lib.cli.invocation import Invocation, command


def run(root: Path) -> None:
    """The lab, the image of this commit, the stacks, and where to look at them.

    Raises:
        Exit: with the fixed exit status, when that is not 0.
    """
    os.environ["DEPLOY_ENV"] = "lab"
    with command("demo", root, as_json=False, debug=False) as (environment, console, _):
        from deploy_lib.source import versions

        from .backend import build_backend, push_backend
        from .up import up

        lab = up(root, lambda text: console.step("lab", "up", text))
        version = versions.head(environment)
        build_backend(environment, version, console)
        push_backend(environment, version, console)
    deploy.run(Invocation("deploy-all", root))
    for what, port in (("API", 8000), ("Prometheus", 9090), ("Grafana", 3000), ("Jaeger", 16686)):
        path = "/api/v1/health" if port == 8000 else "/"
        console.result(f"{what:<11} {lab.url('core', port)}{path}")
    console.result(f"a host      ssh -F {lab.ssh_config.relative_to(root)} ktrdr-core.internal")
