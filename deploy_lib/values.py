"""Values: what one function gives to the next. All of them are `msgspec.Struct`, and this is what that lacks.

A command makes about 130 such classes when it starts. `dataclass` compiles the methods of each, which takes thirty times as long,
and a fifth of a deployment's CPU time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct

if TYPE_CHECKING:
    # It does the same, and type checkers know which changes a value can have.
    from dataclasses import replace as replace
else:
    from msgspec.structs import replace as replace


class Selective(Struct, frozen=True):
    """A value that does not show, or is not compared by, all of its fields.

    Attributes:
        HIDDEN: the fields that are in no `repr`, and so in no traceback and in no output of a test: what is secret or long.
        IGNORED: the fields that do not count where two values are compared.
    """

    HIDDEN: ClassVar[tuple[str, ...]] = ()
    IGNORED: ClassVar[tuple[str, ...]] = ()

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # A Struct has one of its own, with all fields, which tracebacks made by Rich show.
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in self.HIDDEN]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"
        )

    def _by(self) -> object:
        """What it is compared by."""
        return tuple(getattr(self, name) for name in self.__struct_fields__ if name not in self.IGNORED)

    def __eq__(self, other: object) -> bool:
        return self._by() == other._by() if isinstance(other, type(self)) else NotImplemented

    def __ne__(self, other: object) -> bool:
        # A Struct would still compare all fields.
        return not self == other

    def __hash__(self) -> int:
        return hash(self._by())
