"""A container's health check: its command, whose it is, and what it answered last."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from deploy_lib.answers import number
from deploy_lib.shell import quote, words


class HealthCheck(Struct, frozen=True):
    """A health check and its last answer.

    Attributes:
        inherited: it is the image's own, and not one of the Compose file.
        code: exit status of the last run.
    """

    command: str
    inherited: bool
    code: int
    output: str

    @property
    def passed(self) -> bool:
        """Whether the last run succeeded."""
        return not self.code


def health_script(container: str) -> str:
    """Prints a container's health check, that of its image, and the results of the last runs, as a line of JSON each."""
    checks = "{{json .Config.Healthcheck}}"
    return f"""\
docker inspect --format {quote(checks)} {quote(container)} || exit
docker image inspect --format {quote(checks)} "$(docker inspect --format {words("{{.Image}}")} {quote(container)})" || exit
docker inspect --format {quote("{{if .State.Health}}{{json .State.Health.Log}}{{else}}null{{end}}")} {quote(container)}
"""


def read_health(text: str) -> HealthCheck | None:
    """What the script prints; None for a container whose check has not run yet, or that has none.

    Raises:
        ValueError, TypeError, KeyError: it is something else.
    """
    own, image, runs = (json.loads(line) for line in text.split("\n", 3)[:3])
    if not own or not runs:
        return None
    test = own["Test"]
    return HealthCheck(
        _command(test),
        bool(image) and image["Test"] == test,
        number(runs[-1], "ExitCode"),
        str(runs[-1]["Output"]),
    )


def _command(test: list[Any]) -> str:
    return str(test[1]) if test[0] == "CMD-SHELL" else words(*test[1:])
