"""MySQL: where its data lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from deploy_lib.host.programs.data import Data, Version, newer, option, shown, version
from deploy_lib.release.image import Image


class MySQL(Data):
    """MySQL: a newer one upgrades data as it starts, an older one does not take them back."""

    IMAGES = re.compile(r"(^|[/_-])(mysql|percona|percona-server)(-server)?$")
    VARIABLES = ("MYSQL_VERSION", "MYSQL_MAJOR", "PS_VERSION")
    OPTIONS = ("--datadir",)
    FILES = ("mysql_upgrade_info", "auto.cnf")

    program: Literal["mysql"] = "mysql"

    def where(self, image: Image, environment: Mapping[str, str], command: Sequence[str]) -> str:
        """See `Data.where`."""
        usual = "/bitnami/mysql/data" if "bitnami" in image.repository else "/var/lib/mysql"
        return self.directory or option(command, *self.OPTIONS) or usual

    def made_by(self, files: Mapping[str, bytes]) -> Version:
        """See `Data.made_by`."""
        return version(files.get("mysql_upgrade_info", b"").decode(errors="replace").strip())

    def made_for(self, image: Image, environment: Mapping[str, str]) -> Version:
        """See `Data.made_for`."""
        told = next((environment[name] for name in self.VARIABLES if environment.get(name)), image.tag)
        return version(told)

    def refuses(self, made: Version, image: Version, environment: Mapping[str, str]) -> str:
        """See `Data.refuses`."""
        length = min(len(made), len(image))
        if made[:length] <= image[:length]:
            return ""
        return (
            f"MySQL {shown(image)} does not read what MySQL {shown(made)} has written: dump it with the newer image (mysqldump "
            f"--all-databases), start MySQL {shown(image)} on a new volume, and restore the dump there"
        )

    def changes(self, made: Version, image: Version) -> str:
        """See `Data.changes`."""
        return (
            f"MySQL {shown(image)} upgrades what MySQL {shown(made)} has written"
            if newer(made, image)
            else ""
        )
