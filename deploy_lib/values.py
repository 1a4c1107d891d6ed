"""Values: what one function gives to the next. All of them are `msgspec.Struct`, and this is what that lacks.

A command makes about 130 such classes when it starts. `dataclass` compiles the methods of each, which takes thirty times as long,
and a quarter of the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    # It does the same, and type checkers know which changes a value can have.
    from dataclasses import replace as replace
else:
    from msgspec.structs import replace as replace


def repr_without(value: Struct, *hidden: str) -> str:
    """The `repr` of a value without some of its fields: what is secret or long is in no traceback and in no output of a test."""
    fields = (name for name in value.__struct_fields__ if name not in hidden)
    return f"{type(value).__name__}({', '.join(f'{name}={getattr(value, name)!r}' for name in fields)})"


class Compared(Struct, frozen=True):
    """A value that is equal to others by what it gives for that, and not by all of its fields."""

    def _by(self) -> object:
        """What it is compared by."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return (
            self._by() == other._by()
            if isinstance(other, Compared) and type(other) is type(self)
            else NotImplemented
        )

    def __ne__(self, other: object) -> bool:
        # A Struct would still compare all fields.
        return not self == other

    def __hash__(self) -> int:
        return hash(self._by())


def fields_without(value: Struct, *ignored: str) -> tuple[Any, ...]:
    """The fields by which a value is compared, where some do not count."""
    return tuple(getattr(value, name) for name in value.__struct_fields__ if name not in ignored)
