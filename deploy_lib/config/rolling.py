"""Services that are not replaced all at once: without losing a request, or one replica of a kind after the other."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo

from deploy_lib.config.fields import Kind, Model, Seconds
from deploy_lib.config.open_set import OpenSet


class InTurn(Model):
    """A kind of replicas of which one is replaced after the other.

    Attributes:
        kind: one of `[stacks.*.replicas]`.
        log: what the log of a new one says once it does its work, such as that it is registered, word for word; without it, it is
            enough that it is healthy.
    """

    kind: Kind
    log: str = ""


class Rolling(Model):
    """A service that is replaced without losing a request: a new container beside the old one, behind a gateway of the same stack.

    Each kind of gateway is a file of its own, with its own further keys.

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
    """A table of deploy.toml as what it is for: a kind, or the gateway that it names; for pydantic's `BeforeValidator`.

    Raises:
        ValidationError: the name or one of the other keys is wrong.
    """
    if isinstance(value, dict) and "kind" in value:
        return InTurn.model_validate(value)
    usual = {"program": Rolling.model_fields["program"].default}
    return GATEWAYS.read({**usual, **value} if isinstance(value, dict) else value, info)


def once(found: tuple[Rolling | InTurn, ...]) -> tuple[Rolling | InTurn, ...]:
    """The same, where no service and no kind has two of them, and none is its own gateway.

    Raises:
        ValueError: which says what is wrong.
    """
    for what, names in (
        ("service", [each.service for each in found if isinstance(each, Rolling)]),
        ("kind", [each.kind for each in found if isinstance(each, InTurn)]),
    ):
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two of them are for the {what} {twice!r}")
    for each in found:
        if isinstance(each, Rolling) and each.service == each.gateway:
            raise ValueError(f"{each.service} cannot be its own gateway")
    return found
