"""Decision: one node's part in a command, and what the command is to do there; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from msgspec import Struct, field

from deploy_lib.config import Environment, Node
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.programs import Program
from deploy_lib.host.stack import HostStack
from deploy_lib.plan import replicas
from deploy_lib.plan.patch import Patch
from deploy_lib.plan.plan import Plan
from deploy_lib.release.image import Image
from deploy_lib.release.release import Version
from deploy_lib.request import Request
from deploy_lib.source.checkout import Local
from deploy_lib.values import Selective


class Job(Struct, frozen=True):
    """One node's part in a command, before its host is asked.

    Attributes:
        local: what this checkout has of the node's stack.
        release_id: of the release that the command makes; the same on all nodes.
        patches: by service, the image of the operator's own that it gets.
    """

    environment: Environment
    node: Node
    local: Local
    request: Request
    release_id: str
    patches: Mapping[str, Patch] = field(default_factory=dict)

    @property
    def shipped_images(self) -> set[Image]:
        """The images that reach the host through the session, and from no registry."""
        return {patch.image for patch in self.patches.values()}

    @property
    def patched(self) -> dict[str, str]:
        """For the record of a release: see `Release.patches`."""
        return {service: patch.shown for service, patch in self.patches.items()}

    @property
    def stack(self) -> HostStack:
        """The stack on its host."""
        shipped = self.local.shipped
        borrowed = [e.reference.path for e in shipped.expected if e.reference.kind == "input"]
        return HostStack(
            self.node,
            self.local.project,
            compose_files=shipped.compose_files,
            env_files=shipped.env_files,
            paths=tuple(shipped.files),
            borrowed=tuple(dict.fromkeys(borrowed)),
            expected=tuple(dict.fromkeys(e.reference.path for e in shipped.expected)),
        )

    def variables(self, version: Version, facts: Facts) -> dict[str, str]:
        """What the Compose file gets beside its env file, for a version; no secrets."""
        return {
            **self.node.variables,
            **self._version(version),
            **replicas.variables(self.replicas(facts)),
        }

    def _version(self, version: Version) -> dict[str, str]:
        """What says where the project's own images are, and which; nothing for a project that has none."""
        environment = self.environment
        if not environment.image_registry:
            return {}
        return {
            environment.versions.registry_variable: environment.image_registry,
            environment.versions.tag_variable: version.tag,
        }

    def replicas(self, facts: Facts) -> dict[str, int]:
        """By service that can be scaled, how many containers it is to have."""
        return replicas.choose(self.node, self.request.replicas, facts.replicas)


class Decision(Selective, frozen=True):
    """A plan, and how it is carried out.

    Attributes:
        key: what the fingerprints of the host's secrets are made with.
        keep_values: all secret values that run stay; then nothing is migrated, and lost images are not pulled again.
        applies: the steps that change secrets in programs' own data, too.
        chosen: the only services that are touched; empty for all.
        kept: without `keep_values`, the secrets whose running values stay.
        withheld: those of `kept` whose source has another value: the host does not get that one.
    """

    HIDDEN: ClassVar[tuple[str, ...]] = ("key",)

    plan: Plan
    key: str
    keep_values: bool = False
    applies: Sequence[Program] = ()
    chosen: Sequence[str] = ()
    kept: Sequence[str] = ()
    withheld: Sequence[str] = ()
