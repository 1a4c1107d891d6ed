"""Open sets: one file each, found by the name that deploy.toml gives it, with a model for its own keys.

`OpenSet` finds the file, imports it and no other, and reads a table of deploy.toml with the model in it. A name is one of

- a short name, `postgres-role`: a file of this package, called by the name's first word: `postgres.py`;
- a file beside deploy.toml, `ops/redis.py`;
- a module of an installed package, `acme_deploy.redis`.

So adding one is adding a file; no list has to name it.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin

from msgspec import Struct, field
from pydantic import ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from deploy_lib.config.fields import Model, inside

T = TypeVar("T", bound=Model)

_SHORT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


class NotFoundError(Exception):
    """A name that stands for no file, or for one that cannot be used; with the reason."""


class OpenSet(Struct, Generic[T], frozen=True):
    """What deploy.toml can name, and where that is found.

    Attributes:
        key: the key of the table that has the name.
        what: what it is, for messages.
        package: whose modules have the short names. It is imported when the first is asked for, so it may be above this room.
        base: what a model in such a file is made from.
        modules: by short name, the module, where it is not the name's first word.
    """

    key: str
    what: str
    package: str
    base: type[T]
    modules: Mapping[str, str] = field(default_factory=dict)

    def read(self, value: Any, info: ValidationInfo) -> Any:
        """A table of deploy.toml as the model that it names; for pydantic's `BeforeValidator`.

        The validation's context may have `root`, the folder of deploy.toml; otherwise it is the current directory.

        Raises:
            ValidationError: the name or one of the other keys is wrong.
        """
        if not isinstance(value, Mapping):
            return value
        if self.key not in value:
            raise self._refused("missing", value)
        name = value[self.key]
        if not isinstance(name, str):
            raise self._refused("string_type", name)
        try:
            model = self.find(name, (info.context or {}).get("root", Path()))
        except NotFoundError as error:
            raise self._refused(
                PydanticCustomError("open_set", "{reason}", {"reason": str(error)}), name
            ) from None
        return model.model_validate(value, context=info.context)

    def find(self, name: str, root: Path) -> type[T]:
        """The model that `name` stands for.

        Raises:
            NotFoundError: there is none.
        """
        if name.endswith(".py"):
            return self._only(_from_file(name, root), name)
        if _DOTTED.fullmatch(name):
            return self._only(_imported(name), name)
        if _SHORT.fullmatch(name):
            module = self.modules.get(name, name.partition("-")[0])
            if importlib.util.find_spec(f"{self.package}.{module}"):
                models = self._models(importlib.import_module(f"{self.package}.{module}"))
                for model in models:
                    if name in self._names(model):
                        return model
        raise NotFoundError(self._unknown(name))

    def known(self) -> list[str]:
        """All short names; every file of the package is imported for it."""
        return sorted(name for model in self.every() for name in self._names(model))

    def every(self) -> list[type[T]]:
        """The models of the package that have a short name; every file of it is imported."""
        from pkgutil import iter_modules

        found = iter_modules(importlib.import_module(self.package).__path__)
        modules = [importlib.import_module(f"{self.package}.{module.name}") for module in found]
        return [model for module in modules for model in self._models(module) if self._names(model)]

    def _models(self, module: ModuleType) -> list[type[T]]:
        return [
            found
            for found in vars(module).values()
            if isinstance(found, type)
            and issubclass(found, self.base)
            and found.__module__ == module.__name__
        ]

    def _names(self, model: type[T]) -> tuple[str, ...]:
        annotation = model.model_fields[self.key].annotation
        return get_args(annotation) if get_origin(annotation) is Literal else ()

    def _only(self, module: ModuleType, name: str) -> type[T]:
        models = self._models(module)
        if len(models) != 1:
            many = f"{len(models)} {self.what}s" if models else f"no {self.what}"
            raise NotFoundError(f"{name} has {many}: it needs one class made from {self.base.__name__}")
        lacking = sorted(getattr(models[0], "__abstractmethods__", ()))
        if lacking:
            raise NotFoundError(f"{name}: {models[0].__name__} lacks {', '.join(lacking)}")
        return models[0]

    def _unknown(self, name: str) -> str:
        from difflib import get_close_matches

        known = self.known()
        near = get_close_matches(name, known, 1)
        meant = f", did you mean {near[0]!r}?" if near else ";"
        return (
            f"there is no {self.what} {name!r}{meant} there are {', '.join(known)}, "
            f"and a file of yours (folder/name.py) or an installed module (package.module) can be one"
        )

    def _refused(self, reason: Any, value: Any) -> ValidationError:
        return ValidationError.from_exception_data(
            self.what, [{"type": reason, "loc": (self.key,), "input": value}]
        )


def _from_file(name: str, root: Path) -> ModuleType:
    try:
        path = (root / inside(name)).resolve()
    except ValueError as error:
        raise NotFoundError(str(error)) from None
    if not path.is_file():
        raise NotFoundError(f"there is no file {name} beside deploy.toml")
    # Called by its path: files of one name in two projects differ, and one that is named twice is imported once.
    module_name = "deploy_toml_" + "".join(_escaped(str(path)))
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise NotFoundError(f"{name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # pydantic looks a model's annotations up there.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 - whatever a project's own file does
        del sys.modules[module_name]
        raise NotFoundError(_cannot(name, error)) from None
    return module


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - whatever another package's module does
        raise NotFoundError(_cannot(name, error)) from None


def _cannot(name: str, error: Exception) -> str:
    said = " ".join(str(error).split())
    return f"{name} cannot be imported: {type(error).__name__}: {said}"


def _escaped(path: str) -> Iterator[str]:
    """No two paths alike, and no dot in it, which would make it a module of a package."""
    yield from (c if c.isalnum() else f"_{ord(c):x}_" for c in path)
