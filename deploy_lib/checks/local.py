"""What is looked at on this machine: the checkout, and the secrets' source."""

from __future__ import annotations

from collections.abc import Iterator

from deploy_lib.checks.check import Check, judged
from deploy_lib.errors import DeployError, UsageError
from deploy_lib.release.release import Version
from deploy_lib.source.git import REMOTE, Checkout, Commit


def checkout(
    found: Checkout | UsageError, version: Version | None, *, default: bool, newest: bool
) -> Iterator[Check]:
    """Which commit this is, and whether what is deployed is what it seems. Warnings only.

    Args:
        found: an error where git cannot tell, as outside a git checkout.
        version: the one that is deployed, where that is known.
        default: no `--tag` was given.
        newest: the default is the newest commit of origin/main that has an image, and not HEAD.
    """
    if isinstance(found, UsageError):
        yield Check(
            "checkout",
            "the configuration is a known commit",
            "warning",
            problem=f"nobody can tell which configuration is deployed: {found.what}",
            mend=found.mend or "clone it with git",
        )
        return
    yield judged(
        "checkout",
        "the configuration is a known commit",
        "it has changes that no commit has, and they are deployed" if found.dirty else "",
        "commit them",
        found=f"{found.head.version.tag} {found.head.subject!r}, {age(found.head.age_seconds)} old, on {found.branch or 'no branch'}",
        otherwise="warning",
    )
    if not newest:
        return
    used = (
        f"; {version.tag} is used instead"
        if default and version and version.tag != found.head.version.tag
        else ""
    )
    yield judged(
        "pushed",
        "others can see this commit, and CI can build it",
        f"HEAD ({found.head.version.tag}) is not pushed{used}" if not found.pushed else "",
        "git push",
        otherwise="warning",
    )
    yield judged(
        f"on {REMOTE}",
        "the configuration is that of the main line",
        "" if found.on_main or found.main is None else f"HEAD is not part of {REMOTE}{used}",
        "merge it first, or rebase"
        + ("; this is a shallow clone, which may not know (git fetch --unshallow)" if found.shallow else ""),
        otherwise="warning",
    )
    yield _main(found.main, found.fetched_seconds)
    if default and found.on_main and used:
        yield Check(
            "image of HEAD",
            "CI has built this commit",
            "warning",
            problem=f"HEAD ({found.head.version.tag}) has no image yet{used}",
            mend="wait for CI, or name a version with --tag",
        )


def _main(main: Commit | None, fetched: int | None) -> Check:
    proves = "which commit the default tag comes from"
    if main is None:
        problem = f"this checkout has no {REMOTE}"
        return Check(REMOTE, proves, "warning", problem=problem, mend="git fetch origin main")
    when = "nobody knows when it was fetched" if fetched is None else f"fetched {age(fetched)} ago"
    return Check(REMOTE, proves, found=f"{main.version.tag}, {age(main.age_seconds)} old, {when}")


def secrets(problem: DeployError | None, source: str, names: int) -> Check:
    """That the source gives every secret, and each keeps its rule."""
    return judged(
        "secrets",
        "the source can be signed in to, and every field is there and keeps its rule",
        problem.what if problem else "",
        (problem.mend if problem else None) or "see [secrets] in deploy.toml",
        found=f"{names} from {source}",
    )


def age(seconds: float) -> str:
    """How long ago, as people say it."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"
