"""Where a file of the checkout lies on a host."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path

from deploy_lib import layout
from deploy_lib.config import Stack
from deploy_lib.errors import UsageError
from deploy_lib.release.files import Entry
from deploy_lib.source.tree import Tree, above, joined


class Placing:
    """A stack's files as they will lie on a host, and where in the checkout each comes from.

    Attributes:
        base: the folder of the first Compose file.
        files: by path on the host, below the stack's directory.
        origins: likewise, the path in the checkout.
    """

    def __init__(self, root: Path, stack: Stack) -> None:
        self.stack = stack
        self.tree = Tree(root, stack.compose[0])
        self.base = posixpath.dirname(joined(stack.compose[0]))
        self.files: dict[str, Entry] = {}
        self.origins: dict[str, str] = {}
        self.begun: set[str] = set()

    def explicit(self) -> None:
        """Ships what `files` names.

        Raises:
            UsageError: the checkout has no such file, or it must not be shipped.
        """
        for target, source in self.stack.files.items():
            host = joined(target)
            if not self.tree.has(source):
                raise UsageError(f"there is no {source}", hint="see `files` in deploy.toml")
            if self.tree.folder(source) and self.tree.ignored(source):
                self.below(host, source, whole=True)
            elif self.tree.folder(source):
                self.ship(host)
            else:
                self.put(host, source, self.tree.entry(source))

    def directories(self) -> None:
        """Ships what `directories` names.

        Raises:
            UsageError: there is no such directory, or git ignores it.
        """
        for directory in self.stack.directories:
            if not (self.tree.root / directory).is_dir():
                raise UsageError(
                    f"there is no directory {directory}", hint="see `directories` in deploy.toml"
                )
            if not self.ship(posixpath.basename(joined(directory))):
                raise UsageError(f"git ignores {directory}, which deploy.toml ships", hint="see .gitignore")

    def named(self, paths: Iterable[str]) -> list[str]:
        """Ships files that deploy.toml names: under their names, or where two have one name, under their paths.

        Returns:
            Their paths on the host.

        Raises:
            UsageError: one is missing, or must not be shipped.
        """
        hosts = []
        for path in map(joined, paths):
            host = posixpath.basename(path)
            if self.origins.get(host, path) != path:
                host = path
            self.put(host, path, self.tree.entry(path))
            hosts.append(host)
        return hosts

    def source(self, host: str) -> str | None:
        """What the checkout has for a path on the host; None for nothing."""
        places = [(joined(target), joined(source)) for target, source in self.stack.files.items()]
        places += [(posixpath.basename(joined(d)), joined(d)) for d in self.stack.directories]
        candidates = [joined(source, _rest(host, name)) for name, source in places if covers((name,), host)]
        candidates.append(joined(self.base, host))
        return next((path for path in candidates if self.tree.has(path)), None)

    def ship(self, host: str) -> bool:
        """Ships what the checkout has for a path on the host, links on the way included.

        Returns:
            Whether it has anything there that git does not ignore.
        """
        if host in self.begun or host in self.files:
            return True
        parts = host.split("/")
        for count in range(1, len(parts) + 1):
            prefix = "/".join(parts[:count])
            source = self.source(prefix)
            if source is None or (prefix in self.files and not self.files[prefix].target):
                continue
            if self.tree.link(source) is not None and not self.tree.ignored(source):
                self.begun.add(host)
                return self.ship(joined(self.link(prefix, source), *parts[count:])) or count == len(parts)
        source = self.source(host)
        if source is None or self.tree.ignored(source):
            return any(covers((host,), path) for path in self.files)
        self.begun.add(host)
        return self.below(host, source)

    def below(self, host: str, source: str, *, whole: bool = False) -> bool:
        """Ships a file, or what is in a directory.

        Args:
            whole: what git ignores, too.

        Returns:
            Whether it is one of these: of a socket, a pipe or a device there is nothing to ship.
        """
        empty, kept = True, {}
        for path in self.tree.below(source, whole=whole):
            name = host if path == source else joined(host, _rest(path, source))
            empty = False
            if name in self.files or covers(self.stack.data, name):
                continue
            if path != source and posixpath.basename(path) in layout.PLACEHOLDERS:
                kept[posixpath.dirname(name)] = posixpath.dirname(path)
            elif self.tree.link(path) is not None:
                self.ship(self.link(name, path))
            else:
                self.put(name, path, self.tree.entry(path))
        if empty and self.tree.folder(source):
            kept[host] = source
        for folder, origin in kept.items():
            if not any(covers((folder,), each) for each in self.files):
                self.put(folder, origin, Entry(folder=True))
        return not empty or self.tree.folder(source)

    def link(self, host: str, path: str) -> str:
        """Ships a link; gives where it leads on the host.

        Raises:
            UsageError: that is outside of what is shipped.
        """
        target = self.tree.link(path) or ""
        leads = joined(posixpath.dirname(host), target)
        beside = joined(posixpath.dirname(path), target)
        if leads == ".":
            raise UsageError(
                f"{path} is a link to the project directory itself; on a host that has this program's records, too",
                hint="link to the files and directories in it that are needed",
            )
        there = None if target.startswith("/") or above(leads) else self.source(leads)
        if target.startswith("/") or above(leads) or (self.tree.has(beside) and there != beside):
            raise UsageError(
                f"{path} is a link to {target}, which leads out of what is shipped",
                hint=f'put the file itself there, or ship it: files = {{ "{host}" = "{beside}" }}',
            )
        self.put(host, path, Entry(target=target))
        return leads

    def withhold(self, sources: Iterable[str]) -> None:
        """Takes files out again, by whichever paths they came in, unless deploy.toml names those.

        Args:
            sources: in the checkout.
        """
        if not (places := {(self.tree.root / source).resolve() for source in sources}):
            return
        named = {joined(target) for target in self.stack.files}
        for host, path in [*self.origins.items()]:
            if host in named or (self.tree.root / path).resolve() not in places:
                continue
            del self.files[host], self.origins[host]
            folder = posixpath.dirname(host)
            # What is mounted must not be made by Docker.
            if folder and not any(covers((folder,), each) for each in self.files):
                self.put(folder, posixpath.dirname(path), Entry(folder=True))

    def put(self, host: str, path: str, entry: Entry) -> None:
        """Ships one entry.

        Raises:
            UsageError: there is another one in its place, or it has a name that cannot be.
        """
        if host in (layout.OVERRIDE, layout.VARIABLES) or host.split("/")[0] == layout.STATE:
            raise UsageError(
                f"{path} would lie at {host}, which each deployment makes itself", hint="rename it"
            )
        if not _printable(host) or "\\" in host:
            raise UsageError(f"{path!r} has a name that cannot be shipped", hint="rename it")
        if not _printable(entry.target):
            raise UsageError(
                f"{path!r} is a link to {entry.target!r}, a name that cannot be shipped", hint="rename that"
            )
        if self.origins.get(host, path) != path:
            raise UsageError(
                f"{path} and {self.origins[host]} would both lie at {host} on the host",
                hint="rename one of them",
            )
        self.files[host], self.origins[host] = entry, path


def _printable(text: str) -> bool:
    """Whether a host can say it on one line, and as text."""
    return not any(ord(letter) < 32 or "\ud800" <= letter <= "\udfff" for letter in text)


def covers(paths: Iterable[str], path: str) -> bool:
    """Whether one of the paths is this one, or above it."""
    return any(path == each or path.startswith(f"{each}/") for each in map(joined, paths))


def _rest(path: str, above: str) -> str:
    """What is left of a path below another one."""
    return path.removeprefix(above).lstrip("/") or "."
