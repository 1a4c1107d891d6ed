"""Redis and Valkey: where their data lie, and which version reads which snapshot."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from deploy_lib.host.programs.data import Data, Version, newer, option, shown, version
from deploy_lib.release.image import Image

_FORMATS = {
    "Redis": {(2, 6): 6, (3, 2): 7, (4, 0): 8, (5, 0): 9, (7, 0): 10, (7, 2): 11, (7, 4): 12},
    "Valkey": {(7, 2): 11, (9, 0): 80},
}
"""By the version that began to write it, the newest format of a snapshot that is read."""

_NEWEST = (7, 4)
"""What comes after this version of Redis is not known here, and refuses nothing."""


class Redis(Data):
    """Redis: a snapshot (RDB) begins with the number of its format, and is read by what knows that or a newer one."""

    IMAGES = re.compile(r"(^|[/_-])(redis|valkey)(-stack(-server)?|-server)?$")
    VARIABLES = ("REDIS_VERSION", "VALKEY_VERSION")
    OPTIONS = ("--dir",)
    FILES = ("dump.rdb", "appendonly.aof", "appendonlydir/appendonly.aof.manifest")

    program: Literal["redis"] = "redis"

    def where(self, image: Image, environment: Mapping[str, str], command: Sequence[str]) -> str:
        """See `Data.where`."""
        usual = "/bitnami/redis/data" if "bitnami" in image.repository else "/data"
        return self.directory or option(command, *self.OPTIONS) or usual

    def made_by(self, files: Mapping[str, bytes]) -> Version:
        """The format of the snapshot, which is what later versions have to read."""
        found = [re.match(rb"(?:REDIS|VALKEY)(\d+)", begins) for begins in files.values()]
        return max(((int(each[1]),) for each in found if each), default=())

    def made_for(self, image: Image, environment: Mapping[str, str]) -> Version:
        """The newest format that an image's version reads."""
        valkey = "valkey" in image.repository or "VALKEY_VERSION" in environment
        told = environment.get("VALKEY_VERSION" if valkey else "REDIS_VERSION", "") or image.tag
        number = version(told)
        if not number or "stack" in image.repository or (not valkey and number[:2] > _NEWEST):
            return ()
        # A tag such as "7" is the newest of these.
        whole = number if len(number) > 1 else (*number, 99)
        known = _FORMATS["Valkey" if valkey else "Redis"]
        return max(((each,) for begun, each in known.items() if begun <= whole), default=())

    def refuses(self, made: Version, image: Version, environment: Mapping[str, str]) -> str:
        """See `Data.refuses`."""
        if made <= image:
            return ""
        return (
            f"its snapshot has format {shown(made)}, and this image reads none newer than {shown(image)}: stay at the newer image, or "
            "begin with an empty volume and copy the keys over (a replica, or DUMP and RESTORE)"
        )

    def changes(self, made: Version, image: Version) -> str:
        """See `Data.changes`."""
        return (
            f"its snapshots get format {shown(image)} instead of {shown(made)}" if newer(made, image) else ""
        )
