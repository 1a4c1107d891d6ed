"""What a stack's hosts get of the checkout."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from deploy_lib.compose.reference import Reference
from deploy_lib.release.files import Entry


class Expected(Struct, frozen=True):
    """What a Compose file refers to and the checkout does not ship: the host has it already, or the stack cannot run without it
    where it is needed.

    Attributes:
        why: it is not shipped, in a few words.
        hint: what to do where the host lacks it.
        data: its path, where the stack may fill it itself; "" otherwise.
        tracked: it is a secret's file that git has.
    """

    reference: Reference
    why: str
    hint: str
    data: str = ""
    tracked: bool = False


class Shipped(Struct, frozen=True):
    """A stack's files.

    Attributes:
        files: by path below the stack's directory on a host.
        compose_files: those of them that Compose is given, in their order.
        env_files: likewise, those with variables.
        inputs: all that Compose reads itself, these included.
        expected: what the host must have already, or may have.
        values: the variables of the env files.
        notes: what an operator should know, each with what to do about it.
        services: the names of all services, those of profiles that are not active, too.
        folders: directories that Compose must find, or it would take paths from another one.
    """

    files: Mapping[str, Entry]
    compose_files: tuple[str, ...]
    env_files: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    expected: tuple[Expected, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[tuple[str, str], ...] = ()
    services: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @property
    def read(self) -> dict[str, Entry]:
        """By path, what Compose reads, the links that may lead there, and the directories that it must find."""
        links = {path: entry for path, entry in self.files.items() if entry.target}
        return {
            **dict.fromkeys(self.folders, Entry(folder=True)),
            **links,
            **{path: self.files[path] for path in self.inputs},
        }
