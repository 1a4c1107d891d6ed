"""Proof: a release counts only when its containers are healthy and its stack's probes succeed."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial

from deploy_lib.answers import understand
from deploy_lib.compose.container import Container
from deploy_lib.config import Node, Probe
from deploy_lib.errors import DeployError, NotUnderstoodError
from deploy_lib.host.prove import probe, roster
from deploy_lib.host.prove.health import Gate, HealthProblem
from deploy_lib.host.prove.healthcheck import health_script, read_health
from deploy_lib.output.timings import TIMINGS
from deploy_lib.release.release import Release
from deploy_lib.shell import quote
from deploy_lib.ssh.session import Session

LOG_LINES = 15
"""Last lines of a service's log that are shown when it fails."""

Say = Callable[[str, str], None]
"""Shows a step's name and a line about it."""


class ProofError(DeployError):
    """A release is not healthy; the message has the service, expected and actual state, and its last log lines."""


def prove(
    session: Session,
    node: Node,
    release: Release,
    looks: Iterator[Sequence[Container]],
    look: Callable[[], Sequence[Container]],
    say: Say,
    healthy: Callable[[Sequence[Container]], object],
    tolerated: Collection[str] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Sequence[Container]:
    """Waits until a release that has just been switched to is healthy and its probes succeed; gives its containers.

    Args:
        looks: the containers, at least once a second, and whenever something happens to one.
        look: gives them as they are at this moment.
        healthy: gets them once they are healthy, before the probes.
        tolerated: services whose health does not count.
        clock: seconds of the time of the newest of `looks`.

    Raises:
        ProofError: it is not; a crash loop ends the wait early.
    """
    with TIMINGS.span(node.name, "phase", "health"):
        before = _await_health(session, node, release, looks, say, tolerated, clock)
    healthy(before)
    # Asked for, each comes at once; the next one of `looks` may take a second, for which a probe that fails would wait.
    newest = itertools.chain([before], iter(look, None))
    with TIMINGS.span(node.name, "phase", "probes"):
        probe_all(session, node, release, lambda: next(newest), say)
    # One of `looks` may be from before the last answer.
    with TIMINGS.span(node.name, "channel", "a last look"):
        after = look()
    # Containers of other services may stay beside it: those of a profile that is not active.
    own = [c for c in after if c.service in release.images]
    expected = [c for c in own if c.service not in {*tolerated, *node.stack.unproven}]
    _require_steady(
        session, node, before, [c for c in expected if not (c.done and c.service in release.ends)]
    )
    return after


def _require_steady(
    session: Session, node: Node, before: Sequence[Container], after: Sequence[Container]
) -> None:
    """Refuses containers that stopped or restarted during the probes: one may have answered before it crashed."""
    restarts = {c.id: c.restarts for c in before}
    for c in after:
        if not c.healthy or c.restarts != restarts.get(c.id):
            state = c.health or c.state
            raise ProofError(
                f"{c.service} did not stay healthy: it is {state}, after {c.restarts} restarts"
                f"{_log(session, c.service, c.id)}",
                node=node.name,
                step="probe",
            )


def probe_all(
    session: Session, node: Node, release: Release, look: Callable[[], Sequence[Container]], say: Say
) -> None:
    """Asks the release's probes, each until it succeeds or its time is over; those of deploy.toml where its record has none.

    A probe may ask another stack, which may have changed since: the probe of the same name in today's deploy.toml also counts.

    Raises:
        ProofError: naming those that failed.
    """
    probes, otherwise = asked(node, release)
    failed = []
    for finding in probe.prove(session, probes, look, partial(roster.members, node), otherwise):
        if finding.ok:
            say("probe", f"{finding.probe.name} ({finding.seconds:.1f} s)")
        else:
            failed.append(finding)
    if failed:
        problems = "".join(f"\n  {f.probe.name}: {f.problem}" for f in failed)
        first = failed[0]
        service, container = next(
            (
                (c.service, c.id)
                for c in look()
                if c.id == first.container or (not first.container and c.service == first.probe.service)
            ),
            ("", ""),
        )
        raise ProofError(
            f"{len(failed)} of {len(probes)} probes failed{problems}{_log(session, service, container)}",
            node=node.name,
            step="probe",
        )


def asked(node: Node, release: Release) -> tuple[Sequence[Probe], Mapping[str, Probe]]:
    """The probes of a release, and by name those of today that also count; see `probe_all`."""
    now = node.stack.probes
    probes = now if release.probes is None else release.probes
    return probes, {each.name: each for each in now if each not in probes}


def _await_health(
    session: Session,
    node: Node,
    release: Release,
    looks: Iterator[Sequence[Container]],
    say: Say,
    tolerated: Collection[str],
    clock: Callable[[], float],
) -> Sequence[Container]:
    gate = Gate(release.replicas, release.references, release.ends, node.stack.unproven, tolerated, clock)
    began: float | None = None
    problems: list[HealthProblem] = []
    for containers in looks:
        began = clock() if began is None else began
        problems = gate.look(containers)
        if not problems:
            say("healthy", f"{len(containers)} containers")
            return containers
        late = clock() - began > node.stack.healthy_timeout
        if late or any(problem.final for problem in problems):
            break
    worst = sorted(problems, key=lambda a: not a.final)[0]
    said = explain(session, worst.service, worst.container)
    raise ProofError(f"{worst.service} is not healthy: {worst.problem}{said}", node=node.name, step="health")


def explain(session: Session, service: str, container: str) -> str:
    """What a container's health check and the end of its log say, in lines of their own; "" where there is neither."""
    problem = HealthProblem(service, "", container)
    return _health(session, problem) + _log(session, service, container)


def _health(session: Session, worst: HealthProblem) -> str:
    """What a health check is, whose it is, and what it said last; "" for another problem."""
    if not worst.container:
        return ""
    result = session.run(health_script(worst.container), check=False, timeout=20, step="log")
    try:
        check = understand("the health check", lambda: read_health(result.stdout))
    except NotUnderstoodError:
        return ""
    if check is None or check.passed:
        return ""
    lines = "".join(f"\n    | {line}" for line in check.output.splitlines()[-LOG_LINES:])
    whose = (
        f"the image's own; healthcheck: in the Compose file overrides it, and unproven = [{json.dumps(worst.service)}] leaves it out"
        if check.inherited
        else "the Compose file's"
    )
    return f"\n  its check, {whose}: {check.command}\n  its last answer, status {check.code}:{lines}"


def _log(session: Session, service: str, container: str) -> str:
    if not container:
        return ""
    result = session.run(
        f"docker logs --tail {LOG_LINES} {quote(container)} 2>&1", check=False, timeout=20, step="log"
    )
    lines = "".join(f"\n    | {line}" for line in result.stdout.splitlines())
    return f"\n  the last log lines of {service}:{lines}" if lines else ""
