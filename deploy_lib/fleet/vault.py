"""The values that a command needs, fetched once for all of its nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from deploy_lib.checks import Check, local
from deploy_lib.config import Environment, Registry
from deploy_lib.errors import DeployError, UsageError
from deploy_lib.fleet.findings import NodeSurvey
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login
from deploy_lib.node.deployment import Deployment
from deploy_lib.node.preflight import Values
from deploy_lib.secrets.sources import fetch, source_of
from deploy_lib.ssh.framing import require_room


class Vault(Struct, frozen=True):
    """What the secrets' source gave; no values and no logins where it failed."""

    values: Values
    logins: Sequence[Login]
    check: Check
    fetched: bool = True


def open_vault(
    environment: Environment, deployments: Sequence[Deployment], nodes: Mapping[str, NodeSurvey]
) -> Vault:
    """Fetches what the stacks need, as their hosts have rendered them, and the passwords of their registries.

    A source that does not answer becomes the vault's failed check.

    Raises:
        UsageError: deploy.toml names no source or does not declare a secret, or values are too large to be sent.
    """
    registries = _needed_registries(environment, [found.facts for found in nodes.values()])
    passwords = {registry.password for registry in registries}
    names = sorted({name for found in nodes.values() for name in found.facts.secret_names} | passwords)
    if not names:
        return Vault({}, (), local.secrets(None, "no source", 0))
    source = source_of(environment).name(environment.root)
    try:
        values = fetch(environment, names)
    except UsageError:
        raise
    except DeployError as error:
        return Vault({}, (), local.secrets(error, source, len(names)), fetched=False)
    require_room({name: values[name].reveal() for name in passwords})
    for deployment in deployments:
        deployment.check_room(values, nodes[deployment.node.name].facts.secret_names)
    logins = tuple(Login(each.host, each.username, values[each.password]) for each in registries)
    return Vault(values, logins, local.secrets(None, source, len(names)))


def _needed_registries(environment: Environment, found: Sequence[Facts]) -> list[Registry]:
    """The logins at registries that one of the images comes from; all of them where no host says which images there are."""
    images = [service.image for facts in found for service in facts.services.values()]
    return [
        each
        for each in environment.registries
        if not images or any(image.in_registry(each.host) for image in images)
    ]
