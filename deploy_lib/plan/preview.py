"""Preview: what a dry run shows beside the plan: files as a diff, and the commands that would run; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import unified_diff

from msgspec import Struct, field

from deploy_lib import layout
from deploy_lib.plan.changes import Change, along
from deploy_lib.plan.plan import Plan
from deploy_lib.release.files import closed, content_of, mode_of, target_of
from deploy_lib.release.image import Image
from deploy_lib.values import replace


class Preview(Struct, frozen=True):
    """A plan in detail.

    Attributes:
        diffs: by path, a unified diff from what the host has to what it would have.
        commands: the Docker commands that would run on the host, in their order; values of secrets are masked.
        sizes: bytes that pulling would transfer, by image, as far as the registries say.
    """

    diffs: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[str] = ()
    sizes: Mapping[Image, int] = field(default_factory=dict)


def foresee(
    plan: Plan, before: Mapping[str, str], after: Mapping[str, str], env_files: Collection[str]
) -> Plan:
    """The plan, with the services that Compose would recreate for another reason than their image or their secrets.

    Args:
        before, after: by service, a hash of its configuration, now and then.
        env_files: the files that hold nothing but variables.
    """
    changed = {path for path in plan.changed if path != layout.OVERRIDE}
    why = "environment" if changed and changed <= {*env_files} else "configuration"

    def foreseen(change: Change) -> Change:
        differs = change.service in after and before.get(change.service) != after[change.service]
        kept = change.action in ("keep", "start")
        return replace(change, action="recreate", why=why) if kept and differs else change

    return replace(plan, changes=along([foreseen(change) for change in plan.changes], plan.joins, plan.needs))


def diffs(
    plan: Plan, old: Mapping[str, bytes], new: Mapping[str, bytes], there: Sequence[Mapping[str, str]]
) -> dict[str, str]:
    """By path, how files would change; what is not for everybody to read is not shown.

    Args:
        old: the host's files; what is not in it is not there.
        new: the release's files, as far as they are known here.
        there: the marks of what lies on the host, and of releases that have put it there, beside the one that was proven last.
    """
    found = {}
    before_it = plan.before.release if plan.before else None
    recorded = before_it.files if before_it else {}
    # What somebody else has deployed may have values in it that nobody has declared.
    strange = {*before_it.env_files} if before_it and plan.before and plan.before.kind == "adopted" else set()
    for path in sorted({*plan.changed, *plan.dropped}):
        if path in plan.changed and path not in new and content_of(plan.desired.release.files[path]):
            continue
        mark = plan.desired.release.files.get(path, "") if path in plan.changed else ""
        before, after = old.get(path, b""), new.get(path, b"") if path in plan.changed else b""
        if path in strange:
            found[path] = f"{path} differs; it is one that somebody else has made"
        elif any(closed(marks.get(path, "")) for marks in ({path: mark}, recorded, *there)):
            found[path] = f"{path} differs; its mode says that it is not for everybody to read"
        elif mark and not content_of(mark):
            found[path] = (
                f"{path} becomes a link to {target}" if (target := target_of(mark)) else f"{path} is made"
            )
        elif mark and before == after:
            found[path] = f"{path} has the mode {mode_of(mark)}"
        else:
            found[path] = diff(path, before, after)
    return found


def diff(path: str, before: bytes, after: bytes) -> str:
    """One file's unified diff; an empty one counts as none."""
    try:
        old, new = before.decode().splitlines(), after.decode().splitlines()
    except UnicodeDecodeError:
        return f"binary file {path} differs"
    names = (f"a/{path}" if before else "/dev/null", f"b/{path}" if after else "/dev/null")
    return "\n".join(unified_diff(old, new, *names, lineterm=""))
