"""Services that are replaced without losing a request: a new container beside the old one, behind a gateway of the same stack."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo

from deploy_lib.config.fields import Model, Seconds
from deploy_lib.config.open_set import OpenSet


class Rolling(Model):
    """A service that is replaced so; each kind of gateway is a file of its own, with its own further keys.

    Attributes:
        service: whose containers are replaced.
        gateway: the service through which all requests reach it.
        program: what that is; see `host/gateways/__init__.py`.
        at_once: all of its new containers start beside the old ones; otherwise one takes the place of one after the other.
        drain_timeout: seconds that an old container may take to answer what it is answering; then it is stopped all the same.
    """

    service: str = Field(min_length=1)
    gateway: str = Field(min_length=1, default="gateway")
    program: str = "haproxy"
    at_once: bool = False
    drain_timeout: Seconds = 60


GATEWAYS = OpenSet(key="program", what="gateway", package="deploy_lib.host.gateways", base=Rolling)


def read_rolling(value: Any, info: ValidationInfo) -> Any:
    """A table of deploy.toml as the gateway that it names; for pydantic's `BeforeValidator`.

    Raises:
        ValidationError: the name or one of the other keys is wrong.
    """
    usual = {"program": Rolling.model_fields["program"].default}
    return GATEWAYS.read({**usual, **value} if isinstance(value, dict) else value, info)


def once(found: tuple[Rolling, ...]) -> tuple[Rolling, ...]:
    """The same, where no service has two of them, and none is its own gateway."""
    services = [each.service for each in found]
    if twice := next((name for name in services if services.count(name) > 1), None):
        raise ValueError(f"two of them are for the service {twice!r}")
    if own := next((each.service for each in found if each.service == each.gateway), None):
        raise ValueError(f"{own} cannot be its own gateway")
    return found
