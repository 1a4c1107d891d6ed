"""Reading deploy.toml: errors name the file and the key."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from deploy_lib.address import without_user
from deploy_lib.config.environments import FILE, Environment, Node
from deploy_lib.config.file import File
from deploy_lib.config.stacks import StackFiles
from deploy_lib.errors import UsageError
from deploy_lib.names import did_you_mean

LARGEST = 1024 * 1024
"""Bytes of deploy.toml."""


def load(root: Path, environment: str | None = None, *, beside: Path | None = None) -> Environment:
    """Reads deploy.toml in `root` and picks an environment.

    Args:
        root: the folder of deploy.toml.
        environment: its name; otherwise DEPLOY_ENV's, otherwise `default_environment`, otherwise the only one.
        beside: see `read`.

    Raises:
        UsageError: with the file and the path of the key that is wrong.
    """
    file = read(root, beside=beside)
    name = environment or os.environ.get("DEPLOY_ENV") or _default(file)
    if name not in file.environments:
        raise UsageError(
            f"{FILE}: there is no environment {name!r} (from DEPLOY_ENV); there are {', '.join(sorted(file.environments))}",
            hint=did_you_mean(name, file.environments),
        )
    spec = file.environments[name]
    return Environment(
        name=name,
        root=root,
        image_registry=spec.image_registry or "",
        registries=tuple(spec.logins.values()),
        default_tag=spec.default_tag,
        versions=file.versions,
        made_by=spec.made_by,
        allow_dirty=spec.allow_dirty,
        ssh_config=root / spec.ssh_config if spec.ssh_config else None,
        secret_source=spec.secrets,
        secrets=file.secrets,
        nodes={
            node_name: Node(
                name=node_name,
                host=node.host,
                directory=PurePosixPath(node.directory),
                stack_name=node.stack,
                stack=file.stacks[node.stack]
                .with_files(spec.stacks.get(node.stack, StackFiles()))
                .with_files(StackFiles(env_file=node.env_file)),
                variables=node.variables,
                replicas=node.replicas,
                needs=file.needed(node.stack),
                command=file.command,
                project=node.project or file.stacks[node.stack].project,
                become=node.become,
                optional=node.optional,
            )
            for node_name, node in spec.nodes.items()
        },
    )


def _default(file: File) -> str:
    if file.default_environment is not None:
        return file.default_environment
    if len(file.environments) == 1:
        return next(iter(file.environments))
    raise UsageError(
        f"{FILE} has several environments: {', '.join(sorted(file.environments))}",
        hint=f"set DEPLOY_ENV to one of them, or default_environment in {FILE}",
    )


def read(root: Path, *, beside: Path | None = None) -> File:
    """The typed content of the deploy.toml in `root`, whichever environment is meant.

    Args:
        beside: where a project's own programs and secret sources lie, when not there.

    Raises:
        UsageError: naming what is wrong.
    """
    return parse(_read(root / FILE), beside or root)


def parse(text: str, root: Path | None = None) -> File:
    """The typed content of deploy.toml.

    Args:
        root: the folder of deploy.toml, beside which a project's own programs and secret sources lie.

    Raises:
        UsageError: naming the first wrong key, and how many more there are.
    """
    try:
        return File.model_validate(tomllib.loads(text), context={"root": root or Path()})
    except RecursionError:
        raise UsageError(f"{FILE} is nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{FILE} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise explained(error, FILE, File) from None


def _read(path: Path) -> str:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            raise UsageError(f"{path} is not a file of less than {LARGEST // 1024} KiB")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"there is no {FILE} in {path.parent}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8: byte {error.start}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def explained(error: ValidationError, file: str, model: type[BaseModel]) -> UsageError:
    """What is wrong with a file: its first wrong key and why, and how many more there are."""
    first, *others = error.errors(include_url=False, include_context=False)
    path = list(first["loc"])
    reason = {
        "extra_forbidden": "unknown key",
        "missing": "this key is missing",
    }.get(first["type"], first["msg"].removeprefix("Value error, "))
    given = first["input"]
    shown = (
        f" (it is {(without_user(given) if isinstance(given, str) else given)!r})"
        if isinstance(given, str | int | float | bool) and first["type"] != "missing"
        else ""
    )
    more = f"; and {len(others)} more" if others else ""
    where = f"{'.'.join(str(part) for part in path)}: " if path else ""
    question = None
    if first["type"] == "extra_forbidden":
        question = did_you_mean(str(path[-1]), keys_at(model, path[:-1]))
    asked = f"; {question}" if question else ""
    return UsageError(f"{file}: {where}{reason}{asked}{shown}{more}")


def keys_at(annotation: Any, path: Sequence[str | int]) -> set[str]:
    """The keys that a table of deploy.toml may have.

    Args:
        annotation: the type of the outermost table.
        path: where the table is below that one.
    """
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        if not path:
            return set(fields)
        return keys_at(fields[str(path[0])], path[1:]) if path[0] in fields else set()
    inner = [each for each in get_args(annotation) if each is not Ellipsis]
    if get_origin(annotation) in (dict, tuple):
        # A table's name, or a place in a list.
        return keys_at(inner[-1], path[1:]) if path else set()
    return {key for each in inner for key in keys_at(each, path)}
