"""What is deployed where: deploy.toml, read once into frozen typed models."""

from deploy_lib.config.environments import (
    Environment,
    Node,
    RegistryLogin,
    SecretSource,
    SecretSpec,
)
from deploy_lib.config.reading import load, parse
from deploy_lib.config.stacks import (
    Apply,
    OneOff,
    Probe,
    Reload,
    Requires,
    Scrape,
    Stack,
)

__all__ = [
    "Apply",
    "Environment",
    "Node",
    "OneOff",
    "Probe",
    "RegistryLogin",
    "Reload",
    "Requires",
    "Scrape",
    "SecretSource",
    "SecretSpec",
    "Stack",
    "load",
    "parse",
]
