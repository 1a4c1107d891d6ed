"""Which files of the checkout a stack gets on its hosts, and where they lie there.

On a host a stack's directory is Compose's project directory; in the checkout that is the folder of the first Compose file. A path
of a Compose file means the same path below the stack's directory. Here it is looked for in `files`, then in `directories` by
their names, then beside the first Compose file. Compose files and env files that deploy.toml names lie in the stack's directory
under their names.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy_lib.compose.env_file import read_env_file
from deploy_lib.compose.reference import Reference
from deploy_lib.compose.references import references
from deploy_lib.config import Stack
from deploy_lib.errors import UsageError
from deploy_lib.release.files import marks, reached
from deploy_lib.source.placing import Placing, covers
from deploy_lib.source.shipped import Expected, Shipped
from deploy_lib.source.tree import above, joined

TOGETHER = 128 * 1024 * 1024
"""Bytes of all files of a stack."""


def collect(root: Path, stack: Stack, variables: Mapping[str, str] | None = None) -> Shipped:
    """The files of a stack.

    Args:
        variables: of the node; they count before those of the env files.

    Raises:
        UsageError: one is missing, cannot be read, or must not be shipped.
    """
    found = _Collection(root, stack)
    found.explicit()
    compose_files = found.named(stack.compose)
    env_files = found.named(found.env_files())
    values: dict[str, str] = {}
    for path in env_files:
        values |= read_env_file(found.files[path].content, {**values, **(variables or {})})
    known = {**values, **(variables or {})}
    _check_settings(stack, found.base, values)
    found.directories()
    named = [
        (path, found.files[host].content) for path, host in zip(stack.compose, compose_files, strict=True)
    ]
    refers = references(named, found.read, known)
    found.referred(refers.found)
    found.check_size()
    known_marks = marks(found.files)
    inputs = [reached(known_marks, r.path) for r in refers.found if r.kind == "input"]
    return Shipped(
        files=dict(sorted(found.files.items())),
        compose_files=tuple(compose_files),
        env_files=tuple(env_files),
        inputs=tuple(dict.fromkeys([*compose_files, *env_files, *(i for i in inputs if i in found.files)])),
        expected=tuple(found.expected),
        values=values,
        notes=(
            *found.notes(),
            *((text, "give the variable a value in an env file") for text in refers.unknown),
        ),
        services=tuple(refers.services),
        # Where nothing lies below one, the host has none either.
        folders=tuple(f for f in refers.folders if any(path.startswith(f"{f}/") for path in found.files)),
    )


class _Collection(Placing):
    """The files, and what of those that Compose files refer to is not among them."""

    def __init__(self, root: Path, stack: Stack) -> None:
        super().__init__(root, stack)
        self.expected: list[Expected] = []

    def env_files(self) -> tuple[str, ...]:
        """The env files, by their paths in the checkout."""
        if self.stack.env_file is not None:
            return self.stack.env_file
        usual = joined(self.base, ".env")
        return (usual,) if self.tree.has(usual) and not self.tree.ignored(usual) else ()

    def referred(self, found: Sequence[Reference]) -> None:
        """Ships what Compose files refer to, as far as the checkout has it.

        Raises:
            UsageError: it must not be shipped.
        """
        for reference in found:
            path = reference.path
            if path == "." and reference.kind != "input":
                raise UsageError(
                    f"{reference}, is the project directory itself; on a host that has this program's records, too",
                    hint="mount the files and directories in it that the service needs",
                )
            if reference.kind == "secret":
                self.secret(reference)
            elif above(path):
                self.above(reference)
            elif covers(self.stack.data, path) and path not in self.files:
                # A container gets what the stack has made there by then; Compose reads what is there now.
                self.look_for(reference, reference.kind == "input")
            elif not self.ship(path):
                self.look_for(reference, reference.needed)
        secrets = (self.source(r.path) for r in found if r.kind == "secret" and not above(r.path))
        self.withhold(source for source in secrets if source is not None)

    def above(self, reference: Reference) -> None:
        """What lies above the project directory is the host's own."""
        source = joined(self.base, reference.path)
        if not above(source) and self.tree.has(source) and not self.tree.ignored(source):
            name = posixpath.basename(source)
            raise UsageError(
                f"{reference}, lies above the project directory {self.base or '.'}, and would not be shipped",
                hint=f'name it ./{name} there, and ship it: files = {{ "{name}" = "{source}" }}',
            )
        self.look_for(reference, reference.needed)

    def look_for(self, reference: Reference, needed: bool) -> None:
        """Notes what the host may have; what Compose reads is what that has, also where it can do without."""
        if needed or reference.kind == "input":
            self.expect(reference)

    def secret(self, reference: Reference) -> None:
        """A secret's file is never shipped."""
        source = self.source(reference.path)
        how = "give the secret `environment: NAME` in the place of `file:`, and add [secrets.NAME] to deploy.toml"
        if source is not None and not above(source) and self.tree.is_tracked(source):
            how = f"{how}; then change its value"
            self.expected.append(Expected(reference, "git has it, and it is a secret", how, tracked=True))
        elif reference.needed:
            self.expected.append(Expected(reference, "a secret's file is never shipped", how))

    def expect(self, reference: Reference) -> None:
        """Notes that the host has to have it."""
        path, source = reference.path, self.source(reference.path)
        data = path if reference.kind == "mount" and not above(path) else ""
        if covers(self.stack.data, path):
            why = "it lies in what `data` of deploy.toml leaves to the stack"
            self.expected.append(
                Expected(reference, why, "put it there on the host, or elsewhere in the checkout")
            )
            return
        if source is not None and self.tree.ignored(source):
            hint = f'if it may be shipped, take it out of .gitignore, or: files = {{ "{path}" = "{source}" }}'
            self.expected.append(Expected(reference, "git ignores it", hint, data))
            return
        if source is not None:
            why = f"{source} is neither a file nor a directory"
            self.expected.append(Expected(reference, why, "make it on the host", data))
            return
        place = joined(self.base, path)
        if reference.needed and not above(place) and self.tree.left_out(place):
            self.tree.refuse_left_out(place)
        hint = f"add {place} to the checkout" if not above(place) else "make it on the host"
        self.expected.append(Expected(reference, "the checkout has no such path", hint, data))

    def read(self, path: str) -> bytes | None:
        """A file's content by its path on the host, for `references`."""
        if path in self.files and not self.files[path].target:
            return self.files[path].content
        source = None if above(path) else self.source(path)
        if source is None or not (self.tree.root / source).is_file() or self.tree.ignored(source):
            return None
        return self.tree.content(source)

    def check_size(self) -> None:
        """Refuses what is no configuration any more.

        Raises:
            UsageError: with the largest of them.
        """
        together = sum(len(entry.content) for entry in self.files.values())
        if together > TOGETHER:
            largest = max(self.files, key=lambda path: len(self.files[path].content))
            raise UsageError(
                f"the stack's files have {together // 1024 // 1024} MiB, the largest is {self.origins[largest]}",
                hint="what a stack writes itself is named in its `data` in deploy.toml, or in .gitignore",
            )

    def notes(self) -> list[tuple[str, str]]:
        """What an operator should know."""
        found = []
        if self.tree.problem:
            found.append(
                (
                    f"all files are shipped, also what git would ignore: {self.tree.problem}",
                    "commit the project, or clone it with git",
                )
            )
        usual = joined(self.base, ".env")
        if self.stack.env_file is None and self.tree.has(usual) and usual not in self.origins.values():
            found.append(
                (
                    f"git ignores {usual}, so it is not shipped",
                    f'if it has no secret: env_file = "{usual}"; otherwise declare those, [secrets.NAME], see docs/secrets.md; env_file = [] leaves it here without a word',
                )
            )
        name, _, ending = joined(self.stack.compose[0]).rpartition(".")
        override = f"{name}.override.{ending}"
        if len(self.stack.compose) == 1 and self.tree.has(override):
            listed = f'compose = ["{self.stack.compose[0]}", "{override}"]'
            found.append(
                (f"{override} is not deployed, as deploy.toml does not name it", f"if it is meant: {listed}")
            )
        return found


def _check_settings(stack: Stack, base: str, values: Mapping[str, str]) -> None:
    """Refuses an env file that means other Compose files than deploy.toml; Compose itself honours COMPOSE_PROFILES.

    Raises:
        UsageError: with the line for deploy.toml.
    """
    if said := values.get("COMPOSE_FILE"):
        names = said.split(values.get("COMPOSE_PATH_SEPARATOR") or ":")
        meant = [joined(base, name) for name in names]
        if meant != [joined(path) for path in stack.compose]:
            listed = ", ".join(f'"{path}"' for path in meant)
            raise UsageError(
                f"COMPOSE_FILE in the env file means other files than deploy.toml: {said}",
                hint=f"compose = [{listed}]",
            )
