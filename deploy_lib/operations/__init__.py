"""Operations on a Fabric connection, for tasks of your own; docs/library.md shows them.

Each takes a Fabric `Connection`, returns a typed result, and raises a `DeployError` that says what happened, on which host and
what to do about it. They use the builders of deployments; a deployment adds the lock, the switch that outlives its
session, the proof and the way back.
"""

from deploy_lib.compose.container import Container
from deploy_lib.compose.project import Project
from deploy_lib.errors import CommandError, DeployError, RemoteError, UnreachableError, UsageError
from deploy_lib.host.look.logs import Line
from deploy_lib.operations.commands import run_with_secrets
from deploy_lib.operations.compose import (
    ComposeError,
    UnhealthyError,
    compose_pull,
    compose_up,
    go_back,
    wait_until_healthy,
)
from deploy_lib.operations.connections import connect
from deploy_lib.operations.files import Placed, put_directory, put_files
from deploy_lib.operations.logs import read_logs
from deploy_lib.operations.probes import Answer, ProbeError, http_probe
from deploy_lib.operations.registry import RegistryLogin, docker_login
from deploy_lib.secrets.value import Secret
from deploy_lib.ssh.session import Result

__all__ = [
    "Answer",
    "CommandError",
    "ComposeError",
    "Container",
    "DeployError",
    "Line",
    "Placed",
    "ProbeError",
    "Project",
    "RegistryLogin",
    "RemoteError",
    "Result",
    "Secret",
    "UnhealthyError",
    "UnreachableError",
    "UsageError",
    "compose_pull",
    "compose_up",
    "connect",
    "docker_login",
    "go_back",
    "http_probe",
    "put_directory",
    "put_files",
    "read_logs",
    "run_with_secrets",
    "wait_until_healthy",
]
