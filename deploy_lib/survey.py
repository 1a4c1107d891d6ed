"""The survey: every check of the preflight, on this machine and on all nodes side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from deploy_lib import preflight, replicas
from deploy_lib.checkout import Local, read_stack
from deploy_lib.errors import DeployError, UnreachableError, UsageError
from deploy_lib.fleet import versions
from deploy_lib.operations import registry
from deploy_lib.operations.facts import Facts, gather
from deploy_lib.operations.registry import Login, Manifest
from deploy_lib.parallel import side_by_side
from deploy_lib.preflight import Check, local, reach
from deploy_lib.preflight.check import failed
from deploy_lib.preflight.images import login as login_check
from deploy_lib.preflight.images import recorded
from deploy_lib.release import Version
from deploy_lib.secrets.sources import fetch, source_of
from deploy_lib.ssh.session import Session
from deploy_lib.topology import Environment, Node

HERE = "here"
"""What the checks of this machine are listed under."""


def now() -> str:
    """UTC, RFC 3339, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Looked:
    """One node, and what its checks found.

    Attributes:
        began, ended: when its checks were made.
    """

    node: Node
    session: Session
    stack: Local
    facts: Facts | None = None
    checks: list[Check] = field(default_factory=list)
    began: str = ""
    ended: str = ""

    def references(self, placeholder: Version, version: Version, own: Callable[[str], bool]) -> list[str]:
        """The images of the stack, those of the private registry with the version's tag."""
        assert self.facts is not None  # noqa: S101 - only nodes that answered are asked
        known = recorded(self.facts)
        found = {service.image for service in self.facts.services.values()}
        named = {_with_tag(image, placeholder, version) if own(image) else image for image in found}
        return sorted(image for image in named if own(image) or image not in known)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        bad = failed(self.checks)
        return {
            "outcome": "failed" if bad else "ready",
            "began": self.began,
            "ended": self.ended,
            "checks": [check.as_dict() for check in self.checks],
            "error": "; ".join(f"{check.name}: {check.problem}" for check in bad) or None,
        }


@dataclass
class Survey:
    """What all checks found.

    Attributes:
        here: the checks of this machine.
        version: the version that a deployment would take; None when that could not be told.
    """

    here: list[Check]
    nodes: Mapping[str, Looked]
    version: Version | None = None

    @property
    def failed(self) -> bool:
        """Whether a deployment would stop here."""
        return any(
            failed(checks) for checks in (self.here, *(looked.checks for looked in self.nodes.values()))
        )


def survey(
    environment: Environment,
    nodes: Sequence[Node],
    tag: str | None,
    connect: Callable[[Node], Session],
    limit: int | None = None,
) -> Survey:
    """Makes every check; nothing is changed anywhere.

    Args:
        tag: `--tag` as given.
        limit: how many nodes at once.

    Raises:
        UsageError: the configuration or the tag is wrong, so that nothing could be checked.
    """
    wanted = versions(environment.root, tag, environment.default_tag)
    looked = [Looked(node, connect(node), read_stack(environment, node)) for node in nodes]
    found = Survey([], {one.node.name: one for one in looked})
    credentials = _secrets(environment, looked, found.here)

    side_by_side(
        looked, lambda one: _look(environment, one, wanted[0], deployed=[n.stack_name for n in nodes]), limit
    )
    ready = [one for one in looked if one.facts is not None and one.facts.services]
    if credentials is not None and ready:
        found.version = _settle(ready[0], wanted, credentials)
        version = found.version or wanted[0]
        side_by_side(ready, lambda one: _images(one, wanted[0], version, credentials), limit)
    elif len(wanted) == 1:
        found.version = wanted[0]
    found.here[:0] = local.look(environment, found.version, default=tag is None)
    return found


def _secrets(environment: Environment, looked: Sequence[Looked], checks: list[Check]) -> Login | None:
    password = environment.registry.password
    names = sorted({name for one in looked for name in one.stack.file.secret_names} | {password})
    problem, values = None, {}
    try:
        values = fetch(environment, names)
    except UsageError:
        raise
    except DeployError as error:
        problem = error
    checks.append(local.secrets(problem, source_of(environment).name, len(names)))
    if problem is not None:
        return None
    return Login(environment.registry_host, environment.registry.username, values[password])


def _look(environment: Environment, one: Looked, version: Version, deployed: Sequence[str]) -> None:
    one.began = now()
    node, files = one.node, one.stack.files
    generated = {
        "IMAGE_REGISTRY": environment.image_registry,
        "IMAGE_TAG": version.tag,
        **replicas.variables(replicas.choose(node, {}, {})),
    }
    try:
        one.session.open()
        one.checks += reach.stages(one.session.connection.target, None)
        forbidden = one.session.forbids_forwarding(*_probed(node))
        one.checks.append(reach.forwarding(forbidden=forbidden))
        one.facts = gather(one.session, node, one.stack.file.project, files, {**node.variables, **generated})
        deferred = bool(set(node.stack.needs) & set(deployed))
        one.checks += preflight.everything(
            node, one.facts, files, generated, environment.secrets, deferred=deferred
        )
    except DeployError as error:
        if isinstance(error, UnreachableError):
            one.checks += reach.stages(one.session.connection.target, error)
        else:
            one.checks.append(_broken_off(error))
        one.checks.append(preflight.sourced(node, files, generated, environment.secrets))
    one.ended = now()


def _broken_off(error: DeployError) -> Check:
    mend = error.mend or "run the same command again"
    return Check("facts", "the host answers all questions", "failed", problem=error.what, mend=mend)


def _probed(node: Node) -> tuple[str, int]:
    urls = [urlsplit(probe.url) for probe in node.stack.probes if probe.url]
    return (urls[0].hostname or "127.0.0.1", urls[0].port or 80) if urls else ("127.0.0.1", 22)


def _settle(one: Looked, wanted: Sequence[Version], credentials: Login) -> Version | None:
    """The first of the versions whose images exist; one that was asked for outright is taken as it is."""
    if len(wanted) == 1:
        return wanted[0]
    for version in wanted:
        names = [
            n for n in one.references(wanted[0], version, credentials.covers) if n.endswith(f":{version.tag}")
        ]
        try:
            manifests = registry.resolve(one.session, names, credentials)
        except DeployError:
            return None
        if all(manifest.digest for manifest in manifests.values()):
            return version
    return None


def _images(one: Looked, placeholder: Version, version: Version, credentials: Login) -> None:
    assert one.facts is not None  # noqa: S101 - only nodes that answered are asked
    names = one.references(placeholder, version, credentials.covers)
    try:
        manifests: list[Manifest] = list(registry.resolve(one.session, names, credentials).values())
    except DeployError as error:
        one.checks.append(_broken_off(error))
        return
    one.checks.append(login_check(credentials, manifests))
    one.checks += preflight.images(one.facts, manifests, recorded(one.facts))
    one.ended = now()


def _with_tag(reference: str, placeholder: Version, version: Version) -> str:
    stem = reference.removesuffix(f":{placeholder.tag}")
    return f"{stem}:{version.tag}" if stem != reference else reference
