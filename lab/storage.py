"""The directory that hosts share, where lab.toml gives them one: in place of what one of them exports and others mount.

Hosts of one's own mount an NFS export with their kernel's client. A container has no kernel of its own, the machine's often
has no such client, and Debian has none for user space that mounts. So the directory is a volume of this machine's Engine, and
each host gets it where it would have the mount. Where the server that exports it is a container of a host, its volume lies in
that directory, too: what a worker writes there is what the server serves; that it serves is for `nfs-cat` to show.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from deploy_lib.errors import DeployError

from .hosts import execute
from .layout import Lab
from .project import Host, Volume


def share(lab: Lab) -> None:
    """Makes the volumes that lab.toml names lie in their hosts' shared directories, unless they do.

    Raises:
        DeployError: a host has had such a volume elsewhere, from before hosts shared anything.
    """
    for host in lab.machines:
        if host.volume is not None:
            _share(lab, host, host.volume)


def _share(lab: Lab, host: Host, volume: Volume) -> None:
    name = f"{volume.project}_{volume.name}"
    execute(lab, host.node, "docker", "volume", "create", *_options(host, volume), name)
    (found,) = json.loads(execute(lab, host.node, "docker", "volume", "inspect", name))
    if (found["Options"] or {}).get("device") != host.shared:
        raise DeployError(
            f"the lab's host {host.name} is from before its storage was shared with the others",
            mend="make it anew: invoke lab.down lab.up",
        )


def _options(host: Host, volume: Volume) -> Sequence[str]:
    # By these labels Compose takes a volume that is there for its own.
    labels = {"com.docker.compose.project": volume.project, "com.docker.compose.volume": volume.name}
    options = {"type": "none", "o": "bind", "device": str(host.shared)}
    return [
        *(word for key, value in options.items() for word in ("--opt", f"{key}={value}")),
        *(word for key, value in labels.items() for word in ("--label", f"{key}={value}")),
    ]
