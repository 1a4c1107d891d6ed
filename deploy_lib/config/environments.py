"""An environment as a command uses it, and its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from deploy_lib import address
from deploy_lib.config.fields import Model
from deploy_lib.config.parts import Apply
from deploy_lib.config.specs import Registry, SecretSource, SecretSpec
from deploy_lib.config.stacks import Stack
from deploy_lib.config.versions import Versions
from deploy_lib.errors import UsageError
from deploy_lib.names import did_you_mean

FILE = "deploy.toml"


class Node(Model):
    """A node with all that a deployment needs to know of it.

    Attributes:
        needs: the stacks that come before its own, those that they need included.
        command: what a task is typed with; see `File`.
        project: the name of its Compose project, as deploy.toml gives it; None: the Compose file has it.
        become: see `NodeSpec`.
        optional: see `NodeSpec`.
    """

    name: str
    host: str
    directory: PurePosixPath
    stack_name: str
    stack: Stack
    variables: Mapping[str, str]
    replicas: Mapping[str, int]
    needs: frozenset[str] = frozenset()
    command: str = "invoke"
    project: str | None = None
    become: bool = False
    optional: bool = False

    def task(self, words: str) -> str:
        """A task as an operator types it, for messages."""
        return f"{self.command} {words}"

    @property
    def deploy_task(self) -> str:
        """The one that deploys its stack."""
        return self.task(f"deploy-{self.stack_name.replace('_', '-')}")


class Environment(Model):
    """The environment that DEPLOY_ENV picked.

    Attributes:
        root: the folder that holds deploy.toml; its paths are relative to it.
        image_registry: "" for a project without images of its own.
        registries: all logins, that of `image_registry` first.

    See `EnvironmentSpec` and `File` for the others.
    """

    name: str
    root: Path
    image_registry: str
    registries: tuple[Registry, ...] = ()
    default_tag: str
    versions: Versions
    ssh_config: Path | None
    made_by: str | None = None
    allow_dirty: bool = False
    secret_source: SecretSource | None
    secrets: Mapping[str, SecretSpec]
    nodes: Mapping[str, Node]

    @property
    def registry_host(self) -> str:
        """`host[:port]` of the registry of `image_registry`; "" without one."""
        return self.image_registry.partition("/")[0]

    @property
    def registry(self) -> Registry:
        """The login at the registry of `image_registry`, for those who push images.

        Raises:
            UsageError: the environment has none.
        """
        found = next((each for each in self.registries if each.host == self.registry_host), None)
        if found is None:
            lacks = "registry" if self.image_registry else "image_registry"
            raise UsageError(
                f"{FILE}: environments.{self.name}.{lacks} is missing, so no image can be pushed"
            )
        return found

    @property
    def follows(self) -> str | None:
        """The REMOTE/BRANCH whose newest commit is deployed by default; None where that is something else."""
        return self.default_tag if "/" in self.default_tag else None

    @property
    def fixed_tag(self) -> str | None:
        """The image tag that is deployed by default; None where it is a commit's."""
        return None if self.default_tag == "HEAD" or "/" in self.default_tag else self.default_tag

    @property
    def apply(self) -> dict[str, Apply]:
        """By secret, what changing it takes, whichever stack the step belongs to, and whichever name the same field has there."""
        steps = [step for node in self.nodes.values() for step in node.stack.apply]
        return {name: step for step in steps for name in self.names_of(step.secret)}

    def names_of(self, secret: str) -> list[str]:
        """The names of the secrets that come from the same field as this one, itself among them."""
        if self.secret_source is None:
            return [secret]
        place = self.secret_source.place
        return [name for name, spec in self.secrets.items() if place(spec) == place(self.secrets[secret])]

    def nodes_at(self, host: str) -> list[Node]:
        """The nodes whose host is `host` ([user@]host[:port]): one for each stack that it runs.

        Raises:
            UsageError: no node of this environment has it, or several hosts differ by their ports alone.
        """
        try:
            wanted = address.parse(host)
        except ValueError as error:
            raise UsageError(str(error)) from None
        places = {name: address.parse(node.host) for name, node in self.nodes.items()}
        found = [node for node in self.nodes.values() if places[node.name].is_at(wanted)]
        # A node without a port is at ssh_config's: elsewhere, where another node has the very port that is asked for.
        found = [node for node in found if wanted.port and places[node.name].port == wanted.port] or found
        if len({places[node.name].port for node in found}) > 1:
            hosts = dict.fromkeys(node.host for node in found)
            raise UsageError(
                f"{host!r} means several hosts: {', '.join(hosts)}", hint="name the port as well"
            )
        if not found:
            known = list(dict.fromkeys(node.host for node in self.nodes.values()))
            raise UsageError(
                f"{FILE} knows no host {wanted.host!r} in environment {self.name}; it knows {', '.join(known)}",
                hint=did_you_mean(wanted.host, known),
            )
        return found

    def select(self, names: list[str] | None, stack: str | None = None) -> list[Node]:
        """The nodes called `names` ("all" or nothing: every node), or those of them that run `stack`.

        Raises:
            UsageError: an unknown name, a node that does not run `stack`, or no node that does.
        """
        nodes = [n for n in self.nodes.values() if stack in (None, n.stack_name)]
        if not nodes:
            others = list(dict.fromkeys(n.stack_name for n in self.nodes.values()))
            raise UsageError(
                f"no node of environment {self.name} runs the stack {stack}; its nodes run {', '.join(others)}",
                hint=did_you_mean(stack or "", others),
            )
        if not names or "all" in names:
            return nodes
        for name in names:
            if name not in self.nodes:
                raise UsageError(
                    f"there is no node {name!r}; there are {', '.join(self.nodes)}",
                    hint=did_you_mean(name, self.nodes),
                )
            if self.nodes[name] not in nodes:
                raise UsageError(f"node {name} runs the stack {self.nodes[name].stack_name}, not {stack}")
        return [n for n in nodes if n.name in names]
