"""Flags: each is declared once, with what it means and how its text becomes a value; `fab` and `invoke` take theirs from here.

Invoke gets texts only, so that a bad value is this program's own error, with its exit status.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from msgspec import Struct, field

from deploy_lib import request
from deploy_lib.errors import UsageError
from deploy_lib.request import REF, image, whole_number, word
from deploy_lib.values import replace

Raw = str | bool | list[str] | None
"""What Invoke makes of a flag: a text, a switch, the texts of one that was given several times, or nothing."""

Value = TypeVar("Value")


class Flag(Struct, Generic[Value], frozen=True):
    """One flag, or the one argument that a task cannot do without.

    Attributes:
        name: as it is typed, without its dashes.
        help: what it means; `invoke --help TASK` shows it.
        read: makes the value of what Invoke gives, and of `empty`. Raises UsageError.
        empty: what Invoke gives when it was not typed. None makes it a flag with a text, False a switch.
        several: it may be given more than once.
        required: it is an argument, typed without its name.
        optional: it may be given without a text, which is then True.
    """

    name: str
    help: str
    read: Callable[[Raw], Value]
    empty: Raw = None
    several: bool = False
    required: bool = False
    optional: bool = False

    @property
    def key(self) -> str:
        """Its name in Python."""
        return self.name.replace("-", "_")

    def saying(self, text: str) -> Flag[Value]:
        """The same, with another explanation."""
        return replace(self, help=text)

    def typed(self, value: object) -> Raw:
        """What Invoke would give for what a task in Python passes: a number as text, one name as a list of one.

        Raises:
            UsageError: nobody could type that.
        """
        if value is None:
            return self.empty
        if isinstance(self.empty, bool) or (self.optional and value is True):
            return bool(value)
        if self.several:
            many = [value] if isinstance(value, str) else value
            if isinstance(many, list | tuple) and all(isinstance(each, str) for each in many):
                return list(many)
        elif isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
        raise UsageError(f"{self.key} is {value!r}: that is no {'list of texts' if self.several else 'text'}")

    def parameter(self) -> inspect.Parameter:
        """Its place in the signature of a task."""
        default = inspect.Parameter.empty if self.required else self.empty
        return inspect.Parameter(self.key, inspect.Parameter.KEYWORD_ONLY, default=default)


class Given(Struct, frozen=True):
    """The flags as they were typed.

    Attributes:
        texts: by the flag's name.
    """

    texts: Mapping[str, Raw] = field(default_factory=dict)

    def __getitem__(self, flag: Flag[Value]) -> Value:
        """A flag's value; its default when the task does not have the flag.

        Raises:
            UsageError: its text makes no sense.
        """
        return flag.read(self.texts.get(flag.name, flag.empty))

    @property
    def replicas(self) -> dict[str, int]:
        """By kind, how many replicas were asked for.

        Raises:
            UsageError: one is no number.
        """
        kinds = [name.removeprefix(_REPLICAS) for name in self.texts if name.startswith(_REPLICAS)]
        counts = {kind: self[replicas(kind)] for kind in kinds}
        return {kind: count for kind, count in counts.items() if count is not None}


def _text(raw: Raw) -> str | None:
    return raw if isinstance(raw, str) else None


def _names(raw: Raw) -> list[str]:
    return list(raw) if isinstance(raw, list) else []


def _word(name: str, text: str, form: str = REF) -> Flag[str | None]:
    return Flag(name, text, lambda raw: word(f"--{name}", _text(raw), form))


def _number(name: str, text: str, allowed: range) -> Flag[int | None]:
    def read(raw: Raw) -> int | None:
        return None if raw is None else whole_number(f"--{name}", _text(raw), 0, allowed)

    return Flag(name, text, read)


def _switch(name: str, text: str) -> Flag[bool]:
    return Flag(name, text, bool, empty=False)


def _names_of_services(raw: Raw) -> Iterator[str]:
    for each in _names(raw):
        if name := word("--service", each, request.SERVICE):
            yield name


_REPLICAS = "replicas-"

NODE: Flag[list[str]] = Flag("node", "a node, or all", _names, several=True)
STACK: Flag[str] = Flag("stack", "a stack of deploy.toml", lambda raw: _text(raw) or "", required=True)
TAG = _word(
    "tag",
    "an image tag (sha-abc1234, 1.4.2, latest), a full SHA, or a git ref; otherwise the environment's default",
)
SERVICE = _word("service", "this service only", request.SERVICE)
SERVICES: Flag[tuple[str, ...]] = Flag(
    "service",
    "change this service only; may be given more than once",
    lambda raw: tuple(dict.fromkeys(_names_of_services(raw))),
    several=True,
)
BACKUP = _word("backup", "the backup to put back, by its id; `backups` lists them")
IMAGE: Flag[tuple[tuple[str, str], ...]] = Flag(
    "image",
    "NAME=REF: a service, or all that use an image of that name, get one of this machine's engine, or of a `docker save` file, "
    "and no registry is needed for it; may be given more than once",
    lambda raw: tuple(dict.fromkeys(image(each) for each in _names(raw))),
    several=True,
)
REFRESH: Flag[str | None] = Flag(
    "refresh",
    "take the newest image of a tag that is not the project's own: of all services, or of the one that is named",
    lambda raw: "" if raw is True else word("--refresh", _text(raw), request.SERVICE),
    optional=True,
)
DRY_RUN = _switch("dry-run", "show what would change, and change nothing")
SKIP_VALIDATION = _switch(
    "skip-validation", "only warn of failed checks, as far as the deployment can go on without them"
)
NO_ROLLBACK = _switch("no-rollback", "leave a failed release in place, to look at it (exit 11)")
WAIT_LOCK = _number("wait-lock", "seconds to wait for another deployment to end", range(0, 24 * 3600 + 1))
PARALLEL = _number("parallel", "how many nodes at once; otherwise all", range(1, 101))
FOLLOW = _switch("follow", "print new lines as they come, until Ctrl-C")
JSON = _switch("json", "one JSON document on standard output")
DEBUG = _switch("debug", "show details")
TIMINGS = _switch(
    "timings", "say at the end where the time went: each node's phases, and what they waited for"
)


def replicas(kind: str) -> Flag[int | None]:
    """How many replicas of a kind."""
    text = (
        f"{kind} replicas on each node; otherwise as many as run there, at first as many as deploy.toml says"
    )
    return _number(f"{_REPLICAS}{kind}", text, range(0, 101))


def tail(text: str, default: int, allowed: range) -> Flag[int]:
    """How many lines of something."""
    return Flag(
        "tail",
        f"{text}; otherwise {default}",
        lambda raw: whole_number("--tail", _text(raw), default, allowed),
    )


LOG_LINES = tail("how many lines of each container", 100, range(0, 1_000_001))
EVENTS = tail("how many events of each node", 20, range(1, 100_001))


def of_stack(stacks: Iterable[str]) -> Flag[str]:
    """The argument `stack`, with the known names in its help."""
    return STACK.saying(", ".join(stacks) or STACK.help)


def of_node(nodes: Iterable[str]) -> Flag[list[str]]:
    """`--node`, with the known names in its help."""
    names = ", ".join(nodes) or "a node of deploy.toml"
    return NODE.saying(f"{names} or all; may be given more than once")


Flags = tuple[Flag[Any], ...]
"""The flags of a task, in the order in which help lists them."""
