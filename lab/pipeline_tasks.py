"""`invoke publish-image` and `invoke move-latest`: what the workflow runs, and what an operator may run in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.tasks import Task, task


def pipeline_tasks(root: Path) -> tuple[Task[Any], ...]:
    """Both, for this checkout."""

    @task(
        auto_shortflags=False,
        help={
            "image": "its folder below docker/",
            "tag": "as build-backend's",
            "platforms": "built by buildx: linux/amd64,linux/arm64; otherwise this machine's",
            "source": "where its source is to be seen: a URL",
            "cache": "keep layers in GitHub's cache",
            "bare": "no provenance and SBOM beside it",
        },
    )
    def publish_image(
        c: Context,
        image: str = "",
        tag: str | None = None,
        platforms: str | None = None,
        source: str | None = None,
        cache: bool = False,
        bare: bool = False,
    ) -> None:
        """Build one image of this repository, and push it to the environment's registry."""
        from . import pipeline_commands as commands

        commands.publish(root, image, tag, platforms=platforms, source=source, cache=cache, attest=not bare)

    @task(auto_shortflags=False)
    def move_latest(c: Context) -> None:
        """Make `latest` lead to the newest commit whose images are in the environment's registry."""
        from . import pipeline_commands as commands

        commands.latest(root)

    return publish_image, move_latest
