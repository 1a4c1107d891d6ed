"""Several nodes, one release: the same checks for all before the first is changed, then each node's own story."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy_lib.console import Console
from deploy_lib.deployment import Deployment, Local, read_stack
from deploy_lib.errors import DeployError, ExitCode, PreflightError
from deploy_lib.operations import registry
from deploy_lib.operations.registry import Login, Manifest
from deploy_lib.plan import Plan
from deploy_lib.release import Version, new_id
from deploy_lib.request import Request
from deploy_lib.secrets.sources import fetch
from deploy_lib.secrets.value import Secret
from deploy_lib.ssh.session import Session
from deploy_lib.topology import Environment, Node

Connect = Callable[[Node], Session]


def prepare(
    environment: Environment, nodes: Sequence[Node], request: Request, console: Console, connect: Connect
) -> list[Deployment]:
    """The nodes' deployments, with all that this checkout knows; no host has been asked yet.

    Raises:
        UsageError: a file, a name or an argument is wrong.
    """
    release_id = new_id()
    stacks: dict[str, Local] = {n.stack_name: read_stack(environment, n) for n in nodes}
    deployments = [
        Deployment(
            environment=environment,
            node=node,
            session=connect(node),
            local=stacks[node.stack_name],
            request=request,
            console=console,
            release_id=release_id,
        )
        for node in sorted(nodes, key=lambda n: n.name)
    ]
    for deployment in deployments:
        deployment.check_service()
    return deployments


def deploy(
    environment: Environment, deployments: Sequence[Deployment], request: Request, console: Console
) -> ExitCode:
    """Takes the nodes to the release that was asked for, or says why not; each deployment holds its own outcome.

    Raises:
        DeployError: nothing was changed anywhere, for a reason that is no single node's.
    """
    wanted = versions(environment.root, request.tag, environment.default_tag)
    values = fetch(environment, secret_names(environment, deployments))
    console.redactor.add(value for name, value in values.items() if environment.secrets[name].redact)
    login = Login(
        environment.registry_host, environment.registry.username, values[environment.registry.password]
    )

    each(deployments, lambda d: d.look(wanted[0]))
    require(deployments)
    version, manifests = resolve(deployments, wanted, login)
    each(deployments, lambda d: d.check(manifests))
    require(deployments)
    if request.dry_run:
        for deployment in deployments:
            deployment.decide(version, manifests, values)
            deployment.outcome = "planned"
            show(console, deployment)
        return ExitCode.DONE
    try:
        for deployment in deployments:
            deployment.lock()
        each(deployments, lambda d: d.look(version))
        require(deployments)
        each(
            deployments, lambda d: carry_out(d, d.decide(version, manifests, values), values, login, version)
        )
    finally:
        for deployment in deployments:
            deployment.release_lock()
    return ExitCode.gravest([d.error.exit_code for d in deployments if d.error is not None])


def carry_out(
    deployment: Deployment, plan: Plan, values: Mapping[str, Secret], login: Login, version: Version
) -> None:
    """One node's plan, from the first file to the record."""
    if plan.nothing:
        deployment.confirm()
        return
    deployment.stage(plan, login)
    deployment.switch(plan, values, version)
    deployment.record(plan)


def secret_names(environment: Environment, deployments: Sequence[Deployment]) -> list[str]:
    """Every secret that the stacks need, and the registry's."""
    needed = {name for d in deployments for name in d.local.file.secret_names}
    return sorted(needed | {environment.registry.password})


def versions(root: Path, tag: str | None, default: str) -> list[Version]:
    """The versions that may be meant, best first; the first one that has an image is taken."""
    from deploy_lib import git

    if tag is not None:
        return [git.version_of(root, tag)]
    if default == "HEAD":
        return [git.head(root).version]
    return [commit.version for commit in git.candidates(root)]


def resolve(
    deployments: Sequence[Deployment], wanted: Sequence[Version], login: Login
) -> tuple[Version, dict[str, Manifest]]:
    """Digests of all images, asked once for the whole fleet through its first node.

    Images of other registries whose reference a record has already keep the recorded digest.

    Raises:
        PreflightError: none of several versions has an image.
    """
    first, session = deployments[0], deployments[0].session
    manifests: dict[str, Manifest] = {}
    for version in wanted:
        names: set[str] = set()
        for deployment in deployments:
            known = deployment.recorded()
            for image in deployment.references().values():
                named = _with_tag(image, wanted[0].tag, version.tag) if login.covers(image) else image
                if named not in manifests and (login.covers(named) or named not in known):
                    names.add(named)
        manifests |= registry.resolve(session, sorted(names), login)
        missing = [
            m for m in manifests.values() if m.reference.endswith(f":{version.tag}") and m.status == 404
        ]
        if len(wanted) == 1 or not missing:
            if version != wanted[0]:
                for deployment in deployments:
                    deployment.look(version)
            return version, manifests
    raise PreflightError(
        f"none of the newest {len(wanted)} commits has an image in {login.host}",
        node=first.node.name,
        mend="has CI run? Name a version with --tag, or build one: invoke build-backend --push",
    )


def _with_tag(reference: str, placeholder: str, tag: str) -> str:
    stem = reference.removesuffix(f":{placeholder}")
    return f"{stem}:{tag}" if stem != reference else reference


def each(deployments: Sequence[Deployment], work: Callable[[Deployment], object]) -> None:
    """Does the same on all nodes side by side; a node's error is kept with it, and it is left out from then on."""

    def attempt(deployment: Deployment) -> None:
        try:
            work(deployment)
        except DeployError as error:
            error.node = error.node or deployment.node.name
            deployment.error = error

    ready = [d for d in deployments if d.error is None]
    if len(ready) == 1:
        attempt(ready[0])
        return
    with ThreadPoolExecutor(max_workers=max(1, len(ready)), thread_name_prefix="node") as pool:
        list(pool.map(attempt, ready))


def require(deployments: Sequence[Deployment]) -> None:
    """Stops here when any node has failed.

    Raises:
        DeployError: that of the one node, or one that names them all.
    """
    errors = [d.error for d in deployments if d.error is not None]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise PreflightError("; ".join(str(error) for error in errors))


def show(console: Console, deployment: Deployment) -> None:
    """A plan for people."""
    plan = deployment.plan
    if plan is None:
        return
    before = plan.before.release.tag if plan.before else "nothing"
    console.result(f"{deployment.node.name}: {before} -> {plan.desired.release.tag}")
    if plan.nothing:
        console.result("  nothing to change")
        return
    rows = [[c.service, c.action, c.why, short(c.image)] for c in plan.changes]
    console.table("", ["service", "action", "why", "image"], rows)
    for title, names in (
        ("files", plan.changed),
        ("removed files", plan.dropped),
        ("images to pull", plan.pulls),
    ):
        if names:
            console.result(f"  {title}: {', '.join(names)}")


def short(image: str) -> str:
    """An image as people tell it apart: without its registry, and with the first digits of its digest."""
    name, _, digest = image.partition("@sha256:")
    return f"{name.rpartition('/')[2]} {digest[:12]}".strip()
