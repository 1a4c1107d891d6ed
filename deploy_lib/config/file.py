"""The whole of deploy.toml, and what must agree between its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from deploy_lib import address
from deploy_lib.config.fields import Model, Name, SecretName
from deploy_lib.config.specs import EnvironmentSpec, SecretSpec
from deploy_lib.config.stacks import Stack
from deploy_lib.config.versions import Versions
from deploy_lib.names import did_you_mean


def _unknown(where: str, what: str, name: str, known: Iterable[str]) -> ValueError:
    names = sorted(known)
    question = did_you_mean(name, names)
    there = f"only {', '.join(names)}" if names else "and no other"
    return ValueError(f"{where}: there is no {what} {name!r}, {there}{f'; {question}' if question else ''}")


def _circle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """A circle of names: each needs the next, and the last the first; empty when there is none."""

    def follow(path: list[str]) -> list[str]:
        for name in needs[path[-1]]:
            if name in path:
                return [*path[path.index(name) :], name]
            if found := follow([*path, name]):
                return found
        return []

    return next((found for name in needs if (found := follow([name]))), [])


class File(Model):
    """The whole of deploy.toml.

    Attributes:
        default_environment: the one that is used when DEPLOY_ENV names none; a single one needs no such key.
        command: what an operator types before a task's name; messages that say what to run begin with it.
    """

    default_environment: Name | None = None
    command: str = Field(min_length=1, default="invoke")
    versions: Versions = Versions()
    secrets: dict[SecretName, SecretSpec] = Field(default_factory=dict)
    stacks: dict[Name, Stack]
    environments: dict[Name, EnvironmentSpec]

    def needed(self, stack: str) -> frozenset[str]:
        """The stacks that come before this one, those that they need included."""
        direct = self.stacks[stack].needs
        return frozenset(direct).union(*(self.needed(name) for name in direct))

    @field_validator("secrets", mode="before")
    @classmethod
    def _fields(cls, given: Any) -> Any:
        """A secret without a field has its own name there, too."""
        if not isinstance(given, dict):
            return given
        return {n: {"field": n, **each} if isinstance(each, dict) else each for n, each in given.items()}

    @model_validator(mode="after")
    def _names(self) -> File:
        if self.default_environment is not None and self.default_environment not in self.environments:
            raise _unknown("default_environment", "environment", self.default_environment, self.environments)
        typed: dict[str, str] = {}
        for stack in self.stacks:
            # deploy-all deploys all of them, and a task's name has dashes for underscores.
            other = typed.setdefault(stack.replace("_", "-"), stack)
            if stack == "all" or other != stack:
                raise ValueError(
                    f"stacks.{stack}: deploy-{stack.replace('_', '-')} already means something else"
                )
        for name, environment in self.environments.items():
            if "all" in environment.nodes:
                raise ValueError(f"environments.{name}.nodes.all: `--node all` already means every node")
            places: dict[tuple[str, int, str], str] = {}
            for node, spec in environment.nodes.items():
                for what in (spec.stack, spec.directory):
                    other = places.setdefault((*address.parse(spec.host).place, what), node)
                    if other != node:
                        raise ValueError(
                            f"environments.{name}.nodes.{node}: {other} already has {what} on {spec.host}"
                        )
        return self

    @model_validator(mode="after")
    def _references(self) -> File:
        for stack_name, stack in self.stacks.items():
            if stack.scrape is not None and stack.scrape.stack not in self.stacks:
                raise _unknown(f"stacks.{stack_name}.scrape.stack", "stack", stack.scrape.stack, self.stacks)
            for needed in stack.needs:
                if needed not in self.stacks or needed == stack_name:
                    others = [name for name in self.stacks if name != stack_name]
                    raise _unknown(f"stacks.{stack_name}.needs", "other stack", needed, others)
        if circle := _circle({name: stack.needs for name, stack in self.stacks.items()}):
            raise ValueError(f"stacks.{circle[0]}.needs: {' needs '.join(circle)}, a circle")
        applied: dict[str, str] = {}
        for stack_name, stack in self.stacks.items():
            for step in stack.apply:
                for name in (step.secret, *step.uses()):
                    if name not in self.secrets:
                        raise ValueError(f"stacks.{stack_name}.apply names no secret: {name!r}")
                if step.secret in applied:
                    raise ValueError(
                        f"stacks.{stack_name}.apply: {step.secret} has a step already, in {applied[step.secret]}"
                    )
                applied[step.secret] = stack_name
            for name in stack.exposed:
                if name not in self.secrets:
                    raise _unknown(f"stacks.{stack_name}.exposed", "secret", name, self.secrets)
        for env_name, env in self.environments.items():
            where = f"environments.{env_name}"
            for place, login in env.logins.items():
                if login.password not in self.secrets:
                    raise ValueError(f"{where}.{place}.password names no secret: {login.password!r}")
            for stack_name in env.stacks:
                if stack_name not in self.stacks:
                    raise _unknown(f"{where}.stacks", "stack", stack_name, self.stacks)
            for node_name, node in env.nodes.items():
                if node.stack not in self.stacks:
                    raise _unknown(f"{where}.nodes.{node_name}.stack", "stack", node.stack, self.stacks)
                scrape = self.stacks[node.stack].scrape
                if scrape and [n.stack for n in env.nodes.values()].count(scrape.stack) != 1:
                    raise ValueError(
                        f"{where}: the stack {scrape.stack}, which scrapes {node_name}, must be on one node"
                    )
                for kind, count in node.replicas.items():
                    places = len(self.stacks[node.stack].replicas.get(kind, ()))
                    if count > places:
                        raise ValueError(
                            f"{where}.nodes.{node_name}.replicas.{kind}: the stack {node.stack} "
                            f"has {places} services of that kind, not {count}"
                        )
        return self
