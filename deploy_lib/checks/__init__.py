"""Preflight: what must be true before a host is changed, as data; `deploy_lib.fleet.survey` makes the checks."""

from deploy_lib.checks.check import Check, Result, require_passed
from deploy_lib.checks.constructs import check_constructs
from deploy_lib.checks.elsewhere import check_elsewhere
from deploy_lib.checks.host import check_answered, check_host, check_ownership
from deploy_lib.checks.images import check_images
from deploy_lib.checks.replicas import check_replicas
from deploy_lib.checks.rolling import check_rolling
from deploy_lib.checks.secrets import check_exposure, check_once_read, check_plain_sight
from deploy_lib.checks.stack import (
    check_files,
    check_places,
    check_profiles,
    check_project,
    check_reloads,
    check_storage,
    check_variables,
)

__all__ = [
    "Check",
    "Result",
    "check_answered",
    "check_constructs",
    "check_elsewhere",
    "check_exposure",
    "check_files",
    "check_host",
    "check_images",
    "check_once_read",
    "check_ownership",
    "check_places",
    "check_plain_sight",
    "check_profiles",
    "check_project",
    "check_reloads",
    "check_replicas",
    "check_rolling",
    "check_storage",
    "check_variables",
    "require_passed",
]
