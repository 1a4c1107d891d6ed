"""What the host itself must offer, judged from its facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deploy_lib import layout
from deploy_lib.checks.check import Check, judged, numbers
from deploy_lib.checks.offers import check_offers
from deploy_lib.checks.ports import check_ports
from deploy_lib.checks.shape import check_shape
from deploy_lib.compose.command import refusal
from deploy_lib.config import Node, Requires
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.gather import TOOLS
from deploy_lib.shell import quote

MAX_SKEW = 5.0
"""Seconds that a host's clock may be off this machine's."""

MIB = 1024 * 1024

ENGINE_HINT = "is dockerd running, and may this user use it? systemctl status docker"


def check_host(node: Node, facts: Facts, *, rendered: bool) -> Iterator[Check]:
    """Everything about the host, and the Compose file as the host's own Compose reads it.

    Args:
        rendered: the facts were asked for with the stack's files. Without, only the checks that a rollback
            needs are made: it brings nothing new, and must not fail on a clock or a disk.
    """
    yield _tools(facts)
    yield check_shape(node, facts)
    yield from _docker(node.stack.requires, facts)
    unanswered = unknown(facts)
    yield judged(
        "facts",
        "the host answers all questions",
        "; ".join(f"{part}: {why}" for part, why in unanswered.items()),
        _hint(node, facts, unanswered.values()),
    )
    yield from _places(node, facts)
    if rendered:
        yield from _room(node, facts)
        yield _clock(facts)
        yield check_ports(facts)
        yield from check_offers(facts)
        yield judged(
            "Compose file",
            "the host's own Compose reads the Compose file",
            refusal(facts.problems.get("config", ""), node.directory)
            or ("" if facts.services or not facts.memory else "it has no services"),
            f"fix {node.stack.compose_shown}",
            found=f"{len(facts.services)} services",
        )


def check_answered(node: Node, facts: Facts, *, rendered: bool) -> Check:
    """Whether all facts are known that decisions are made from."""
    parts = (
        *("engine", "memory", "strangers", "files", "key", "history", "objects"),
        *("delivered", "images", "containers", "layers", "config", "blank"),
    )
    silent = {part: facts.problems[part] for part in parts if part in facts.problems}
    if rendered and not facts.services:
        silent.setdefault("config", "it has no services")
    return judged(
        "facts",
        "the host answers all questions",
        "; ".join(f"{part}: {why}" for part, why in silent.items()),
        ENGINE_HINT if "engine" in silent else _hint(node, facts, silent.values()),
    )


def unknown(facts: Facts) -> dict[str, str]:
    """The unknown facts of a host that has Docker, and why; without those that have a check of their own."""
    own = ("engine", "compose", "config", "directory")
    return {
        part: why
        for part, why in facts.problems.items()
        if part not in own and "engine" not in facts.problems
    }


def _hint(node: Node, facts: Facts, why: Iterable[str]) -> str:
    """The hint for a host that does not answer: the owner of an unreadable file can be changed."""
    forbidden = [each for each in why if "permission denied" in each.lower()]
    state = node.directory / layout.STATE
    if any(str(state) in each for each in forbidden):
        return f"as root on the host: chown -R {_user(facts)} {quote(state)}; then run the same command again"
    if forbidden:
        return (
            f"as root on the host: let {_user(facts)} read what is refused; then run the same command again"
        )
    return "fix what the host reports, then run the same command again"


def _user(facts: Facts) -> str:
    return quote(facts.user) if facts.user else "USER"


def _tools(facts: Facts) -> Check:
    missing = [tool for tool in TOOLS if tool not in facts.tools]
    return judged(
        "tools",
        "the programs that the scripts call are there",
        f"the host lacks {', '.join(missing)}, or PATH does not have them for {facts.user or 'this user'}"
        if missing
        else "",
        "install Docker Engine, or link it where sessions without a terminal find it: ln -s .../docker /usr/local/bin"
        if missing == ["docker"]
        else "apt-get install docker.io util-linux coreutils findutils grep sed tar",
    )


def _docker(requires: Requires, facts: Facts) -> Iterator[Check]:
    refusal = facts.problems.get("engine", "")
    forbidden = "permission denied" in refusal.lower()
    yield judged(
        "permission",
        "this user may use Docker",
        refusal if forbidden else "",
        "add the user to the group docker (usermod -aG docker USER), then connect anew; or, where it may use sudo without a "
        "password, set become = true for the node in deploy.toml",
    )
    if not forbidden:
        yield _version(
            "Docker Engine",
            facts.engine,
            requires.engine,
            refusal or ("" if facts.engine else "no answer"),
            ENGINE_HINT,
        )
    yield _version(
        "Compose plugin",
        facts.compose,
        requires.compose,
        facts.problems.get("compose", ""),
        f"install the docker-compose plugin, version {requires.compose} or later",
    )


def _version(name: str, found: str, least: str, silence: str, hint: str) -> Check:
    old = bool(found) and numbers(found) < numbers(least)
    return judged(
        name,
        f"it answers, and is version {least} or later",
        silence or (f"it is version {found}; at least {least} is needed" if old else ""),
        f"update it to {least} or later (`requires` in deploy.toml)" if old and not silence else hint,
        found=f"{found} (at least {least})" if found else "",
    )


def _places(node: Node, facts: Facts) -> Iterator[Check]:
    home = quote(node.directory)
    yield judged(
        "memory-backed space",
        "the host has memory for what must not rest on a disk",
        "" if facts.memory else "neither /run nor /dev/shm is a writable tmpfs",
        "registry credentials never rest on a disk: mount a tmpfs there",
        found=facts.memory,
    )
    if node.stack.delivery == "memory":
        yield judged(
            "swap",
            "what is in memory is never written to a disk",
            f"the host swaps to {', '.join(facts.machine.swap)}" if facts.machine.swap else "",
            'swapoff -a, and take it out of /etc/fstab; or choose delivery = "compose" for this stack',
            found="none",
        )
    yield judged(
        "directory",
        "the stack's directory can be written",
        _unwritable(node, facts),
        f"create {home}, as root on the host: mkdir -p {home} && chown {_user(facts)} {home}"
        if facts.missing
        else f"as root on the host: chown {_user(facts)} {home}",
        found=str(node.directory),
    )
    yield check_ownership(facts)


def check_ownership(facts: Facts) -> Check:
    """That no other user can change what is deployed, or redirect it with a link."""
    return judged(
        "ownership",
        "only this user and root can change what is deployed, or where secrets lie",
        "; ".join(what for what, _ in facts.strangers),
        "; ".join(dict.fromkeys(hint for _, hint in facts.strangers)),
    )


def _unwritable(node: Node, facts: Facts) -> str:
    if facts.writable:
        return ""
    if "directory" in facts.problems:
        return f"whether {node.directory} exists cannot be told: {facts.problems['directory']}"
    if facts.missing:
        return f"{node.directory} does not exist, and this user cannot create it"
    return f"{node.directory} is not writable"


def _room(node: Node, facts: Facts) -> Iterator[Check]:
    requires, machine = node.stack.requires, facts.machine
    root = machine.docker_root or "/var/lib/docker"
    yield _free(
        "space for images",
        machine.free.get("docker"),
        requires.docker_mib,
        root,
        f"free some space below {root}: `docker system df` shows what takes it, `docker image prune` and `{node.task('prune')}` help",
    )
    yield _free(
        "space for files",
        machine.free.get("directory"),
        requires.directory_mib,
        str(node.directory),
        f"free some space on the disk of {node.directory}",
    )
    yield _free(
        "memory",
        machine.memory or None,
        requires.memory_mib,
        "the host",
        "stop what else runs there, or give the host more",
    )


def _free(name: str, free: int | None, least: int, where: str, hint: str) -> Check:
    proves = f"at least {least} MiB are free"
    if free is None:
        return Check(
            name,
            proves,
            "warning",
            problem=f"{where} did not report its free space",
            hint="look by hand: df, free",
        )
    short = free < least * MIB
    found = f"{free // MIB} MiB free (at least {least})"
    return judged(
        name,
        proves,
        f"{where} has {free // MIB} MiB free; at least {least} are needed" if short else "",
        hint,
        found=found,
    )


def _clock(facts: Facts) -> Check:
    proves = f"its clock is within {MAX_SKEW:.0f} s of this machine's"
    now, (asked, answered) = facts.machine.now, facts.asked
    if not now:
        return Check(
            "clock", proves, "warning", problem="the host did not report its time", hint="look by hand: date"
        )
    # The host read its clock somewhen between question and answer.
    ahead = max(0.0, now - answered) - max(0.0, asked - now)
    off = f"it is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    return judged(
        "clock",
        proves,
        off if abs(ahead) > MAX_SKEW else "",
        "set both by NTP: timedatectl set-ntp true; logs and certificates rely on it, and no deployment does",
        found=f"{abs(ahead):.1f} s off",
        otherwise="warning",
    )
