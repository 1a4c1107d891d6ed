"""A node's part in preflight: its facts, and the checks that are made from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from deploy_lib import layout
from deploy_lib.checks import Check, check_host, check_once_read, check_storage, reach
from deploy_lib.compose.override import variables_file
from deploy_lib.config import Node
from deploy_lib.host.look.by_hand import ask_by_hand, started_from
from deploy_lib.host.look.deployed import ask_deployed
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.gather import gather
from deploy_lib.plan.decision import Job
from deploy_lib.release.files import Entry
from deploy_lib.release.release import Version
from deploy_lib.secrets.placeholders import placeholders
from deploy_lib.secrets.value import Secret
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace

AT_ONCE = 3
"""Scripts that run on a host at the same time, at most: the one that holds the lock, the one that follows the switch, and one
more, such as that with the verdict. They are also the fewest that any command takes, so that none is opened in vain."""

Values = Mapping[str, Secret]


def look(
    session: Session,
    job: Job,
    version: Version | None = None,
    known: Facts | None = None,
    *,
    weigh: bool = False,
) -> Facts:
    """The facts of a job's host; with a version, also this checkout's Compose file as the host renders it.

    Args:
        known: the facts so far: they have the number of replicas; and what cannot have changed since is not asked again.
        weigh: containers may be replaced, so that it counts how much lies in their own layers.

    Raises:
        RemoteError: the host does not answer.
    """
    asked = known if known is not None and known.asked[0] else None
    if version is None:
        return gather(session, job.stack, {}, {}, weigh=weigh, known=asked)
    env, variables = placeholders(job.environment.secrets), job.variables(version, known or Facts())
    given = {**env, **variables}
    if asked is not None and asked.rendered == given and not job.stack.borrowed and not _unrendered(asked):
        return gather(session, job.stack, {}, {}, weigh=weigh, known=asked)
    # By a file, as in the release: a shell has variables of its own, and some, such as UID, that nobody can set.
    files = {**job.local.shipped.read, layout.VARIABLES: Entry(variables_file(variables))}
    return replace(gather(session, job.stack, files, env, weigh=weigh), rendered=given)


def _unrendered(facts: Facts) -> bool:
    return not facts.services or not {"config", "blank", "engine", "memory"}.isdisjoint(facts.problems)


def look_at_places(session: Session, job: Job, facts: Facts) -> Facts:
    """The same facts, with the stack that lies on the host: where the record does not say where its secrets are, and where a part
    of it stays beside what the checkout has.

    Raises:
        RemoteError: the host does not answer.
    """
    lies = facts.unsettled or facts.proven
    # What was taken down since has nothing left that could be read.
    if facts.adopted and facts.containers:
        lying = started_from(facts.containers) if facts.unrecorded else None
        lying = lying or (job.stack.project_of(lies.release) if lies else job.stack.project)
        found = ask_by_hand(session, job.stack, lying, facts.containers, job.environment.secrets)
        # Where the old files cannot be read, the new ones are the best that is known.
        known = facts.services if isinstance(found, str) else found.services
        return replace(facts, deployed=known, by_hand=found)
    alone = bool(job.request.services) and facts.proven is not None
    if facts.knows_places and not alone:
        return facts
    project = job.stack.project_of(lies.release) if lies else job.stack.project
    if alone:
        # As it was before a release pinned it, to be compared with the checkout's.
        project = replace(project, files=tuple(name for name in project.files if name != layout.OVERRIDE))
    names = {*job.environment.secrets, *(lies.release.marks if lies else ())}
    deployed = ask_deployed(session, project, names)
    if alone and deployed is None:
        return facts
    return replace(facts, deployed=facts.services if deployed is None else deployed)


def needed_values(facts: Facts, values: Values) -> Values:
    """Those of the values that a host's stack needs: as it is to be, or, where that was not rendered, as it was recorded."""
    names = facts.secret_names or (facts.proven.release.marks if facts.proven else ())
    return {name: values[name] for name in names if name in values}


def judge_secrets(job: Job, facts: Facts, values: Values) -> Check:
    """Whether a deployment may give a host's containers these values."""
    return check_once_read(
        job.node,
        job.environment.apply,
        facts.changed(needed_values(facts, values)),
        recorded=facts.proven is not None,
        lost=str(job.node.directory / layout.KEY) if facts.incomparable else "",
    )


def judge_sessions(session: Session) -> Check:
    """Whether all that a switch does at once goes through the session.

    Raises:
        RemoteError: the session has ended.
    """
    return reach.sessions(session.reserve(AT_ONCE), AT_ONCE)


def judge_way(session: Session, node: Node, facts: Facts) -> list[Check]:
    """Whether all that a deployment does at once goes through the session, and its probes where they ask over HTTP.

    Args:
        facts: they have the releases that a failure could go back to, with their own probes.

    Raises:
        RemoteError: the session has ended.
    """
    recorded = [event.release.probes or () for event in facts.history]
    probes = [*(probe for some in recorded for probe in some), *node.stack.probes]
    urls = [urlsplit(probe.url) for probe in probes if probe.url]
    checks = [judge_sessions(session)]
    if not urls:
        return checks
    # The last one, since the first is what is replaced most often.
    forbidden = session.forbids_forwarding(urls[-1].hostname or "127.0.0.1", urls[-1].port or 80)
    return [*checks, reach.forwarding(forbidden=forbidden)]


def judge_host(node: Node, facts: Facts, stacks: Collection[str], *, rendered: bool) -> list[Check]:
    """What the host must offer.

    Args:
        stacks: those that the same command deploys; checks that need them are deferred.
        rendered: see `check_host`.
    """
    deferred = bool(set(node.stack.needs) & set(stacks))
    storage = check_storage(node, facts.machine.storage, deferred=deferred)
    return [*check_host(node, facts, rendered=rendered), *storage]
