"""Deploys container stacks to remote hosts over one verified SSH session each."""

import deploy_lib.cli.startup  # noqa: F401 - it comes first
from deploy_lib.cli.collection import collection, host_collection

__all__ = ["collection", "host_collection"]
