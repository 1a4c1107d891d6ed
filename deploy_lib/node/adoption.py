"""Adopting what somebody else has started: what must be known of it before anything is changed, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator

from deploy_lib import layout
from deploy_lib.checks.check import Check, judged, require_passed
from deploy_lib.compose.command import down_command
from deploy_lib.compose.override import variables_file
from deploy_lib.host.look.alike import ask_alike
from deploy_lib.host.look.facts import Facts
from deploy_lib.node.preflight import Values, needed_values
from deploy_lib.node.site import Site
from deploy_lib.plan.decision import Job
from deploy_lib.release.files import Entry
from deploy_lib.release.release import Version
from deploy_lib.shell import words
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace


def look_at_adopted(site: Site, facts: Facts, version: Version, values: Values) -> Facts:
    """The facts, with which of its containers are as the new release has them; others only where somebody else has started them.

    Raises:
        PreflightError: nothing could go back to it.
        RemoteError: the host does not answer.
    """
    if not facts.adopted:
        return facts
    _check(site, facts)
    return compare_adopted(site.session, site.job, facts, version, values)


def compare_adopted(session: Session, job: Job, facts: Facts, version: Version, values: Values) -> Facts:
    """The same, without a word.

    Raises:
        RemoteError: the host does not answer.
    """
    given = {name: value.reveal() for name, value in needed_values(facts, values).items()}
    shipped = job.local.shipped
    read = shipped.read
    files = {**read, layout.VARIABLES: Entry(variables_file(job.variables(version, facts)))}
    given_to = {*shipped.compose_files, *shipped.env_files}
    lying = all(
        facts.files.get(path) == each.mark
        for path, each in read.items()
        if path not in given_to and not each.folder
    )
    found = ask_alike(
        session, job.stack.unpinned, files, given, facts.containers, lying=lying, borrowed=job.stack.borrowed
    )
    return replace(facts, alike=found.services, inactive=found.inactive)


_UNTOLD = (
    "files that its containers do not name (as those of an old Compose), so those of deploy.toml were tried"
)
"""In place of the files' names."""


def _check(site: Site, facts: Facts) -> None:
    """That what runs could be started again as it is, and what is not exact about that.

    Raises:
        PreflightError: nothing could go back to all of it.
    """
    files = ", ".join(_files(facts))
    if not site.job.request.no_rollback:
        require_passed(site.node, [*_lost(site, facts, files)])
    if (made := facts.started_from) is not None and made.unlike:
        site.say(
            "adopt",
            f"warning: {', '.join(made.unlike)} was not made from {files} as these are now: going back makes it anew from them",
        )


def _files(facts: Facts) -> list[str]:
    return sorted({str(p.directory / f) for c in facts.containers if (p := c.project) for f in p.inputs})


def _lost(site: Site, facts: Facts, files: str) -> Iterator[Check]:
    """What nothing could go back to.

    Args:
        files: those that it was started from, for people; "" where its containers do not name any, as those of an old Compose.
    """
    name, without = "what runs here", "or deploy without a way back: --no-rollback"
    paused = sorted(c.name for c in facts.containers if c.state == "paused")
    yield judged(
        name,
        "no container is paused, which nothing could go back to",
        f"{', '.join(paused)} is paused, and would run after a failure" if paused else "",
        f"on the host: docker unpause {words(*paused)}; or docker stop, and it stays stopped; {without}",
    )
    made, why = facts.started_from, facts.by_hand
    gone = [c for c in facts.containers if made is not None and c.service not in made.services]
    services = ", ".join(sorted({c.service for c in gone}))
    yield judged(
        name,
        "the files that it was started from still have all of it",
        f"{services} runs here, and is not in {files} as these are now: nothing could start it again"
        if gone
        else "",
        "bring these files back as they were; or remove what nobody needs any more, when its data are safe: "
        f"docker rm -f {words(*sorted(c.name for c in gone))}; {without}",
    )
    untold = "files that its containers do not name, so those of deploy.toml were tried"
    yield judged(
        name,
        "the files that it was started from can be read, so that a failure can go back to it",
        f"what runs here was started from {files or untold}, which Compose does not read now: {why}"
        if isinstance(why, str)
        else "",
        f"bring these files back as they were; {without}; or take it down first, which keeps its volumes: "
        f"{down_command(site.stack.project)}",
    )
