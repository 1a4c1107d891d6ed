"""A stack on its host: every script that looks at it or changes it is made from one."""

from __future__ import annotations

from pathlib import PurePosixPath

from msgspec import Struct

from deploy_lib import layout
from deploy_lib.compose.project import Project
from deploy_lib.config import Node, Stack
from deploy_lib.release.release import Release
from deploy_lib.values import replace


class HostStack(Struct, frozen=True):
    """A stack on its host.

    Attributes:
        project_name: of the Compose project that it is there.
        compose_files, env_files: below its directory, as the checkout has them; empty where the checkout was not asked.
        paths: what the checkout ships, below its directory.
        borrowed: what Compose reads there, and the checkout lacks.
        expected: all that has to be there already, or may be.
    """

    node: Node
    project_name: str
    compose_files: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    borrowed: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The stack's, in deploy.toml."""
        return self.node.stack_name

    @property
    def keep_key(self) -> str:
        """What the tags end with that protect its images: one word for each Compose project of a host.

        A version before took the stack's name, which several deployments of a host may have. Where the two are the same word,
        it stays so; elsewhere the dot keeps this one apart from what that version has written for others.
        """
        return self.name if self.name == self.project_name else f"{self.project_name}."

    @property
    def keep_keys(self) -> set[str]:
        """That, and what a version before took."""
        return {self.keep_key, self.name}

    @property
    def settings(self) -> Stack:
        """What deploy.toml says of the stack."""
        return self.node.stack

    @property
    def directory(self) -> PurePosixPath:
        """Where its files lie."""
        return self.node.directory

    @property
    def unpinned(self) -> Project:
        """Its Compose project as the checkout has it, with the variables of a release, and without the images that it pins."""
        env_files = _with_variables(self._env_files)
        return Project(self.project_name, self.directory, self._compose_files, env_files)

    @property
    def project(self) -> Project:
        """Its Compose project as a release of this checkout has it."""
        return self._pinned(self._compose_files, self._env_files)

    def project_of(self, release: Release) -> Project:
        """Its Compose project as a release has it.

        A record of an earlier version does not say it: that had one file of each kind, by the names that deploy.toml has, or
        had then.
        """
        if release.compose_files:
            pinned = self._pinned(release.compose_files, release.env_files)
            return replace(pinned, profiles=release.profiles, scale=tuple(sorted(release.scale.items())))
        known = tuple(name for name in self._compose_files if name in release.files)
        env_files = tuple(name for name in self._env_files if name in release.files)
        return self._pinned(
            known or _only(release, layout.OVERRIDE, ".yml", ".yaml") or self._compose_files[:1],
            env_files or _only(release, layout.VARIABLES, ".env", ".env."),
        )

    def inputs_of(self, release: Release) -> tuple[str, ...]:
        """The files that Compose reads of a release."""
        return tuple(dict.fromkeys((*release.inputs, *self.project_of(release).inputs)))

    @property
    def directories(self) -> list[str]:
        """Directories below its own of which every file is part of a release."""
        return sorted({PurePosixPath(path).name for path in self.settings.directories})

    @property
    def named(self) -> list[str]:
        """Files and directories below its own that are part of every release."""
        return sorted({*self.project.inputs, *self.directories, *self.settings.files})

    @property
    def _compose_files(self) -> tuple[str, ...]:
        return self.compose_files or tuple(PurePosixPath(path).name for path in self.settings.compose)

    @property
    def _env_files(self) -> tuple[str, ...]:
        if self.compose_files:
            return self.env_files
        return tuple(PurePosixPath(path).name for path in self.settings.env_file or ())

    def _pinned(self, files: tuple[str, ...], env_files: tuple[str, ...]) -> Project:
        files, env_files = (*files, layout.OVERRIDE), _with_variables(env_files)
        return Project(self.project_name, self.directory, files, env_files)

    @property
    def secret_places(self) -> list[PurePosixPath]:
        """Where its secret files may lie in the host's memory."""
        return [layout.secrets_in(memory, self.project_name) for memory in layout.MEMORY]


def _with_variables(env_files: tuple[str, ...]) -> tuple[str, ...]:
    """With the release's variables: last, as they count more; and first, as the values of the others may be made of them."""
    return (layout.VARIABLES, *env_files, layout.VARIABLES) if env_files else (layout.VARIABLES,)


def _only(release: Release, generated: str, *endings: str) -> tuple[str, ...]:
    """The one file of a kind that lies in the stack's directory itself; none where there are several.

    Args:
        generated: the one of this kind that each release generates.
        endings: of the names; one with a dot at its end is how names begin.
    """
    begins = tuple(each for each in endings if each.endswith("."))
    found = [
        path
        for path in release.files
        if "/" not in path and path != generated and (path.endswith(endings) or path.startswith(begins))
    ]
    return tuple(found) if len(found) == 1 else ()
