"""What no program can change afterwards."""

from __future__ import annotations

from typing import Literal

from deploy_lib.config import Apply


class Immutable(Apply):
    """A service built its data on this value, and nothing can change it there."""

    kind: Literal["immutable"]
