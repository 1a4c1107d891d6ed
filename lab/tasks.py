"""`invoke lab.up`, `lab.down`, `lab.status`."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from deploy_lib.errors import DeployError, ExitCode
from deploy_lib.fleet.interruption import listen
from deploy_lib.output import streams as stdio
from deploy_lib.output.console import Console

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def speaking(*, as_json: bool = False) -> Iterator[Console]:
    """A console for a task that has no environment; its errors become one line and an exit status."""
    stdio.install()
    listen()
    console = Console(as_json=as_json)
    try:
        yield console
    except DeployError as error:
        console.error(error)
        raise Exit(code=int(error.exit_code)) from None
    except KeyboardInterrupt:
        console.say("error: interrupted")
        raise Exit(code=int(ExitCode.INTERRUPTED)) from None


@task(auto_shortflags=False)
def up(c: Context) -> None:
    """Start the lab: three hosts and a registry on this machine."""
    with speaking() as console:
        from lab.up import up as bring_up

        lab = bring_up(ROOT, lambda text: console.step("lab", "up", text))
        console.result(f"the lab is up; a host: ssh -F {lab.ssh_config} ktrdr-core.internal")


@task(auto_shortflags=False)
def down(c: Context) -> None:
    """Remove the lab; cached images stay."""
    with speaking() as console:
        from lab.up import down as take_down

        take_down(ROOT, lambda text: console.step("lab", "down", text))


@task(auto_shortflags=False, help={"json": "one JSON document on standard output"})
def status(c: Context, json: bool = False) -> None:
    """Show hosts, ports, and which images are the real ones."""
    with speaking(as_json=json) as console:
        from lab.up import status as look

        data = look(ROOT)
        if json:
            sys.stdout.write(jsonlib.dumps(data) + "\n")
            return
        rows = [
            [
                name,
                node["host"],
                "up" if node["running"] else "DOWN",
                str(node["ssh_port"]),
                "  ".join(f"{port}->{local}" for port, local in node["ports"].items()),
            ]
            for name, node in data["nodes"].items()
        ]
        console.table("hosts", ["node", "host", "state", "ssh", "ports on 127.0.0.1"], rows)
        registry = data["registry"]
        console.table(
            "registries",
            ["registry", "port on 127.0.0.1", "for"],
            [
                [registry["name"], str(registry["port"]), "our own images, with TLS and a password"],
                [registry["mirror"], str(registry["mirror_port"]), "public images, without one"],
            ],
        )
        console.table(
            "images", ["image", "origin"], [[name, origin] for name, origin in data["images"].items()]
        )


ns = Collection(up, down, status)
