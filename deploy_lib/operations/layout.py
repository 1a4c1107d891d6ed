"""Where a stack's things are on a host.

DIRECTORY/                    what Compose reads and mounts; renamed into place file by file
DIRECTORY/release.yml, .env   generated: images by digest, labels, non-secret variables
DIRECTORY/.deploy/            this program's own, readable by root only
    key                       random key of the secrets' fingerprints
    lock, lock.owner          the deployment lock; who holds it
    switch.lock               held by the switch until it ends
    history.jsonl             append-only record
    releases/ID/              the files of a kept release
"""

from __future__ import annotations

STATE = ".deploy"
KEY = f"{STATE}/key"
LOCK = f"{STATE}/lock"
OWNER = f"{STATE}/lock.owner"
SWITCH_LOCK = f"{STATE}/switch.lock"
HISTORY = f"{STATE}/history.jsonl"
RELEASES = f"{STATE}/releases"

OVERRIDE = "release.yml"
VARIABLES = "release.env"
UNVERSIONED = ("targets",)
"""Directories beside the Compose file that change without a release."""

MEMORY = "ktrdr-deploy"
"""Name, below a memory-backed directory, of what must not rest on a disk."""
