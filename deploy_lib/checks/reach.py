"""How far the one connection to a host got."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from deploy_lib.checks.check import Check, judged
from deploy_lib.errors import Stage, UnreachableError
from deploy_lib.ssh.target import Target

_PROVES: dict[Stage, tuple[str, str]] = {
    "name": ("name resolution", "the host's name, as ssh_config has it, is an address"),
    "TCP": ("TCP", "its SSH port accepts connections"),
    "SSH": ("SSH", "it speaks SSH with us"),
    "host key": ("host key", "it is the host that known_hosts knows"),
    "login": ("login", "it accepts this user and key"),
}


def stages(target: Target, error: UnreachableError | None) -> Iterator[Check]:
    """One check for each stage that was reached, in their order; those after a failure are left out."""
    if target.not_done:
        yield Check(
            "ssh_config",
            "what it sets counts here, too",
            "warning",
            problem=f"it sets {', '.join(target.not_done)} for {target.name}, which `ssh` does and this program does not",
            hint=f"see that nothing depends on it, then take it out of ssh_config for {target.name}; docs/ssh.md has all that differs",
        )
    where = f"{target.hostname}:{target.port}"
    found: dict[Stage, str] = {"name": target.hostname, "TCP": where, "login": target.user}
    for stage in get_args(Stage):
        name, proves = _PROVES[stage]
        if error is not None and error.stage == stage:
            yield Check(name, proves, "failed", problem=error.what, hint=error.hint or "")
            return
        if error is not None and error.jump:
            continue  # the stage that the jump host reached says nothing about the host
        yield Check(name, proves, found=found.get(stage, ""))


SESSIONS = "sessions"
"""The name of the check for sessions at once."""


def sessions(allowed: int, needed: int) -> Check:
    """That as many scripts can run at once as a deployment needs.

    Args:
        allowed: how many sessions sshd has opened of those that were asked for.
    """
    return judged(
        SESSIONS,
        f"sshd allows {needed} sessions at once, which a deployment needs",
        f"sshd allows {allowed} at once (MaxSessions), and a deployment needs {needed}"
        if allowed < needed
        else "",
        f"MaxSessions {needed} or more in the host's sshd_config (its own value is 10), then reload sshd",
        found=str(allowed) if allowed < needed else f"at least {needed}",
    )


def forwarding(*, forbidden: bool) -> Check:
    """That probes can be asked through the session."""
    return judged(
        "forwarding",
        "sshd allows TCP forwarding, which the probes need",
        "sshd forbids TCP forwarding" if forbidden else "",
        "AllowTcpForwarding local (or yes) in the host's sshd_config, and no PermitOpen that lacks the probes' ports",
    )
