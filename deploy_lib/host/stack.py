"""A stack on its host: every script that looks at it or changes it is made from one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from deploy_lib import layout
from deploy_lib.compose.project import Project
from deploy_lib.config import Node, Stack


@dataclass(frozen=True)
class HostStack:
    """A stack on its host.

    Attributes:
        project_name: of the Compose project that it is there.
    """

    node: Node
    project_name: str

    @property
    def name(self) -> str:
        """The stack's, in deploy.toml."""
        return self.node.stack_name

    @property
    def settings(self) -> Stack:
        """What deploy.toml says of the stack."""
        return self.node.stack

    @property
    def directory(self) -> PurePosixPath:
        """Where its files lie."""
        return self.node.directory

    @property
    def compose_file(self) -> str:
        """The Compose file, by its name in the directory."""
        return PurePosixPath(self.settings.compose).name

    @property
    def env_file(self) -> str:
        """The env file, by its name in the directory."""
        return PurePosixPath(self.settings.env_file).name

    @property
    def unpinned(self) -> Project:
        """Its Compose project as the checkout has it, without what a release generates."""
        return Project(self.project_name, self.directory, (self.compose_file,), (self.env_file,))

    @property
    def project(self) -> Project:
        """Its Compose project as a release has it."""
        files, env_files = (self.compose_file, layout.OVERRIDE), (self.env_file, layout.VARIABLES)
        return Project(self.project_name, self.directory, files, env_files)

    @property
    def managed(self) -> list[str]:
        """The files and directories, below its own, that are kept as recorded."""
        directories = (PurePosixPath(path).name for path in self.settings.directories)
        return sorted({*self.project.inputs, *directories})

    @property
    def secret_places(self) -> list[PurePosixPath]:
        """Where its secret files may lie in the host's memory."""
        return [layout.secrets_in(memory, self.project_name) for memory in layout.MEMORY]
