"""Where a stack's things are on a host, and what marks them as this program's.

DIRECTORY/                    what Compose reads and mounts; renamed into place file by file
DIRECTORY/release.yml, .env   generated: images by digest, labels, non-secret variables
DIRECTORY/deploy-services/    generated: the parts of services that were deployed by themselves
DIRECTORY/deploy-metrics/     how the newest deployments ended, for node-exporter's textfile collector; everybody may read it
DIRECTORY/.deploy/            this program's own, readable by the user who deploys only
    key                       random key of the secrets' fingerprints
    lock, lock.owner          the deployment lock; who holds it
    switch.lock               held by the switch until it ends
    switch.log                a link to the log of the newest switch, in memory
    verdict                   the owner's verdict on the switch that is under way
    history.jsonl             append-only record
    objects/SHA256            the files of the kept releases, by their content
    paths                     which paths below DIRECTORY releases have put there
    newer                     what registries have said of tags that may move, for a day
    backups/ID.data, .json    backups of services' data, and what is known of each
    incoming/                 layers of an image that is being shipped, by their content; gone when it is loaded

MEMORY/SECRETS/PROJECT/       secret values of a stack whose delivery is "memory", one file each
"""

from __future__ import annotations

from pathlib import PurePosixPath

OURS = "ktrdr"
"""What marks names on hosts as this program's. Hosts that were deployed before bear it, so it never changes."""

SECRETS_LABEL = f"io.{OURS}.deploy.secrets"
"""On containers: the fingerprints of the secret values that they got."""

DELIVERY_LABEL = f"io.{OURS}.deploy.delivery"
"""On containers whose secrets are files in memory: where those lie."""

MOUNTED_LABEL = f"io.{OURS}.deploy.mounted"
"""On containers that mount shipped files, or have configs: the fingerprint of their contents, at which Compose does not look."""

VARIABLES_LABEL, RELEASE_LABEL = f"io.{OURS}.deploy.variables", f"io.{OURS}.deploy.release"
"""On a container that is never started and keeps what only a shell had: the Compose project, and the release that it is for."""

KEEP = f"{OURS}-deploy.local/keep"
"""Repository of the local tags that protect images pulled by digest from `docker image prune`."""

TEMPORARY = f"{OURS}-deploy"
"""How the names of temporary files in memory begin."""

SECRETS = f"{OURS}-secrets"
"""The directory in memory that has the secret files of all projects."""

STATE = ".deploy"
KEY = f"{STATE}/key"
LOCK = f"{STATE}/lock"
OWNER = f"{STATE}/lock.owner"
SWITCH_LOCK = f"{STATE}/switch.lock"
SWITCH_LOG = f"{STATE}/switch.log"
VERDICT = f"{STATE}/verdict"
HISTORY = f"{STATE}/history.jsonl"
OBJECTS = f"{STATE}/objects"
PATHS = f"{STATE}/paths"
BACKUPS = f"{STATE}/backups"
NEWER = f"{STATE}/newer"
INCOMING = f"{STATE}/incoming"
SERVICES = "deploy-services"
METRICS = "deploy-metrics/deploy.prom"

OVERRIDE = "release.yml"
VARIABLES = "release.env"

MEMORY = ("/run", "/dev/shm")  # noqa: S108 - where memory is looked for; what it really is, is verified on the host


def secrets_in(memory: str, project: str) -> PurePosixPath:
    """Where a project's secret files lie.

    Args:
        memory: one of MEMORY.
    """
    return PurePosixPath(memory) / SECRETS / project


PLACEHOLDERS = (".gitkeep", ".keep", ".gitignore")
"""Names of files by which git keeps a directory that is empty: they are for git alone. On a host such a directory is often one that a
container has made its own."""
