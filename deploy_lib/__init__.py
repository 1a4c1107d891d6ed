"""Deploys container stacks to remote hosts over one verified SSH session each."""

import sys

if sys.platform == "win32":
    # Before anything else is imported: that needs what POSIX systems alone have.
    sys.stderr.write(
        "error: this runs on Linux and macOS, and not on Windows itself\n  -> run it in WSL (wsl --install), with a checkout there\n"
    )
    sys.exit(2)

import deploy_lib.cli.startup  # noqa: F401 - it comes first
from deploy_lib.cli.collection import collection, host_collection

__all__ = ["collection", "host_collection"]
