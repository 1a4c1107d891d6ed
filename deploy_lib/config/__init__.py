"""What is deployed where: deploy.toml, read once into frozen typed models."""

from deploy_lib.config.environments import Environment, Node
from deploy_lib.config.parts import Apply, Backup, Database, OneOff, Reload, Scrape
from deploy_lib.config.probe import Probe
from deploy_lib.config.reading import load, parse, read
from deploy_lib.config.rolling import InTurn, Rolling
from deploy_lib.config.specs import Registry, RegistryLogin, SecretSource, SecretSpec
from deploy_lib.config.stacks import Requires, Stack
from deploy_lib.config.versions import Versions

__all__ = [
    "Apply",
    "Backup",
    "Database",
    "Environment",
    "InTurn",
    "Node",
    "OneOff",
    "Probe",
    "Registry",
    "RegistryLogin",
    "Reload",
    "Requires",
    "Rolling",
    "Scrape",
    "SecretSource",
    "SecretSpec",
    "Stack",
    "Versions",
    "load",
    "parse",
    "read",
]
