"""The survey: every check of the preflight, on this machine and on all nodes side by side; the first step of every command
that deploys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from deploy_lib import address
from deploy_lib.checks import (
    Check,
    check_constructs,
    check_elsewhere,
    check_exposure,
    check_files,
    check_profiles,
    check_project,
    check_reloads,
    check_replicas,
    check_rolling,
    check_variables,
    local,
    reach,
)
from deploy_lib.compose.env_file import read_env_file
from deploy_lib.config import Environment, Node
from deploy_lib.errors import DeployError, RemoteError, UnforeseenError, UnreachableError, UsageError, told
from deploy_lib.fleet import patches
from deploy_lib.fleet.findings import NodeSurvey, Survey
from deploy_lib.fleet.optional import advised
from deploy_lib.fleet.parallel import beside, side_by_side
from deploy_lib.fleet.registries import Asker, Question, Registries, ask_registries
from deploy_lib.fleet.vault import open_vault
from deploy_lib.host.look.facts import Facts
from deploy_lib.names import did_you_mean
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.guard import foresee_loss
from deploy_lib.node.preflight import judge_host, judge_secrets, judge_way, look
from deploy_lib.output.timings import TIMINGS
from deploy_lib.release.release import Version
from deploy_lib.request import Request
from deploy_lib.source import git
from deploy_lib.source.checkout import check_names, check_tracked
from deploy_lib.source.versions import ambiguous, require_own_images, versions
from deploy_lib.values import replace


def survey(environment: Environment, deployments: Sequence[Deployment], request: Request) -> Survey:
    """Makes every check; nothing is changed anywhere.

    Raises:
        UsageError: the configuration or the tag is wrong, so that nothing could be checked.
    """
    require_own_images(environment, request.tag)
    wanted = versions(environment, request.tag)
    stacks = {d.node.stack_name for d in deployments}

    def look_at(d: Deployment) -> NodeSurvey:
        with TIMINGS.span(d.node.name, "phase", "preflight"):
            return _look(environment, d, wanted[0], stacks)

    # Git takes about as long as a host, and neither needs the other.
    ask_git = beside(lambda: _checkout(environment))
    looks = side_by_side(deployments, look_at, request.parallel)
    nodes = {look.node.name: look for look in looks}
    _check_refresh(request, [look.facts for look in looks])
    found_by_node = {name: each.facts for name, each in nodes.items()}
    chosen = patches.choose(deployments, found_by_node)
    base = patches.base(environment, chosen, found_by_node, request.tag)
    rendered, wanted = wanted[0], [base] if base else wanted
    deployments = chosen.taking
    nodes = {d.node.name: nodes[d.node.name] for d in deployments}
    with TIMINGS.span("", "phase", "secrets"):
        vault = open_vault(environment, deployments, nodes)
    ready = [d for d in deployments if nodes[d.node.name].ready]
    if vault.fetched:
        for d in ready:
            found = nodes[d.node.name]
            nodes[d.node.name] = found.also(judge_secrets(d.job, found.facts, vault.values))
    packer = patches.Packer(chosen)

    def pack(d: Deployment) -> list[Check]:
        try:
            with told(d.node.name):
                return packer.pack(d, nodes[d.node.name].facts)
        except (RemoteError, UnforeseenError) as error:
            return [_broken_off(error)]

    if chosen.services:
        with TIMINGS.span("", "phase", "images of this machine"):
            for d, judged_too in zip(ready, side_by_side(ready, pack, request.parallel), strict=True):
                nodes[d.node.name] = replace(nodes[d.node.name].also(*judged_too), ended=_now())
    registries = Registries(version=wanted[0] if len(wanted) == 1 else None)
    if vault.fetched and ready:
        askers = [Asker(d, patches.without_patched(nodes[d.node.name].facts, d)) for d in ready]
        question = Question(
            environment.image_registry,
            environment.versions,
            wanted,
            request,
            vault.logins,
            fleet=[asker.facts for asker in askers],
            allow_dirty=environment.allow_dirty,
            rendered=rendered,
        )
        with TIMINGS.span("", "phase", "registries"):
            registries = ask_registries(environment, askers, question)
        for name, checks in registries.nodes.items():
            nodes[name] = replace(nodes[name].also(*checks), ended=_now())
        if registries.version is not None:
            version, manifests = registries.version, registries.manifests
            judged = side_by_side(
                ready,
                lambda d: foresee_loss(
                    d.session,
                    d.job,
                    nodes[d.node.name].facts,
                    version,
                    manifests.get(d.node.name, {}),
                    vault.values,
                ),
                request.parallel,
            )
            for d, also in zip(ready, judged, strict=True):
                nodes[d.node.name] = replace(nodes[d.node.name].also(*also), ended=_now())
    with TIMINGS.span("", "phase", "git"):
        checked_out = ask_git()
    default = request.tag is None and base is None
    checkout = local.checkout(environment, checked_out, registries.version, default=default)
    meaning = local.meaning(ambiguous(request.tag, wanted, registries.version))
    return Survey(
        here=(*checkout, vault.check, *registries.checks, *meaning),
        nodes=nodes,
        version=registries.version,
        values=vault.values,
        logins=vault.logins,
        manifests=registries.manifests,
        rendered=rendered,
        fetched=vault.fetched,
        taking=deployments,
        left_out=chosen.left_out,
        packed=all(set(chosen.services.get(d.node.name, ())) <= {*d.job.patches} for d in deployments),
    )


def _check_refresh(request: Request, found: Sequence[Facts]) -> None:
    """Refuses to refresh a service that no stack has.

    Raises:
        UsageError: with the names of the known ones.
    """
    known = {name for facts in found for name in facts.services}
    if request.refresh and known and request.refresh not in known:
        raise UsageError(
            f"--refresh: there is no service {request.refresh!r}; there are {', '.join(sorted(known))}",
            hint=did_you_mean(request.refresh, known),
        )


def _look(environment: Environment, d: Deployment, version: Version, stacks: set[str]) -> NodeSurvey:
    began, facts, checks = _now(), Facts(), list[Check]()
    try:
        with told(d.node.name):
            d.session.open()
            checks += reach.stages(d.session.connection.target, None)
            checks += judge_way(d.session, d.node, facts)
            facts = look(d.session, d.job, version, weigh=True)
            checks += judge_host(d.node, facts, stacks, rendered=True)
            checks += _judge_stack(environment, d, facts)
    except UnreachableError as error:
        checks += reach.stages(d.session.connection.target, advised(error, d))
    except (RemoteError, UnforeseenError) as error:
        checks.append(_broken_off(error))
    checks += check_files(d.node, d.local.shipped, facts)
    return NodeSurvey(d.node, facts, tuple(checks), began, _now())


def _broken_off(error: DeployError) -> Check:
    hint = error.hint or "run the same command again"
    return Check("facts", "the host answers all questions", "failed", problem=error.what, hint=hint)


def _judge_stack(environment: Environment, d: Deployment, facts: Facts) -> Iterator[Check]:
    """What the stack asks for, as its host has rendered it.

    Raises:
        UsageError: the stack, deploy.toml and the command line do not agree on a name.
    """
    elsewhere = check_elsewhere(d.node, d.local.project, facts, _neighbours(environment, d.node))
    yield elsewhere
    # Where it runs already under another name, that is the one to take, and not the one that Compose would choose.
    if elsewhere.result != "failed" or d.local.named:
        yield check_project(d.node, d.local.project, facts, named=d.local.named, otherwise=d.local.otherwise)
    shipped = d.local.shipped
    given: dict[str, str] = {}
    for path in shipped.env_files:
        given |= read_env_file(shipped.files[path].content, given)
    yield check_variables(d.node, facts, given)
    if facts.services:
        check_names(environment, d.node, facts.services)
        check_tracked(shipped, facts.services)
        d.check_service(facts.services)
        yield from check_exposure(d.node, facts.services)
        yield from check_constructs(d.node, d.local.project, facts, alone=bool(d.request.services))
        yield check_reloads(d.node, facts.services, d.local.files)
        yield from check_profiles(d.local.services, facts)
        yield from check_replicas(d.node, facts)
        yield from check_rolling(d.node, facts)


def _neighbours(environment: Environment, node: Node) -> set[str]:
    """The directories of other nodes on the same host."""
    here = address.parse(node.host).host.lower()
    found = [n for n in environment.nodes.values() if address.parse(n.host).host.lower() == here]
    return {str(n.directory) for n in found if n.directory != node.directory}


def _checkout(environment: Environment) -> git.Checkout | UsageError:
    try:
        return git.look(environment.root, environment.follows)
    except UsageError as problem:
        return problem


def _now() -> str:
    """UTC, RFC 3339, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
