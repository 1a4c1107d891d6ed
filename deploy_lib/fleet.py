"""Several nodes, one release: the same checks for all before the first is changed, and all back if one fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from deploy_lib import replicas
from deploy_lib.checkout import Local, read_stack
from deploy_lib.console import Console
from deploy_lib.deployment import Deployment, Values, settle
from deploy_lib.errors import DeployError, ExitCode, PreflightError, StoppedError
from deploy_lib.interruption import handled
from deploy_lib.operations import registry
from deploy_lib.operations.registry import Login, Manifest
from deploy_lib.operations.targets import Scraper
from deploy_lib.release import Version, new_id
from deploy_lib.request import Request
from deploy_lib.secrets.sources import fetch
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
    release_id, stop = new_id(), threading.Event()
    replicas.check(nodes, request.replicas)
    stacks: dict[str, Local] = {n.stack_name: read_stack(environment, n) for n in nodes}
    scrapers = _scrapers(environment, nodes, connect)
    deployments = [
        Deployment(
            environment=environment,
            node=node,
            session=connect(node),
            local=stacks[node.stack_name],
            request=request,
            console=console,
            release_id=release_id,
            scraper=scrapers.get(node.name),
        )
        for node in sorted(nodes, key=lambda n: n.name)
    ]
    for deployment in deployments:
        deployment.session.stop = stop
        deployment.check_service()
    return deployments


def _scrapers(environment: Environment, nodes: Sequence[Node], connect: Connect) -> dict[str, Scraper]:
    """By node, who scrapes its containers.

    The session with that host is one of its own, not its deployment's: it is needed when that one is stopped or gone.
    """
    sessions: dict[str, Session] = {}
    found: dict[str, Scraper] = {}
    for node in nodes:
        scrape = node.stack.scrape
        if scrape is not None:
            (host,) = environment.select(None, scrape.stack)
            if host.name not in sessions:
                sessions[host.name] = connect(host)
            found[node.name] = Scraper(sessions[host.name], host, scrape)
    return found


def deploy(
    environment: Environment, deployments: Sequence[Deployment], request: Request, console: Console
) -> ExitCode:
    """Takes the nodes to the release that was asked for, or says why not; each deployment holds its own outcome.

    Raises:
        DeployError: nothing was changed anywhere, for a reason that is no single node's.
    """
    wanted = versions(environment.root, request.tag, environment.default_tag)
    values = fetch(environment, secret_names(environment, deployments))
    login = Login(
        environment.registry_host, environment.registry.username, values[environment.registry.password]
    )

    each(deployments, lambda d: d.look(wanted[0]))
    require(deployments)
    version, manifests = resolve(deployments, wanted, login)
    each(deployments, lambda d: d.check(manifests))
    require(deployments)
    if request.dry_run:
        each(deployments, lambda d: d.decide(version, manifests, values))
        require(deployments)
        for deployment in deployments:
            deployment.outcome = "planned"
        return ExitCode.DONE
    with locked(deployments, console):
        each(deployments, lambda d: d.look(version))
        require(deployments)
        each(deployments, lambda d: d.decide(version, manifests, values))
        require(deployments)
        return carry_out(deployments, request, values, login)


def carry_out(
    deployments: Sequence[Deployment], request: Request, values: Values, login: Login | None
) -> ExitCode:
    """All nodes' plans, from the first file to the record; or all nodes back where they were.

    Files and images go everywhere before the first host is switched; then stacks that others need are proven before
    those others begin; and no node's release counts before every node's is proven.
    """
    each(deployments, lambda d: d.stage(login), request.parallel)
    for wave in waves(deployments):
        if not failed(deployments):
            each(wave, lambda d: d.switch(values), request.parallel)
    if not failed(deployments):
        each(deployments, Deployment.record)
    elif request.no_rollback:
        each([d for d in deployments if d.switched], lambda d: d.leave(reason(deployments)), again=True)
    else:
        for wave in reversed(waves(deployments)):
            each([d for d in wave if d.switched], lambda d: d.go_back(reason(deployments)), again=True)
    return conclude(deployments)


def conclude(deployments: Sequence[Deployment]) -> ExitCode:
    """Gives each deployment its last word, and the command its exit status."""
    codes = []
    for deployment in deployments:
        if deployment.outcome == "not started" and deployment.error is None:
            deployment.outcome = "untouched"
        code, deployment.error = settle(deployment)
        codes.append(code)
    return ExitCode.gravest(codes)


def failed(deployments: Sequence[Deployment]) -> bool:
    """Whether any node has."""
    return any(d.error is not None for d in deployments)


def reason(deployments: Sequence[Deployment]) -> str:
    """Why nodes go back, for their history: the first line of what went wrong first."""
    first = next(d for d in deployments if d.error is not None)
    what = first.console.redactor.clean(str(first.error)).splitlines()[0]
    return what


def waves(deployments: Sequence[Deployment]) -> list[list[Deployment]]:
    """Those whose stacks need no other of these stacks, then the rest."""
    stacks = {d.node.stack_name for d in deployments}
    first = [d for d in deployments if not stacks & set(d.node.stack.needs)]
    rest = [d for d in deployments if d not in first]
    return [wave for wave in (first, rest) if wave]


@contextmanager
def locked(deployments: Sequence[Deployment], console: Console) -> Iterator[None]:
    """Holds the locks of all nodes, taken in the order of their names, all or none.

    While it does, Ctrl-C stops what waits for a host, and what has been switched is taken back.

    Raises:
        LockedError: somebody else holds one.
    """
    stop = deployments[0].session.stop or threading.Event()

    def leave_them() -> None:
        console.say("interrupted again: leaving; hosts that were switched go back by themselves")
        for deployment in deployments:
            deployment.session.close()

    with handled(stop, lambda: console.say("interrupted: what was switched is taken back"), leave_them):
        try:
            for deployment in deployments:
                deployment.lock()
            yield
        finally:
            for deployment in deployments:
                deployment.release_lock()


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


def each(
    deployments: Sequence[Deployment],
    work: Callable[[Deployment], object],
    parallel: int | None = None,
    *,
    again: bool = False,
) -> None:
    """Does the same on all nodes side by side; a node's error is kept with it, and it is left out from then on.

    Args:
        parallel: how many at once; None for all.
        again: nodes that have an error take part, and Ctrl-C no longer counts: they are being taken back.
    """

    def attempt(deployment: Deployment) -> None:
        if again:
            deployment.session.stop = None
        elif deployment.session.stop is not None and deployment.session.stop.is_set():
            deployment.error = StoppedError("interrupted", node=deployment.node.name)
            return
        try:
            work(deployment)
        except DeployError as error:
            error.node = error.node or deployment.node.name
            deployment.error = error

    ready = [d for d in deployments if d.error is None or again]
    if not ready:
        return
    with ThreadPoolExecutor(parallel or len(ready), thread_name_prefix="node") as pool:
        try:
            list(pool.map(attempt, ready))
        except KeyboardInterrupt:
            if ready[0].session.stop is not None:
                ready[0].session.stop.set()
            raise


def require(deployments: Sequence[Deployment]) -> None:
    """Stops here when any node has failed.

    Raises:
        DeployError: that of the one node, or one that names them all.
    """
    errors = [d.error for d in deployments if d.error is not None]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        together = DeployError("\n".join(str(error) for error in errors))
        together.exit_code = ExitCode.gravest([error.exit_code for error in errors])
        raise together
