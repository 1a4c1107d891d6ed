"""MongoDB: where its data lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from deploy_lib.host.programs.data import Data, option
from deploy_lib.release.image import Image


class MongoDB(Data):
    """MongoDB: its files do not say in plain bytes which version has written them."""

    IMAGES = re.compile(r"(^|[/_-])(mongo|mongodb)(-community-server)?$")
    OPTIONS = ("--dbpath",)
    FILES = ("WiredTiger",)

    program: Literal["mongo"] = "mongo"

    def where(self, image: Image, environment: Mapping[str, str], command: Sequence[str]) -> str:
        """See `Data.where`."""
        usual = "/bitnami/mongodb" if "bitnami" in image.repository else "/data/db"
        return self.directory or option(command, *self.OPTIONS) or usual
