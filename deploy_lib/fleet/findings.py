"""What the survey found, and whether a deployment may go on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from deploy_lib.checks import (
    Check,
    reach,
)
from deploy_lib.checks.check import failed
from deploy_lib.config import Node
from deploy_lib.errors import (
    PreflightError,
)
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login, Manifest
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.preflight import Values
from deploy_lib.output.console import Console
from deploy_lib.release.release import Version
from deploy_lib.values import replace

HERE = "here"
"""What the checks of this machine are listed under."""


class NodeSurvey(Struct, frozen=True):
    """What was found on one node.

    Attributes:
        began, ended: when it was asked, UTC.
    """

    node: Node
    facts: Facts
    checks: tuple[Check, ...]
    began: str
    ended: str

    @property
    def ready(self) -> bool:
        """Whether secrets may be sent to this host: its Compose answers, and no other user could read or change what lies there."""
        unknown = self.facts.strangers or "strangers" in self.facts.problems
        return bool(self.facts.services) and not unknown and not self.narrow

    @property
    def narrow(self) -> bool:
        """Whether sshd allows too few sessions at once: a switch would begin and could not be proven."""
        return any(check.name == reach.SESSIONS and check.result == "failed" for check in self.checks)

    @property
    def deferred(self) -> bool:
        """Whether a check is repeated before the switch."""
        return any(check.result == "deferred" for check in self.checks)

    def also(self, *more: Check) -> NodeSurvey:
        """The same with further checks."""
        return replace(self, checks=(*self.checks, *more))


class Survey(Struct, frozen=True):
    """What all checks found, and what a deployment goes on with.

    Attributes:
        here: the checks of this machine.
        nodes: by name.
        version: the version that a deployment takes; None when none was found.
        rendered: the version that the hosts have rendered their stacks for.
        logins: at registries, as far as this command needs them.
        fetched: the secrets' source gave all values.
        manifests: see `Registries`.
        taking: the nodes that take part.
        left_out: which do not, and why; "" when all do.
        packed: of the operator's own images it is known what each host lacks.
    """

    here: Sequence[Check]
    nodes: Mapping[str, NodeSurvey]
    version: Version | None
    values: Values
    logins: Sequence[Login]
    manifests: Mapping[str, Mapping[str, Manifest]]
    rendered: Version
    fetched: bool = True
    taking: Sequence[Deployment] = ()
    left_out: str = ""
    packed: bool = True

    @property
    def columns(self) -> dict[str, Sequence[Check]]:
        """All checks, by where they were made."""
        return {HERE: self.here, **{name: node.checks for name, node in self.nodes.items()}}

    @property
    def failed(self) -> bool:
        """Whether a deployment would stop here."""
        return any(failed(checks) for checks in self.columns.values())


def require_checks(found: Survey, console: Console, *, lenient: bool = False) -> Version:
    """Stops before anything is changed, unless every check is passed; gives the version to deploy.

    Args:
        lenient: failed checks are only warned of, as far as the deployment can go on without them.

    Raises:
        PreflightError: naming every check that failed, on every node, with its hint.
    """
    warnings = ("warning", "deferred", "failed") if lenient else ("warning", "deferred")
    for where, checks in found.columns.items():
        for check in checks:
            if check.result in warnings:
                console.say(f"{where}: {check.result}: {check.name}: {check.problem}\n  -> {check.hint}")
    impossible = (
        found.version is None
        or not found.fetched
        or not found.packed
        or any(not node.ready for node in found.nodes.values())
    )
    if found.failed and (impossible or not lenient):
        raise PreflightError(failures(found))
    if found.version is None:
        raise PreflightError("no version to deploy was found", hint="name one with --tag")
    return found.version


def failures(found: Survey) -> str:
    """Every failed check with its hint, for people."""
    lines = [
        f"\n  {where}: {check.name}: {check.problem}\n    -> {check.hint}"
        for where, checks in found.columns.items()
        for check in failed(checks)
    ]
    count = "1 check" if len(lines) == 1 else f"{len(lines)} checks"
    return f"{count} failed, nothing was changed{''.join(lines)}"
