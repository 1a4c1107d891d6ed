"""The storage that all hosts share: one directory of this machine, in place of a mount of core's NFS export.

A homelab's worker hosts mount that export with their kernel's NFS client. A container has no kernel of its own, the
machine's often has no such client, and Debian has none for user space that mounts. So the directory that core's NFS
server exports is a volume of this machine's Engine, and the workers' hosts get the same one where a homelab mounts the
export. What a worker writes there is what the NFS server serves; that the server serves is for `nfs-cat` to show.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from deploy_lib.errors import DeployError
from lab.hosts import execute
from lab.layout import SHARED, Lab

CORE_VOLUME = "ktrdr-core_shared_data"
"""The core stack's volume, as Compose names it."""

_LABELS = {"com.docker.compose.project": "ktrdr-core", "com.docker.compose.volume": "shared_data"}
"""By these Compose takes a volume that is there for its own."""


def share(lab: Lab) -> None:
    """Makes the core stack's volume lie in the shared directory, unless it does.

    Raises:
        DeployError: core has had that volume elsewhere, from before hosts shared anything.
    """
    execute(lab, "core", "docker", "volume", "create", *_options(), CORE_VOLUME)
    (volume,) = json.loads(execute(lab, "core", "docker", "volume", "inspect", CORE_VOLUME))
    if (volume["Options"] or {}).get("device") != SHARED["core"]:
        raise DeployError(
            "the lab's core host is from before its storage was shared with the others",
            mend="make it anew: invoke lab.down lab.up",
        )


def _options() -> Sequence[str]:
    options = {"type": "none", "o": "bind", "device": SHARED["core"]}
    return [
        *(word for key, value in options.items() for word in ("--opt", f"{key}={value}")),
        *(word for key, value in _LABELS.items() for word in ("--label", f"{key}={value}")),
    ]
