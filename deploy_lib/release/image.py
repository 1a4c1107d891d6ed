"""Images: a reference taken apart once, with one normal form, and the names under which a host lists and keeps it."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property

from deploy_lib.layout import KEEP
from deploy_lib.values import Selective, replace

_DIGITS = 16
_SHORT = 12
_ID = re.compile(r"sha256:[0-9a-f]{64}\Z")

HUB = "docker.io"
"""The registry of a reference that names none."""

HUB_LOGIN = f"https://index.{HUB}/v1/"
"""What Docker calls it where it keeps logins."""

_ALIASES = {f"index.{HUB}": HUB}


class Image(Selective, frozen=True, dict=True):
    """An image, as a reference names it; or one that has no name, only an id.

    References that mean the same are equal: `redis`, `docker.io/library/redis:latest` and `index.docker.io/library/redis`. As
    text each stays as it was written, for Compose and the records of hosts compare texts.

    Attributes:
        repository: as it was written, with the registry where that was named; "" for an image that has only an id.
        tag: "" where none was written.
        digest: `sha256:...` of the manifest, "" where none was written; of an image that has no name, its id.
    """

    repository: str
    tag: str = ""
    digest: str = ""

    @staticmethod
    def parse(text: str) -> Image:
        """Takes a reference apart; `str` gives it back. A text that is no reference is taken as well as it can be."""
        if _ID.match(text):
            return Image("", digest=text)
        name, _, digest = text.partition("@")
        head, slash, last = name.rpartition("/")
        last, _, tag = last.partition(":")
        return Image(head + slash + last, tag, digest)

    def __str__(self) -> str:
        if not self.repository:
            return self.digest
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"

    def _by(self) -> object:
        return self.normal

    def __lt__(self, other: Image) -> bool:
        return str(self) < str(other)

    @cached_property
    def normal(self) -> str:
        """The one form of all references that mean the same: whole, as `docker.io/library/redis:latest`."""
        if not self.repository:
            return self.digest
        tag = self.tag or ("" if self.digest else "latest")
        return str(Image(f"{self.registry}/{self._parts[1]}", tag, self.digest))

    @property
    def registry(self) -> str:
        """`host[:port]` of the registry that it comes from; "" for an image that has no name."""
        if not self.repository:
            return ""
        registry = self._parts[0]
        # In a name of one word only capital letters show that it is a registry, and not a folder of Docker Hub.
        return registry.lower() if set(".:") & set(registry) else registry

    @property
    def host(self) -> str:
        """The registry as it is written, which is how Docker looks a login up; "" for an image that has no name."""
        return self._parts[0] if self.repository else ""

    def below(self, place: str) -> bool:
        """Whether it is in a part of a registry.

        Args:
            place: REGISTRY/OWNER; "" has no images.
        """
        return bool(place and self.repository) and self.normal.startswith(
            Image(f"{place}/x").normal.removesuffix("x:latest")
        )

    def in_registry(self, host: str) -> bool:
        """Whether it comes from a registry.

        Args:
            host: `host[:port]`.
        """
        return bool(self.repository) and self.registry.lower() == _ALIASES.get(host.lower(), host.lower())

    @property
    def unpinned(self) -> Image:
        """The reference without its digest."""
        return replace(self, digest="") if self.repository else self

    def with_digest(self, digest: str) -> Image:
        """The reference, pinned to a digest."""
        return replace(self, digest=digest)

    def with_tag(self, tag: str) -> Image:
        """The reference, with another tag."""
        return replace(self, tag=tag)

    @property
    def listed(self) -> str:
        """How `docker images` lists a pinned image: by its digest, without its tag; by its id where it has no name."""
        return f"{self._familiar}@{self.digest}" if self.repository else self.digest

    @property
    def listed_tag(self) -> str:
        """How `docker images` lists the reference without its digest; "" for an image that has no name or no tag."""
        if not self.repository or not (self.tag or not self.digest):
            return ""
        return f"{self._familiar}:{self.tag or 'latest'}"

    @property
    def short(self) -> str:
        """For people: without the registry, and with the first digits of its digest."""
        name = str(self.unpinned).rpartition("/")[2] if self.repository else ""
        return f"{name} {self.digest.removeprefix('sha256:')[:_SHORT]}".strip()

    def keep_tag(self, key: str) -> str:
        """The local tag that protects it for a stack on its host: the same image always has the same one.

        Stacks that share a host, and maybe an image, each have their own, and each prunes its own.

        Args:
            key: `keep_key` of `HostStack`.
        """
        return f"{self.keep_tags}{key}"

    @property
    def keep_tags(self) -> str:
        """How the tags begin that protect it, whichever stack it is for."""
        return _keep_tags(self.listed)

    def all_keep_tags(self, key: str) -> set[str]:
        """`keep_tag`, and the one of a program before this one, which took a reference as it was written."""
        written = f"{self.repository}@{self.digest}" if self.repository and self.digest else str(self)
        return {self.keep_tag(key), f"{_keep_tags(written)}{key}"}

    @cached_property
    def _parts(self) -> tuple[str, str]:
        """Registry and path, as Docker tells them apart: a registry has a dot, a port or a capital letter, or is "localhost"."""
        first, slash, rest = self.repository.partition("/")
        named = slash and (first == "localhost" or first != first.lower() or set(".:") & set(first))
        registry, path = (first, rest) if named else (HUB, self.repository)
        if _ALIASES.get(registry.lower(), registry.lower()) == HUB:
            return HUB, path if "/" in path else f"library/{path}"
        return registry, path

    @property
    def _familiar(self) -> str:
        """The repository as Docker shows it: what it fills in itself is left out."""
        registry, path = self._parts
        if registry != HUB:
            return f"{registry}/{path}"
        short = path.removeprefix("library/")
        return path if "/" in short else short


def _keep_tags(text: str) -> str:
    return f"{KEEP}:{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}-"


def any_keep_tag(key: str) -> str:
    """A shell pattern for the tags that protect a stack's images."""
    return f"{KEEP}:{'?' * _DIGITS}-{key}"
