"""Deploys container stacks to remote hosts over one verified SSH session each."""

from deploy_lib.cli.collection import collection, host_collection

__all__ = ["collection", "host_collection"]
