"""Sources of secrets: one call fetches all that a command needs, once."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from deploy_lib.config import Environment, FileSource, OnePasswordSource, ProcessEnvironmentSource, SecretSpec
from deploy_lib.errors import PreflightError, UsageError
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.secrets.value import Secret


class Source(Protocol):
    """Where values come from."""

    name: str
    """For messages: what the operator would call it."""

    def fetch(self, specs: Mapping[str, SecretSpec]) -> Mapping[str, Secret]:
        """The values of `specs` that it has, by environment name; what it lacks is left out.

        Raises:
            PreflightError: the source itself cannot be used.
        """
        ...


class File:
    """A JSON object of field names and values, in a file that nobody else may read."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def fetch(self, specs: Mapping[str, SecretSpec]) -> Mapping[str, Secret]:
        """See `Source.fetch`."""
        try:
            with self._path.open(encoding="utf-8") as file:
                self._judge(os.fstat(file.fileno()))
                content = json.load(file)
        except FileNotFoundError:
            raise PreflightError(
                f"there is no secret file {self._path}", mend="for the lab, run: invoke lab.up"
            ) from None
        except (OSError, ValueError):
            # A JSON error's text would quote the file.
            raise PreflightError(f"{self._path} cannot be read as JSON") from None
        if not isinstance(content, dict):
            raise PreflightError(f"{self._path} does not hold a JSON object")
        return {
            name: Secret(content[spec.field])
            for name, spec in specs.items()
            if isinstance(content.get(spec.field), str)
        }

    def _judge(self, about: os.stat_result) -> None:
        """Refuses a file that others could have written, or can read."""
        mode = stat.S_IMODE(about.st_mode)
        if about.st_uid not in (0, os.geteuid()):
            raise PreflightError(
                f"{self._path} belongs to another user (uid {about.st_uid})",
                mend=f"as root: chown {os.geteuid()} {self._path}",
            )
        if mode & 0o077:
            raise PreflightError(
                f"{self._path} may be read by others (mode {mode:04o})", mend=f"chmod 600 {self._path}"
            )


class ProcessEnvironment:
    """This process's environment, under the same names as on the host."""

    name = "this process's environment"

    def fetch(self, specs: Mapping[str, SecretSpec]) -> Mapping[str, Secret]:
        """See `Source.fetch`."""
        return {name: Secret(os.environ[name]) for name in specs if name in os.environ}


def source_of(environment: Environment) -> Source:
    """The source that deploy.toml names for this environment."""
    match environment.secret_source:
        case FileSource(path=path):
            return File(environment.root / path)
        case ProcessEnvironmentSource():
            return ProcessEnvironment()
        case OnePasswordSource() as spec:
            from deploy_lib.secrets.onepassword import OnePassword

            return OnePassword(spec)


def fetch(environment: Environment, names: Sequence[str]) -> dict[str, Secret]:
    """The values of the secrets called `names`, each of which keeps its rule; from now on no output shows them.

    Raises:
        UsageError: a name that deploy.toml does not declare.
        PreflightError: the source fails, or values are missing or too short; all of them are named.
    """
    unknown = [name for name in names if name not in environment.secrets]
    if unknown:
        raise UsageError(
            f"deploy.toml declares no secret {', '.join(unknown)}",
            mend=f"add [secrets.{unknown[0]}] with its field",
        )
    specs = {name: environment.secrets[name] for name in names}
    source = source_of(environment)
    values = source.fetch(specs)
    REDACTOR.add(value for name, value in values.items() if specs[name].redact)
    problems = [problem for name, spec in specs.items() if (problem := _broken(name, spec, values.get(name)))]
    if problems:
        raise PreflightError(
            f"secrets from {source.name} are not as deploy.toml wants them: {'; '.join(problems)}",
            mend=f"set these fields in {source.name}",
        )
    return dict(values)


def mask_what_is_at_hand(environment: Environment) -> None:
    """From now on no output shows the values that this machine has anyway; no vault is asked for others.

    What is missing or cannot be read is left out.
    """
    specs = {name: spec for name, spec in environment.secrets.items() if spec.redact}
    REDACTOR.add(ProcessEnvironment().fetch(specs).values())
    if isinstance(environment.secret_source, FileSource):
        with contextlib.suppress(PreflightError):
            REDACTOR.add(source_of(environment).fetch(specs).values())


def _broken(name: str, spec: SecretSpec, value: Secret | None) -> str | None:
    if value is None:
        return f"{name} (field {spec.field}) is missing"
    if len(value) < spec.min_length:
        at_least = "is empty" if spec.min_length == 1 else f"has fewer than {spec.min_length} characters"
        return f"{name} (field {spec.field}) {at_least}"
    if "\0" in value.reveal():
        return f"{name} (field {spec.field}) holds a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in value.reveal()):
        return f"{name} (field {spec.field}) is not text in UTF-8"
    return None
