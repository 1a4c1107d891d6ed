"""`invoke lab.build`: the project's own images that have the release's tag, in the lab's registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from deploy_lib.errors import UsageError
from deploy_lib.release.release import Version
from deploy_lib.request import word
from deploy_lib.source import git, versions

from . import docker, images
from .credentials import registry_password
from .layout import load
from .project import Project, read
from .settings import FILE

Say = Callable[[str], None]


def build(root: Path, tag: str | None, say: Say) -> None:
    """Builds them as the checkout has them, and pushes them.

    Args:
        tag: as `deploy-STACK --tag` takes it; None for the checkout's commit.

    Raises:
        UsageError: lab.toml has no such image, or the tag is none.
        DeployError: a build or the registry failed.
    """
    lab, project = load(root), read(root)
    asked = word("--tag", tag)
    environment = project.environment
    # Of two meanings the commit: an image tag alone says nothing of what is to be built.
    version = versions.meant(environment, asked)[-1] if asked else versions.head(environment)
    if not asked and git.is_dirty(root):
        say(f"the checkout has uncommitted changes: {version.tag} will contain them")
    names = [_build(project, name, version, say) for name in versioned(project)]
    if not names:
        raise UsageError(
            f"{FILE} names no image of the project's own that has the release's tag",
            hint=f'add [images.NAME] with dockerfile = "FOLDER/Dockerfile" to {FILE}',
        )
    images.push(lab, names, say, registry_password(lab))


def versioned(project: Project) -> list[str]:
    """The project's own images whose tag is the release's."""
    named = [name for name, spec in project.file.images.items() if spec.dockerfile is not None]
    return [name for name in named if "$" in images.tag_of(project, name)]


def _build(project: Project, name: str, version: Version, say: Say) -> str:
    spec = project.file.images[name]
    local = f"{project.environment.image_registry.partition('/')[2]}/{name}:{version.tag}"
    say(f"building {local}")
    dockerfile = project.root / str(spec.dockerfile)
    wanted = {"BASE": images.BASE, "VERSION": version.tag, **spec.arguments}
    arguments = images.arguments_of(dockerfile, wanted)
    docker.build(images.context_of(project, spec), dockerfile, local, arguments=arguments)
    return local
