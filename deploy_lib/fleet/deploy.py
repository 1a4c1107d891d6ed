"""Several nodes, one release: the same checks for all before the first is changed, and all back if one fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from deploy_lib.config import Environment, Node
from deploy_lib.errors import DeployError, ExitCode, SeveralErrors, StoppedError, told
from deploy_lib.fleet.interruption import handled
from deploy_lib.fleet.parallel import side_by_side
from deploy_lib.fleet.survey import require as require_checks
from deploy_lib.fleet.survey import survey
from deploy_lib.host.change.targets import Scraper
from deploy_lib.host.look.registry import Login
from deploy_lib.node.deployment import Deployment, Values
from deploy_lib.node.outcome import settle
from deploy_lib.output.console import Console
from deploy_lib.plan import replicas
from deploy_lib.plan.decision import Case
from deploy_lib.release.release import new_id
from deploy_lib.request import Request
from deploy_lib.source.checkout import Local, read_stack
from deploy_lib.ssh.session import Session

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
            case=Case(environment, node, stacks[node.stack_name], request, release_id),
            session=connect(node),
            console=console,
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
    found = survey(environment, deployments, request)
    version = require_checks(found, console, lenient=request.skip_validation)
    each(deployments, lambda d: d.check_secrets(found.values))
    require(deployments)

    def decide(deployment: Deployment) -> None:
        deployment.decide(version, found.manifests, found.values)

    if request.dry_run:
        each(deployments, lambda d: d.look_again(version))
        each(deployments, decide)
        each(deployments, lambda d: d.rehearse(found.login))
        require(deployments)
        return ExitCode.DONE
    with locked(deployments, console):
        each(deployments, lambda d: d.look_again(version))
        each(deployments, decide)
        require(deployments)
        return carry_out(deployments, request, found.values, found.login)


def carry_out(
    deployments: Sequence[Deployment],
    request: Request,
    values: Values,
    login: Login | None,
    *,
    needed_first: bool = False,
) -> ExitCode:
    """All nodes' plans, from the first file to the record; or all nodes back where they were.

    Files and images go everywhere before the first host is switched; then stacks that others need are proven before
    those others begin; and no node's release counts before every node's is proven.

    Args:
        needed_first: stacks that others need also go back first. Otherwise they go back last.
    """

    def switch(deployment: Deployment) -> None:
        deployment.check_deferred()
        deployment.switch(values)

    each(deployments, lambda d: d.stage(login), request.parallel)
    for wave in waves(deployments):
        if not failed(deployments):
            each(wave, switch, request.parallel)
    if not failed(deployments) and not stopped(deployments):
        # From here on there is no way back: Ctrl-C must not leave some recorded and others not.
        each(deployments, Deployment.record, again=True)
    elif request.no_rollback:
        each([d for d in deployments if d.switched], lambda d: d.leave(reason(deployments)), again=True)
    else:
        order = waves(deployments) if needed_first else reversed(waves(deployments))
        for wave in order:
            each([d for d in wave if d.switched], lambda d: d.go_back(reason(deployments)), again=True)
    if failed(deployments):
        untouched = [d for d in deployments if d.outcome == "untouched"]
        each(untouched, lambda d: d.abort(reason(deployments)), again=True)
    return conclude(deployments)


def conclude(deployments: Sequence[Deployment]) -> ExitCode:
    """Gives each deployment its last word, and the command its exit status."""
    codes = []
    recorded = [d.node.name for d in deployments if d.outcome == "deployed"]
    for deployment in deployments:
        if deployment.outcome == "not started" and deployment.error is None:
            deployment.outcome = "untouched"
        code, deployment.error = settle(deployment, recorded)
        codes.append(code)
    return ExitCode.gravest(codes)


def stopped(deployments: Sequence[Deployment]) -> bool:
    """Whether the operator has pressed Ctrl-C; that is then every switched node's error."""
    stop = deployments[0].session.stop
    if stop is None or not stop.is_set():
        return False
    for deployment in deployments:
        deployment.error = deployment.error or StoppedError("interrupted", node=deployment.node.name)
    return True


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
def locked(
    deployments: Sequence[Deployment],
    console: Console,
    on_stop: str = "what was switched and is not proven yet is taken back",
) -> Iterator[None]:
    """Holds the locks of all nodes, taken in the order of their names, all or none.

    While it does, Ctrl-C stops what waits for a host, and what has been switched is taken back.

    Args:
        on_stop: what Ctrl-C brings about, for the operator.

    Raises:
        LockedError: somebody else holds one.
    """
    stop = deployments[0].session.stop or threading.Event()

    def leave_them() -> None:
        console.say("interrupted again: leaving; hosts that were switched go back by themselves")
        for deployment in deployments:
            deployment.session.close()

    with handled(
        stop,
        lambda: console.say(f"interrupted: {on_stop}"),
        leave_them,
    ):
        try:
            for deployment in deployments:
                deployment.lock()
            yield
        finally:
            for deployment in deployments:
                deployment.release_lock()


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
            # An error that nobody foresaw, too, must not keep hosts from being taken back.
            with told(deployment.node.name):
                work(deployment)
        except DeployError as error:
            deployment.error = error

    ready = [d for d in deployments if d.error is None or again]
    if not ready:
        return
    try:
        side_by_side(ready, attempt, parallel)
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
        raise SeveralErrors(errors)
