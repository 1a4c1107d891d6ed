"""Checks of this machine: the checkout, and the secrets' source."""

from __future__ import annotations

from collections.abc import Iterator

from deploy_lib.checks.check import Check, judged
from deploy_lib.config import Environment
from deploy_lib.errors import DeployError, UsageError
from deploy_lib.release.release import Version
from deploy_lib.source.git import Checkout
from deploy_lib.source.versions import of_commit


def checkout(
    environment: Environment, found: Checkout | UsageError, version: Version | None, *, default: bool
) -> Iterator[Check]:
    """Which commit this is, and whether it is clean, pushed and built. Warnings only.

    Args:
        found: an error where git does not answer, as outside a git checkout.
        version: the one that is deployed, where that is known.
        default: no `--tag` was given.
    """
    branch = environment.follows
    if isinstance(found, UsageError):
        yield Check(
            "checkout",
            "the configuration is a known commit",
            "warning",
            problem=f"it is unknown which configuration is deployed: {found.what}",
            hint=found.hint or "clone it with git",
        )
        return
    head = of_commit(environment, found.head.sha).tag
    yield judged(
        "checkout",
        "the configuration is a known commit",
        "it has uncommitted changes, and they are deployed" if found.dirty else "",
        "commit them",
        found=f"{head} {found.head.subject!r}, {age(found.head.age_seconds)} old, on {found.branch or 'no branch'}",
        otherwise="warning",
    )
    if branch is None:
        return
    used = f"; {version.tag} is used instead" if default and version and version.tag != head else ""
    yield judged(
        "pushed",
        "others can see this commit, and CI can build it",
        f"HEAD ({head}) is not pushed{used}" if not found.pushed else "",
        "git push",
        otherwise="warning",
    )
    yield judged(
        f"on {branch}",
        "the configuration is that of the main line",
        "" if found.on_branch or found.tip is None else f"HEAD is not part of {branch}{used}",
        "merge it first, or rebase"
        + ("; this is a shallow clone, which may not know (git fetch --unshallow)" if found.shallow else ""),
        otherwise="warning",
    )
    yield _tip(environment, branch, found)
    if default and found.on_branch and used:
        yield Check(
            "image of HEAD",
            "CI has built this commit",
            "warning",
            problem=f"HEAD ({head}) has no image yet{used}",
            hint="wait for CI, or name a version with --tag",
        )


def _tip(environment: Environment, branch: str, found: Checkout) -> Check:
    proves = "which commit the default tag comes from"
    if found.tip is None:
        problem = f"this checkout has no {branch}"
        return Check(
            branch, proves, "warning", problem=problem, hint=f"git fetch {branch.replace('/', ' ', 1)}"
        )
    fetched = found.fetched_seconds
    when = "never fetched, as far as is known" if fetched is None else f"fetched {age(fetched)} ago"
    tag = of_commit(environment, found.tip.sha).tag
    return Check(branch, proves, found=f"{tag}, {age(found.tip.age_seconds)} old, {when}")


def meaning(problem: str) -> Iterator[Check]:
    """That `--tag` means one thing.

    Args:
        problem: its second meaning, see `ambiguous`; "" when there is none.
    """
    if problem:
        yield Check("version", "--tag means one thing", "warning", problem=problem, hint="give the image tag")


def secrets(problem: DeployError | None, source: str, names: int) -> Check:
    """That the source gives every secret, and each keeps its rule."""
    return judged(
        "secrets",
        "the source accepts the sign-in, and has every field as its rule wants it",
        problem.what if problem else "",
        (problem.hint if problem else None) or "see [secrets] in deploy.toml",
        found=f"{names} from {source}",
    )


def age(seconds: float) -> str:
    """How long ago, as people say it."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"
