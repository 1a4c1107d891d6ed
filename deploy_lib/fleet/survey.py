"""The survey: every check of the preflight, on this machine and on all nodes side by side; the first step of every command
that deploys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from deploy_lib import checks as preflight
from deploy_lib.checks import Check, local, reach
from deploy_lib.checks.check import failed
from deploy_lib.checks.images import login as login_check
from deploy_lib.compose.variables import variables
from deploy_lib.config import Environment, Node
from deploy_lib.errors import DeployError, PreflightError, RemoteError, UnreachableError, UsageError
from deploy_lib.fleet.parallel import side_by_side
from deploy_lib.host.look import registry
from deploy_lib.host.look.registry import Login, Manifest
from deploy_lib.node.deployment import Deployment, Values
from deploy_lib.output.console import Console
from deploy_lib.release.image import Image
from deploy_lib.release.release import Version
from deploy_lib.request import Request
from deploy_lib.secrets.sources import fetch, source_of
from deploy_lib.secrets.value import MASK
from deploy_lib.source import git
from deploy_lib.source.versions import in_version, versions

HERE = "here"
"""What the checks of this machine are listed under."""


@dataclass
class Survey:
    """What all checks found, and what a deployment goes on with; each deployment has its own node's checks and facts.

    Attributes:
        here: the checks of this machine.
        version: the version that a deployment takes; None when that could not be told.
        manifests: by reference, what the registries say; of several nodes' answers the first node's counts, so that all
            nodes get the same digests.
    """

    deployments: Sequence[Deployment]
    here: list[Check] = field(default_factory=list)
    version: Version | None = None
    values: Values = field(default_factory=dict)
    login: Login | None = None
    manifests: Mapping[Image, Manifest] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, list[Check]]:
        """All checks, by where they were made."""
        return {HERE: self.here, **{d.node.name: d.checks for d in self.deployments}}

    @property
    def failed(self) -> bool:
        """Whether a deployment would stop here."""
        return any(failed(checks) for checks in self.columns.values())


def survey(environment: Environment, deployments: Sequence[Deployment], request: Request) -> Survey:
    """Makes every check; nothing is changed anywhere.

    Raises:
        UsageError: the configuration or the tag is wrong, so that nothing could be checked.
    """
    wanted = versions(environment.root, request.tag, environment.default_tag)
    found = Survey(deployments)
    _secrets(environment, found)
    stacks = {d.node.stack_name for d in deployments}
    side_by_side(deployments, lambda d: _look(environment, d, wanted[0], stacks), request.parallel)
    ready = [d for d in deployments if d.facts.services]
    for d in ready if found.values else ():
        d.checks.append(d.judge_secrets(found.values))
    if found.login is not None and ready:
        _registry(found, ready, wanted, request, found.login)
    elif len(wanted) == 1:
        found.version = wanted[0]
    found.here[:0] = local.checkout(
        _checkout(environment.root),
        found.version,
        default=request.tag is None,
        newest=environment.default_tag != "HEAD",
    )
    return found


def require(found: Survey, console: Console, *, lenient: bool = False) -> Version:
    """Stops before anything is changed, unless every check is passed; gives the version to deploy.

    Args:
        lenient: what fails is only warned of, as far as anything can be done without it.

    Raises:
        PreflightError: naming every check that failed, on every node, with its mend.
    """
    warnings = ("warning", "deferred", "failed") if lenient else ("warning", "deferred")
    for where, checks in found.columns.items():
        for check in checks:
            if check.result in warnings:
                console.say(f"{where}: {check.result}: {check.name}: {check.problem}\n  -> {check.mend}")
    impossible = (
        found.version is None or not found.values or any(not d.facts.services for d in found.deployments)
    )
    if found.failed and (impossible or not lenient):
        raise PreflightError(failures(found))
    if found.version is None:
        raise PreflightError("which version to deploy cannot be told", mend="name one with --tag")
    return found.version


def failures(found: Survey) -> str:
    """Every failed check with its mend, for people."""
    lines = [
        f"\n  {where}: {check.name}: {check.problem}\n    -> {check.mend}"
        for where, checks in found.columns.items()
        for check in failed(checks)
    ]
    count = "1 check" if len(lines) == 1 else f"{len(lines)} checks"
    return f"{count} failed, nothing was changed{''.join(lines)}"


def _secrets(environment: Environment, found: Survey) -> None:
    password = environment.registry.password
    names = sorted({name for d in found.deployments for name in d.local.file.secret_names} | {password})
    problem = None
    try:
        found.values = fetch(environment, names)
        found.login = Login(environment.registry_host, environment.registry.username, found.values[password])
    except UsageError:
        raise
    except DeployError as error:
        problem = error
    found.here.append(local.secrets(problem, source_of(environment).name, len(names)))


def _look(environment: Environment, d: Deployment, version: Version, stacks: set[str]) -> None:
    d.began = _now()
    try:
        d.session.open()
        d.checks += reach.stages(d.session.connection.target, None)
        d.checks.append(reach.forwarding(forbidden=d.session.forbids_forwarding(*_probed(d.node))))
        d.look(version)
        d.checks += preflight.host(d.node, d.facts, rendered=True)
        d.checks += preflight.storage(
            d.node, d.facts.machine.storage, deferred=bool(set(d.node.stack.needs) & stacks)
        )
    except UnreachableError as error:
        d.checks += reach.stages(d.session.connection.target, error)
    except RemoteError as error:
        d.checks.append(_broken_off(error))
    d.checks.append(_variables(environment, d, version))
    d.ended = _now()


def _broken_off(error: DeployError) -> Check:
    mend = error.mend or "run the same command again"
    return Check("facts", "the host answers all questions", "failed", problem=error.what, mend=mend)


def _variables(environment: Environment, d: Deployment, version: Version) -> Check:
    stack = d.node.stack
    compose, env_file = (d.local.files[PurePosixPath(path).name] for path in (stack.compose, stack.env_file))
    generated = {k: v for k, v in d.case.variables(version, d.facts).items() if k not in d.node.variables}
    places = {
        stack.env_file: preflight.env_file(env_file),
        f"the variables of node {d.node.name} in deploy.toml": d.node.variables,
        "what a deployment generates": generated,
        "[secrets] in deploy.toml": dict.fromkeys(environment.secrets, MASK),
    }
    return preflight.variables(variables(compose, stack.compose), places)


def _probed(node: Node) -> tuple[str, int]:
    """An endpoint that is probed later; the last one, since the first is what is replaced most often."""
    urls = [urlsplit(probe.url) for probe in node.stack.probes if probe.url]
    return (urls[-1].hostname or "127.0.0.1", urls[-1].port or 80) if urls else ("127.0.0.1", 22)


def _registry(
    found: Survey, ready: Sequence[Deployment], wanted: Sequence[Version], request: Request, login: Login
) -> None:
    """Settles the version, and asks for every image, through every node: each has to reach the registry itself."""
    found.version = _settle(ready[0], wanted, login)
    if found.version is None:
        tags = f"{wanted[0].tag} to {wanted[-1].tag}"
        problem = f"none of the newest {len(wanted)} commits ({tags}) has an image in {login.host}"
        mend = "has CI run? Name a version with --tag, or build one: invoke build-backend --push"
        found.here.append(Check("version", "a commit has an image", "failed", problem=problem, mend=mend))
        return
    version, answers = found.version, dict[str, dict[Image, Manifest]]()

    def ask(d: Deployment) -> None:
        names = _references(d, wanted[0], version, login)
        try:
            manifests = registry.resolve(d.session, names, login)
        except DeployError as error:
            d.checks.append(_broken_off(error))
            return
        answers[d.node.name] = manifests
        d.checks.append(login_check(login, manifests.values()))
        d.checks += preflight.images(d.facts, manifests.values())
        d.ended = _now()

    side_by_side(ready, ask, request.parallel)
    found.manifests = {
        reference: manifest
        for d in reversed(ready)
        for reference, manifest in answers.get(d.node.name, {}).items()
    }


def _references(d: Deployment, placeholder: Version, version: Version, login: Login) -> list[Image]:
    """The images to be asked for: those of the private registry with the version's tag, and what no record has yet."""
    named = {
        in_version(image, placeholder, version) if login.covers(image) else image
        for image in d.references().values()
    }
    return sorted(image for image in named if login.covers(image) or not d.facts.recorded_digest(image))


def _settle(d: Deployment, wanted: Sequence[Version], login: Login) -> Version | None:
    """The first of the versions whose images exist; one that was asked for outright is taken as it is."""
    if len(wanted) == 1:
        return wanted[0]
    for version in wanted:
        names = [n for n in _references(d, wanted[0], version, login) if n.tag == version.tag]
        try:
            manifests = registry.resolve(d.session, names, login)
        except DeployError:
            return None
        if all(manifest.digest for manifest in manifests.values()):
            return version
    return None


def _checkout(root: Path) -> git.Checkout | None:
    try:
        return git.look(root)
    except UsageError:
        return None


def _now() -> str:
    """UTC, RFC 3339, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
