"""Secrets from a folder with a file for each."""

from collections.abc import Mapping
from pathlib import Path

from deploy_lib.config import SecretSpec
from deploy_lib.config.fields import RelativePath
from deploy_lib.errors import PreflightError
from deploy_lib.secrets.sources import Source
from deploy_lib.secrets.value import Secret


class Drawer(Source):
    at_hand = True

    drawer: RelativePath

    def name(self, root: Path) -> str:
        return f"the drawer {self.drawer}"

    def fetch(self, specs: Mapping[str, SecretSpec], root: Path) -> Mapping[str, Secret]:
        if not (root / self.drawer).is_dir():
            raise PreflightError(f"there is no drawer {self.drawer}", hint="get one")
        found = {name: root / self.drawer / spec.field for name, spec in specs.items()}
        return {name: Secret(path.read_text()) for name, path in found.items() if path.exists()}
