"""Done: the result of a command on several nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from deploy_lib.errors import ExitCode
from deploy_lib.node.deployment import Deployment
from deploy_lib.plan.preview import Preview


class Done(Struct, frozen=True):
    """The result of a command on several nodes.

    Attributes:
        nodes: those that took part; each holds its own outcome.
        previews: by node, the plan in detail, of a dry run.
        removed: by node, the files and images that pruning removed, or would remove.
    """

    exit: ExitCode
    nodes: Sequence[Deployment]
    previews: Mapping[str, Preview] = field(default_factory=dict)
    removed: Mapping[str, Sequence[str]] = field(default_factory=dict)
