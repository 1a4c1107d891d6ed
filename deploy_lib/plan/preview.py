"""Preview: what a dry run shows beside the plan: files as a diff, and the commands that would run; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import unified_diff

from deploy_lib import layout
from deploy_lib.compose.command import up_command
from deploy_lib.config import OneOff
from deploy_lib.host.change.place import act
from deploy_lib.host.change.switch import one_off_command
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login
from deploy_lib.host.stack import HostStack
from deploy_lib.plan.plan import Change, Plan
from deploy_lib.release.image import Image
from deploy_lib.secrets.value import MASK
from deploy_lib.shell import quote, words


@dataclass(frozen=True)
class Preview:
    """A plan in detail.

    Attributes:
        diffs: by path, a unified diff from what the host has to what it would have.
        commands: the Docker commands that would run on the host, in their order; values of secrets are masked.
        sizes: bytes that pulling would transfer, by image, as far as the registries say.
    """

    diffs: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[str] = ()
    sizes: Mapping[Image, int] = field(default_factory=dict)


def foresee(plan: Plan, facts: Facts, hashes: Mapping[str, str], env_files: Collection[str]) -> Plan:
    """The plan, with the services that Compose would recreate for another reason than their image or their secrets.

    Args:
        hashes: by service, the hash that its containers would carry.
        env_files: the files that hold nothing but variables.
    """
    changed = {path for path in plan.changed if path != layout.OVERRIDE}
    why = "environment" if changed and changed <= {*env_files} else "configuration"

    def foreseen(change: Change) -> Change:
        running = facts.of(change.service)
        differs = any(c.config_hash != hashes.get(change.service, c.config_hash) for c in running)
        kept = change.action in ("keep", "start")
        return replace(change, action="recreate", why=why) if kept and differs else change

    return replace(plan, changes=tuple(foreseen(change) for change in plan.changes))


def diffs(plan: Plan, old: Mapping[str, bytes], new: Mapping[str, bytes]) -> dict[str, str]:
    """By path, how files would change.

    Args:
        old: the host's files; what is not in it is not there.
        new: the release's files, as far as they are known here.
    """
    found = {}
    for path in sorted({*plan.changed, *plan.dropped}):
        if path in plan.changed and path not in new:
            continue
        before, after = old.get(path, b""), new.get(path, b"") if path in plan.changed else b""
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


def commands(
    stack: HostStack,
    plan: Plan,
    facts: Facts,
    *,
    login: Login | None,
    one_offs: Sequence[OneOff],
    secrets: Sequence[str],
) -> list[str]:
    """What a deployment of this plan would run with Docker, in this order.

    Args:
        login: for the images to be pulled.
        one_offs: the commands of new images that come before the switch.
        secrets: names of the variables that Compose gets on standard input.
    """
    if plan.nothing:
        return []
    env = "".join(f"{name}={MASK} " for name in secrets)
    found = []
    if login is not None and any(login.covers(image) for image in plan.pulls):
        found.append(words("docker", "login", "--username", login.username, "--password-stdin", login.host))
    found += [words("docker", "pull", image) for image in plan.pulls]
    alone = plan.back is not None
    found += [env + one_off_command(stack, one_off, alone=alone) for one_off in one_offs]
    found.append(env + up_command(stack.project))
    kept = {change.service for change in plan.changes if change.action == "keep"}
    found += [
        act(reload, quote(container.name))
        for reload in plan.reloads
        for container in facts.of(reload.service)
        if reload.service in kept
    ]
    return found
