"""Preflight: what must be true before a host is changed, as data; `deploy_lib.survey` makes the checks."""

from deploy_lib.preflight.check import Check, Result, require
from deploy_lib.preflight.host import answered, host, ownership
from deploy_lib.preflight.images import images
from deploy_lib.preflight.secrets import once_read
from deploy_lib.preflight.stack import env_file, storage, variables

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
