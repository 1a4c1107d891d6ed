"""Where secret values come from: one call fetches all that a command needs, once.

Each source is a file of this package, or one of a project's own, with one class made from `Source`: its fields are the
keys of `[environments.*.secrets]`. docs/secrets.md says how to add one; `config/open_set.py` finds it.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from deploy_lib.config import Environment, SecretSource, SecretSpec
from deploy_lib.errors import PreflightError, UsageError
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.secrets.value import Secret


class Source(SecretSource, ABC):
    """Where values come from."""

    at_hand: ClassVar[bool] = False
    """Its values are on this machine, so commands that need no secret read and mask them, too."""

    @abstractmethod
    def name(self, root: Path) -> str:
        """Its name in messages, as an operator would call it.

        Args:
            root: the folder of deploy.toml.
        """

    @abstractmethod
    def fetch(self, specs: Mapping[str, SecretSpec], root: Path) -> Mapping[str, Secret]:
        """The values of `specs` that it has, by environment name.

        Missing values are left out, and values that break a rule are returned: the caller reports both.

        Args:
            root: the folder of deploy.toml.

        Raises:
            PreflightError: the source cannot be used; the message has no value in it.
        """


def source_of(environment: Environment) -> Source:
    """The source that deploy.toml names for this environment.

    Raises:
        UsageError: it names none, or what is no `Source`.
    """
    source = environment.secret_source
    if source is None:
        raise UsageError(
            f"environment {environment.name} has no source of secrets",
            hint=f"add [environments.{environment.name}.secrets] to deploy.toml, or leave the secrets out",
        )
    if not isinstance(source, Source):
        raise UsageError(
            f"{source.source} is no source of secrets: {type(source).__name__} is not made from Source"
        )
    return source


def fetch(environment: Environment, names: Sequence[str]) -> dict[str, Secret]:
    """The values of the secrets called `names`, checked against their rules; from now on no output shows them.

    Raises:
        UsageError: a name that deploy.toml does not declare.
        PreflightError: the source fails, or values are missing or too short; all of them are named.
    """
    unknown = [name for name in names if name not in environment.secrets]
    if unknown:
        raise UsageError(
            f"deploy.toml declares no secret {', '.join(unknown)}",
            hint=f"add [secrets.{unknown[0]}] with its field",
        )
    if not names:
        return {}
    specs = {name: environment.secrets[name] for name in names}
    source = source_of(environment)
    try:
        values = source.fetch(specs, environment.root)
    except PreflightError as error:
        if environment.made_by:
            error.hint = error.hint or f"make it: {environment.made_by}"
        raise
    REDACTOR.add(value for name, value in values.items() if specs[name].redact)
    problems = [problem for name, spec in specs.items() if (problem := _broken(name, spec, values.get(name)))]
    if problems:
        raise PreflightError(
            f"secrets from {source.name(environment.root)} break the rules of deploy.toml: {'; '.join(problems)}",
            hint=f"set these fields in {source.name(environment.root)}",
        )
    return dict(values)


def mask_what_is_at_hand(environment: Environment) -> None:
    """Masks the values that this machine has anyway in all output from now on; no vault is asked.

    What is missing or cannot be read is left out.
    """
    from deploy_lib.secrets.sources.environment import ProcessEnvironment

    specs = {name: spec for name, spec in environment.secrets.items() if spec.redact}
    sources = [source_of(environment)] if environment.secret_source is not None else []
    for source in (ProcessEnvironment(), *sources):
        if source.at_hand:
            with contextlib.suppress(PreflightError):
                REDACTOR.add(source.fetch(specs, environment.root).values())


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
