"""The survey: every check of the preflight, on this machine and on all nodes side by side; the first step of every command
that deploys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

from deploy_lib.checks import Check, check_images, check_variables, local, reach, read_env_file
from deploy_lib.checks.check import failed
from deploy_lib.checks.images import check_login, is_missing
from deploy_lib.compose.variables import variables
from deploy_lib.config import Environment, Node
from deploy_lib.errors import (
    DeployError,
    PreflightError,
    RemoteError,
    UnforeseenError,
    UnreachableError,
    UsageError,
    told,
)
from deploy_lib.fleet.parallel import side_by_side
from deploy_lib.host.look import registry
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login, Manifest
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.preflight import Values, judge_host, judge_secrets, judge_way, look
from deploy_lib.output.console import Console
from deploy_lib.release.image import Image
from deploy_lib.release.release import Version
from deploy_lib.request import Request
from deploy_lib.secrets.sources import fetch, source_of
from deploy_lib.secrets.value import MASK
from deploy_lib.source import git
from deploy_lib.source.versions import ambiguous, in_version, versions
from deploy_lib.ssh.framing import require_room

HERE = "here"
"""What the checks of this machine are listed under."""


@dataclass(frozen=True)
class NodeSurvey:
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


@dataclass(frozen=True)
class Survey:
    """What all checks found, and what a deployment goes on with.

    Attributes:
        here: the checks of this machine.
        nodes: by name.
        version: the version that a deployment takes; None when none was found.
        manifests: by reference, what the registries say; of several nodes' answers the first node's counts, so that all
            nodes get the same digests.
    """

    here: Sequence[Check]
    nodes: Mapping[str, NodeSurvey]
    version: Version | None
    values: Values
    login: Login | None
    manifests: Mapping[Image, Manifest]

    @property
    def columns(self) -> dict[str, Sequence[Check]]:
        """All checks, by where they were made."""
        return {HERE: self.here, **{name: node.checks for name, node in self.nodes.items()}}

    @property
    def failed(self) -> bool:
        """Whether a deployment would stop here."""
        return any(failed(checks) for checks in self.columns.values())


def survey(environment: Environment, deployments: Sequence[Deployment], request: Request) -> Survey:
    """Makes every check; nothing is changed anywhere.

    Raises:
        UsageError: the configuration or the tag is wrong, so that nothing could be checked.
    """
    wanted = versions(environment, request.tag)
    vault = _vault(environment, deployments)
    stacks = {d.node.stack_name for d in deployments}
    looks = side_by_side(deployments, lambda d: _look(environment, d, wanted[0], stacks), request.parallel)
    nodes = {look.node.name: look for look in looks}
    ready = [d for d in deployments if nodes[d.node.name].ready]
    if vault.values:
        for d in ready:
            found = nodes[d.node.name]
            nodes[d.node.name] = found.also(judge_secrets(d.job, found.facts, vault.values))
    registries = _Registries(version=wanted[0] if len(wanted) == 1 else None)
    if vault.login is not None and ready:
        registries = _ask_registries(ready, nodes, wanted, request, vault.login)
    checkout = local.checkout(
        environment, _checkout(environment), registries.version, default=request.tag is None
    )
    meaning = local.meaning(ambiguous(request.tag, wanted, registries.version))
    return Survey(
        here=(*checkout, vault.check, *registries.checks, *meaning),
        nodes={**nodes, **registries.nodes},
        version=registries.version,
        values=vault.values,
        login=vault.login,
        manifests=registries.manifests,
    )


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
        found.version is None or not found.values or any(not node.ready for node in found.nodes.values())
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


@dataclass(frozen=True)
class _Vault:
    """What the secrets' source gave; no values and no login where it failed."""

    values: Values
    login: Login | None
    check: Check


def _vault(environment: Environment, deployments: Sequence[Deployment]) -> _Vault:
    password = environment.registry.password
    names = sorted({name for d in deployments for name in d.local.file.secret_names} | {password})
    source = source_of(environment).name(environment.root)
    try:
        values = fetch(environment, names)
    except UsageError:
        raise
    except DeployError as error:
        return _Vault({}, None, local.secrets(error, source, len(names)))
    require_room({password: values[password].reveal()})
    for deployment in deployments:
        deployment.check_room(values)
    login = Login(environment.registry_host, environment.registry.username, values[password])
    return _Vault(values, login, local.secrets(None, source, len(names)))


