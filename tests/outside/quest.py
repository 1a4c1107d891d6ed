"""A program that keeps data, and is no part of the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deploy_lib.host.programs.data import Data
from deploy_lib.release.image import Image


class Quest(Data):
    """A database that nobody else knows."""

    FILES = ("table",)

    def where(self, image: Image, environment: Mapping[str, str], command: Sequence[str]) -> str:
        """See `Data.where`."""
        return self.directory or "/quest"
