"""Secrets from this process's own environment; meant for CI."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from deploy_lib.config import SecretSpec
from deploy_lib.secrets.sources import Source
from deploy_lib.secrets.value import Secret


class ProcessEnvironment(Source):
    """This process's environment, under the same names as on the host."""

    at_hand = True

    source: Literal["environment"] = "environment"

    def name(self, root: Path) -> str:
        """See `Source.name`."""
        return "this process's environment"

    def fetch(self, specs: Mapping[str, SecretSpec], root: Path) -> Mapping[str, Secret]:
        """See `Source.fetch`."""
        return {name: Secret(os.environ[name]) for name in specs if name in os.environ}
