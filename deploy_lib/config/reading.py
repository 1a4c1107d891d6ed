"""Reading deploy.toml: errors name the file and the key."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path, PurePosixPath

from pydantic import (
    ValidationError,
)

from deploy_lib.config.environments import FILE, Environment, File, Node
from deploy_lib.errors import UsageError

DEFAULT_ENVIRONMENT = "homelab"

LARGEST = 1024 * 1024
"""Bytes of deploy.toml."""


def load(root: Path, environment: str | None = None) -> Environment:
    """Reads deploy.toml in `root` and picks an environment.

    Args:
        root: the folder of deploy.toml.
        environment: its name; otherwise DEPLOY_ENV's, otherwise `homelab`.

    Raises:
        UsageError: with the file and the path of the key that is wrong.
    """
    file = parse(_read(root / FILE), root)
    name = environment or os.environ.get("DEPLOY_ENV") or DEFAULT_ENVIRONMENT
    if name not in file.environments:
        raise UsageError(
            f"{FILE}: there is no environment {name!r} (from DEPLOY_ENV); "
            f"there are {', '.join(sorted(file.environments))}"
        )
    spec = file.environments[name]
    return Environment(
        name=name,
        root=root,
        image_registry=spec.image_registry,
        registry=spec.registry,
        default_tag=spec.default_tag,
        ssh_config=root / spec.ssh_config if spec.ssh_config else None,
        secret_source=spec.secrets,
        secrets=file.secrets,
        nodes={
            node_name: Node(
                name=node_name,
                host=node.host,
                directory=PurePosixPath(node.directory),
                stack_name=node.stack,
                stack=file.stacks[node.stack],
                variables=node.variables,
                replicas=node.replicas,
            )
            for node_name, node in spec.nodes.items()
        },
    )


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
        raise UsageError(_explain(error)) from None


def _read(path: Path) -> str:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            raise UsageError(f"{path} is no file of less than {LARGEST // 1024} KiB")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"there is no {FILE} in {path.parent}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8: byte {error.start}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _explain(error: ValidationError) -> str:
    first, *others = error.errors(include_url=False, include_context=False)
    path = ".".join(str(part) for part in first["loc"])
    reason = {
        "extra_forbidden": "unknown key",
        "missing": "this key is missing",
    }.get(first["type"], first["msg"].removeprefix("Value error, "))
    given = first["input"]
    shown = (
        f" (it is {given!r})"
        if isinstance(given, str | int | float | bool) and first["type"] != "missing"
        else ""
    )
    more = f"; and {len(others)} more" if others else ""
    return f"{FILE}: {path + ': ' if path else ''}{reason}{shown}{more}"
