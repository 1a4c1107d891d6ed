"""Probes: what proves that a service does what it is for."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from deploy_lib.config.fields import Model, Seconds, several


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"this is not a regular expression: {error}") from None
    return text


def _url(text: str) -> str:
    """The URL, when a probe can ask it.

    Raises:
        ValueError: it cannot, ever.
    """
    parts = urlsplit(text)
    if not parts.hostname or parts.port == 0:
        raise ValueError("this URL has no host, or no port that there is")
    if "@" in parts.netloc:
        raise ValueError("a probe logs in nowhere, so its URL has no user and no password")
    if not text.isascii() or not text.isprintable():
        raise ValueError("a URL has other characters as %XX")
    return text


STARTED = re.compile(r"\{started(?::([A-Za-z0-9][\w.-]*))?\}")
"""In a probe's URL: the moment at which the newest container was started, of a service or of all."""


class Probe(Model):
    """What proves a service: an HTTP answer, a line of its log, or its container's state; or every container: a list.

    Attributes:
        service: the service that is proven; none for a probe of every container.
        url: asked through the session, as the host itself would ask it. `{started:SERVICE}` in it is the moment at which the
            newest container of a service was started, in seconds since 1970 by its host's clock (`{started}`: of the whole stack),
            for answers that are not to be from before.
        status: the HTTP status expected.
        json_values: dotted paths in the JSON answer, and the values expected there.
        log: a regular expression that a line of the service's log matches, since its container started; one that has run for an hour
            has said it.
        state: what Docker says of its container, such as "running"; "exited" means with status 0.
        entry: the answer has a list, and in it an entry like this for each container; see `host/prove/roster.py`.
        entries: dotted path of that list; "" when it is the answer itself.
        timeout: seconds until it must have succeeded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    name: str
    service: str = ""
    url: Annotated[str, StringConstraints(pattern=r"^http://[^/\s]+/\S*$"), AfterValidator(_url)] | None = (
        None
    )
    status: int = 200
    json_values: dict[str, str | int | bool] = Field(alias="json", default_factory=dict)
    log: Annotated[str, AfterValidator(_regex)] | None = None
    state: Literal["running", "exited", "paused"] | None = None
    entry: dict[str, Annotated[tuple[str, ...], Field(strict=False), BeforeValidator(several)]] = Field(
        default_factory=dict
    )
    entries: str = ""
    timeout: Seconds = 60

    @property
    def services(self) -> list[str]:
        """The services that it names."""
        named = STARTED.findall(self.url or "")
        return [name for name in (self.service, *named) if name]

    @model_validator(mode="after")
    def _one_kind(self) -> Probe:
        if sum(kind is not None for kind in (self.url, self.log, self.state)) != 1:
            raise ValueError("give exactly one of url, log and state")
        if bool(self.service) == bool(self.entry) or (self.entry and self.url is None):
            raise ValueError("give either service, or url and entry for a probe of every container")
        return self
