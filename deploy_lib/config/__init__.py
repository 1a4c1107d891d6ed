"""What is deployed where: deploy.toml, read once into frozen typed models."""

from deploy_lib.config.environments import (
    Environment,
    FileSource,
    Node,
    OnePasswordSource,
    ProcessEnvironmentSource,
    RegistryLogin,
    SecretSpec,
)
from deploy_lib.config.reading import load, parse, read
from deploy_lib.config.stacks import (
    Apply,
    GrafanaAdmin,
    Immutable,
    OneOff,
    PostgresRole,
    Probe,
    Reload,
    Requires,
    Scrape,
    Stack,
)
from deploy_lib.config.versions import Versions

__all__ = [
    "Apply",
    "Environment",
    "FileSource",
    "GrafanaAdmin",
    "Immutable",
    "Node",
    "OneOff",
    "OnePasswordSource",
    "PostgresRole",
    "Probe",
    "ProcessEnvironmentSource",
    "RegistryLogin",
    "Reload",
    "Requires",
    "Scrape",
    "SecretSpec",
    "Stack",
    "Versions",
    "load",
    "parse",
    "read",
]
