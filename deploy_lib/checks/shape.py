"""Hosts that look like what is needed, and are not: each is refused by its name."""

from __future__ import annotations

from deploy_lib.checks.check import Check, judged
from deploy_lib.config import Node
from deploy_lib.host.look.facts import Facts
from deploy_lib.layout import MEMORY
from deploy_lib.shell import quote


def check_shape(node: Node, facts: Facts) -> Check:
    """That programs are what their names say, and that nothing tidies up behind a session."""
    found = [each.partition(":")[::2] for each in sorted(facts.tools) if ":" in each]
    told = [part for kind, name in found if (part := _told(node, facts, kind, name))]
    return judged(
        "kind of host",
        "Docker and the system's programs are those that scripts rely on, and outlive the session",
        "; ".join(dict.fromkeys(problem for problem, _ in told)),
        "; ".join(dict.fromkeys(hint for _, hint in told)),
    )


def _told(node: Node, facts: Facts, kind: str, name: str) -> tuple[str, str] | None:
    # With become = true it is root, and the session that of who has logged in.
    user = quote(facts.user if facts.user not in ("", "root") else "USER")
    if kind == "busybox":
        return (
            f"{name} is BusyBox's, which lacks what scripts need",
            "install the full ones: apk add coreutils findutils util-linux (or apt-get install coreutils findutils)",
        )
    if kind == "lacks":
        return (
            f"{name} is not GNU's, and lacks what scripts need",
            "install GNU's coreutils and findutils, and let their directory come first in PATH",
        )
    if kind == "snap":
        return (
            "docker is snap's, which may read neither the stack's directory nor /run",
            "snap remove docker, then install Docker Engine from Debian or docs.docker.com/engine/install",
        )
    if kind == "podman":
        return (
            "docker is Podman's imitation",
            "install Docker Engine: docs.docker.com/engine/install",
        )
    if name == "KillUserProcesses":
        return (
            "logind kills what a session leaves behind (KillUserProcesses), and so a switch whose session ends",
            f"KillExcludeUsers=root {user} in /etc/systemd/logind.conf, then systemctl restart systemd-logind",
        )
    # Only what lies in /dev/shm is removed.
    if name == "RemoveIPC" and facts.memory != MEMORY[0]:
        return (
            "logind empties /dev/shm when this user logs out (RemoveIPC): a switch whose session ends would lose its log"
            + (", and containers their secrets" if node.stack.delivery == "memory" else ""),
            f"as root: loginctl enable-linger {user}",
        )
    return None
