"""Small things that unit tests are made from: a made-up stack on a made-up host."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import yaml

from deploy_lib.compose.container import Container
from deploy_lib.config import Node, Stack
from deploy_lib.host.stack import HostStack
from deploy_lib.layout import SECRETS_LABEL
from deploy_lib.release.image import Image


def node(directory: str = "/opt/shop", **settings: Any) -> Node:
    """A node that runs the stack "shop".

    Args:
        settings: of the stack, beside its files.
    """
    files = {"compose": "deploy/compose.yml", "env_file": "deploy/shop.env", "directories": ("deploy/conf",)}
    return Node(
        name="A",
        host="a.example",
        directory=PurePosixPath(directory),
        stack_name="shop",
        stack=Stack(**{**files, **settings}),
        variables={},
        replicas={},
    )


def stack(directory: str = "/opt/shop", **settings: Any) -> HostStack:
    """The stack "shop" on its host, as the Compose project "shop-1"."""
    return HostStack(node(directory, **settings), "shop-1")


def container(**more: Any) -> Container:
    """A container of the service "web" that is well."""
    given = {
        "id": "c1",
        "name": "shop-1-web-1",
        "service": "web",
        "image": Image("h/web", "1"),
        "image_id": "sha256:1",
        "state": "running",
        "health": "healthy",
        "exit_code": 0,
        "restarts": 0,
        "started": "2026-01-01T00:00:00Z",
    }
    return Container(**{**given, **more})


def pinned(override: bytes) -> dict[str, tuple[str, str]]:
    """By service, the image and the fingerprints of a `release.yml`."""
    services = yaml.safe_load(override)["services"]
    return {name: (s["image"], s.get("labels", {}).get(SECRETS_LABEL, "")) for name, s in services.items()}