def _look(environment: Environment, d: Deployment, version: Version, stacks: set[str]) -> NodeSurvey:
    began, facts, checks = _now(), Facts(), list[Check]()
    try:
        with told(d.node.name):
            d.session.open()
            checks += reach.stages(d.session.connection.target, None)
            checks += judge_way(d.session, d.node, facts)
            facts = look(d.session, d.job, version)
            checks += judge_host(d.node, facts, stacks, rendered=True)
    except UnreachableError as error:
        checks += reach.stages(d.session.connection.target, error)
    except (RemoteError, UnforeseenError) as error:
        checks.append(_broken_off(error))
    checks.append(_variables(environment, d, facts, version))
    return NodeSurvey(d.node, facts, tuple(checks), began, _now())


def _broken_off(error: DeployError) -> Check:
    hint = error.hint or "run the same command again"
    return Check("facts", "the host answers all questions", "failed", problem=error.what, hint=hint)


def _variables(environment: Environment, d: Deployment, facts: Facts, version: Version) -> Check:
    stack = d.node.stack
    compose, env_file = (d.local.files[PurePosixPath(path).name] for path in (stack.compose, stack.env_file))
    generated = {k: v for k, v in d.job.variables(version, facts).items() if k not in d.node.variables}
    places = {
        stack.env_file: read_env_file(env_file),
        f"the variables of node {d.node.name} in deploy.toml": d.node.variables,
        "what a deployment generates": generated,
        "[secrets] in deploy.toml": dict.fromkeys(environment.secrets, MASK),
    }
    return check_variables(variables(compose, stack.compose), places)


@dataclass(frozen=True)
class _Registries:
    """What the registries say.

    Attributes:
        nodes: the nodes that asked, with what came of it.
        checks: what does not concern a single node.
    """

    version: Version | None
    manifests: Mapping[Image, Manifest] = field(default_factory=dict)
    nodes: Mapping[str, NodeSurvey] = field(default_factory=dict)
    checks: Sequence[Check] = ()


def _ask_registries(
    ready: Sequence[Deployment],
    nodes: Mapping[str, NodeSurvey],
    wanted: Sequence[Version],
    request: Request,
    login: Login,
) -> _Registries:
    """Chooses the version, and asks for every image through every node: each has to reach the registry itself."""
    version = _choose_version(ready[0], nodes[ready[0].node.name].facts, wanted, login)
    if version is None:
        tags = f"{wanted[0].tag} to {wanted[-1].tag}"
        problem = f"none of the newest {len(wanted)} commits ({tags}) has an image in {login.host}"
        if request.tag is not None:
            problem = f"neither {wanted[0].tag} nor {wanted[-1].tag} has an image in {login.host}"
        hint = "has CI built and pushed one? Name another version with --tag"
        check = Check("version", "a commit has an image", "failed", problem=problem, hint=hint)
        return _Registries(None, checks=(check,))

    def ask(d: Deployment) -> tuple[NodeSurvey, Mapping[Image, Manifest]]:
        found = nodes[d.node.name]
        names = _references(found.facts, wanted[0], version, login)
        try:
            with told(d.node.name):
                manifests = registry.resolve(d.session, names, login)
        except DeployError as error:
            return found.also(_broken_off(error)), {}
        images = check_images(found.facts, manifests.values())
        found = found.also(check_login(login, manifests.values()), *images)
        return replace(found, ended=_now()), manifests

    answers = side_by_side(ready, ask, request.parallel)
    return _Registries(
        version,
        manifests={reference: m for _, manifests in reversed(answers) for reference, m in manifests.items()},
        nodes={found.node.name: found for found, _ in answers},
    )


def _references(facts: Facts, placeholder: Version, version: Version, login: Login) -> list[Image]:
    """The images to be asked for: those of the private registry with the version's tag, and what no record has yet."""
    named = {
        in_version(service.image, placeholder, version) if login.covers(service.image) else service.image
        for service in facts.services.values()
    }
    return sorted(image for image in named if login.covers(image) or not facts.recorded_digest(image))


def _choose_version(d: Deployment, facts: Facts, wanted: Sequence[Version], login: Login) -> Version | None:
    """The first of the versions whose images exist; a single one is taken unchecked."""
    if len(wanted) == 1:
        return wanted[0]
    for version in wanted:
        names = [n for n in _references(facts, wanted[0], version, login) if n.tag == version.tag]
        try:
            with told():
                manifests = registry.resolve(d.session, names, login)
        except DeployError:
            return version  # whoever asks for its images next says why there is no answer
        # A registry that refuses or fails says nothing about which images there are.
        if not any(is_missing(manifest) for manifest in manifests.values()):
            return version
    return None


def _checkout(environment: Environment) -> git.Checkout | UsageError:
    try:
        return git.look(environment.root, environment.follows)
    except UsageError as problem:
        return problem


def _now() -> str:
    """UTC, RFC 3339, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
