"""Preflight: what must be true before a host is changed, as data; `deploy_lib.fleet.survey` makes the checks."""

from deploy_lib.checks.check import Check, Result, require
from deploy_lib.checks.host import answered, host, ownership
from deploy_lib.checks.images import images
from deploy_lib.checks.secrets import once_read
from deploy_lib.checks.stack import env_file, storage, variables

__all__ = [
    "Check",
    "Result",
    "answered",
    "env_file",
    "host",
    "images",
    "once_read",
    "ownership",
    "require",
    "storage",
    "variables",
]
