"""`invoke lab.up`, `lab.down`, `lab.status`, `lab.build`: for the project in whose folder they are."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from deploy_lib.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from deploy_lib.output.console import Console


@contextmanager
def speaking(*, as_json: bool = False) -> Iterator[Console]:
    """A console for a task that has no environment; its errors become one line and an exit status."""
    from deploy_lib.fleet.interruption import catch_interrupts
    from deploy_lib.output import streams as stdio
    from deploy_lib.output.console import Console

    stdio.install()
    catch_interrupts()
    console = Console(as_json=as_json)
    try:
        yield console
    except DeployError as error:
        console.error(error)
        raise Exit(code=int(error.exit_code)) from None
    except KeyboardInterrupt:
        console.say("error: interrupted")
        raise Exit(code=int(ExitCode.INTERRUPTED)) from None


def lab_collection(root: Path) -> Collection:
    """`up`, `down`, `status` and `build` for the project in this folder, to be added to its tasks as "lab".

    Args:
        root: has deploy.toml and, where something is to be said of the lab, lab.toml.
    """

    @task(auto_shortflags=False)
    def up(c: Context) -> None:
        """Start the lab: the hosts of deploy.toml, and a registry, on this machine."""
        with speaking() as console:
            from .up import up as bring_up

            lab = bring_up(root, lambda text: console.step("lab", "up", text))
            console.result(f"the lab is up; a host: ssh -F {lab.ssh_config} {lab.machines[0].name}")

    @task(auto_shortflags=False)
    def down(c: Context) -> None:
        """Remove the lab; cached images stay."""
        with speaking() as console:
            from .up import down as take_down

            take_down(root, lambda text: console.step("lab", "down", text))

    @task(auto_shortflags=False, help={"json": "one JSON document on standard output"})
    def status(c: Context, json: bool = False) -> None:
        """Show hosts, ports, and which images are the real ones."""
        with speaking(as_json=json) as console:
            from .up import status as look

            data = look(root)
            if json:
                sys.stdout.write(jsonlib.dumps(data) + "\n")
            else:
                show(console, data)

    @task(auto_shortflags=False, help={"tag": "the image tag; otherwise that of the checkout's commit"})
    def build(c: Context, tag: str | None = None) -> None:
        """Build the project's own images, and push them to the lab's registry."""
        with speaking() as console:
            from .own import build as build_own

            build_own(root, tag, lambda text: console.step("lab", "build", text))

    return Collection(up, down, status, build)


def show(console: Console, data: Mapping[str, Any]) -> None:
    """The lab's status for people."""
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
    console.table("images", ["image", "origin"], [[name, origin] for name, origin in data["images"].items()])
