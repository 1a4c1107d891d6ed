"""Whether what was started serves."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Mapping

from deploy_lib.errors import DeployError, ExitCode

from .. import docker as build
from . import variables

HEALTHY_TIMEOUT = 300.0
UNHEALTHY_TIMEOUT = 60.0
"""What was unhealthy before, or on a busy machine, may be just about to answer."""
DATABASE_TIMEOUT = 30.0


class NotUpError(DeployError):
    """The environment was started, and is not as it should be."""

    exit_code = ExitCode.FAILED_INCONSISTENT


def services(project: str) -> dict[str, dict[str, str]]:
    """By service, its container, that one's state, and its health."""
    ids = build.run("ps", "-aq", "--filter", f"label=com.docker.compose.project={project}").split()
    template = (
        '{{index .Config.Labels "com.docker.compose.service"}} {{.Name}} {{.State.Status}} '
        "{{if .State.Health}}{{.State.Health.Status}}{{end}}"
    )
    listed = build.run("container", "inspect", "--format", template, *ids).splitlines() if ids else []
    rows = (line.split(" ") for line in listed)
    return {row[0]: {"container": row[1].lstrip("/"), "state": row[2], "health": row[3]} for row in rows}


def await_healthy(project: str, wanted: set[str]) -> dict[str, dict[str, str]]:
    """Waits until these services run and are healthy, and says how all of them are.

    Raises:
        NotUpError: one ended, is unhealthy, or was not healthy in time; with its last lines.
    """
    began = time.monotonic()
    while True:
        waited = time.monotonic() - began
        found = services(project)
        pending = [name for name in sorted(wanted) if not _well(found.get(name))]
        if not pending:
            return found
        for name in pending:
            row = found.get(name, {"container": "", "state": "not there", "health": ""})
            ended = row["state"] in ("exited", "dead")
            ill = row["health"] == "unhealthy" and waited > UNHEALTHY_TIMEOUT
            if ended or ill or waited > HEALTHY_TIMEOUT:
                what = row["health"] if row["state"] == "running" else row["state"]
                raise NotUpError(
                    f"{name} is {what}{_last_words(row['container'])}",
                    hint=f"invoke dev.logs --service {name}; a running one serves a corrected source line at once",
                )
        time.sleep(0.3)


def _well(row: Mapping[str, str] | None) -> bool:
    return row is not None and row["state"] == "running" and row["health"] in ("healthy", "")


def _last_words(container: str) -> str:
    done = subprocess.run(
        [build.docker(), "logs", "--tail", "3", container],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    said = " / ".join(line.strip() for line in done.stdout.strip().splitlines())
    return f"; it says: {said}" if said else ""


def require_database(url: str) -> None:
    """Waits until the API reaches its database; an application whose health has no such field is believed.

    Raises:
        NotUpError: it did not in time.
    """
    deadline = time.monotonic() + DATABASE_TIMEOUT
    while True:
        try:
            with urllib.request.urlopen(f"{url}/api/v1/health", timeout=5) as answer:  # noqa: S310 - loopback
                state = json.load(answer).get("database", "ok")
        except (OSError, ValueError, AttributeError):
            state = "unavailable"
        if state == "ok":
            return
        if time.monotonic() > deadline:
            raise NotUpError(
                f"{url} answers, but does not reach its database",
                hint=f"if DB_... was changed in {variables.FILE} since the first start: invoke dev.down --volumes",
            )
        time.sleep(0.3)
