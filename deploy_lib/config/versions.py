"""What versions of the project's own images are called, and which variables of a Compose file say so."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator

from deploy_lib.config.fields import EnvName, Model

_PATTERN = re.compile(
    r"(?P<before>[A-Za-z0-9_][A-Za-z0-9_.-]*|)\{sha:(?P<digits>[0-9]+)\}(?P<after>[A-Za-z0-9_.-]*)"
)


class Versions(Model):
    """How a commit becomes an image tag, and how tag and registry reach the Compose file.

    Attributes:
        commit_tag: the image tag of a commit, as CI makes it; {sha:7} stands for the first 7 digits of its full SHA.
        tag_variable: has the tag, for the Compose file.
        registry_variable: has the environment's `image_registry`.
        immutable: own images whose every tag is one image for ever, as a commit's is; their names, such as "proxy".
    """

    commit_tag: str = Field(default="sha-{sha:7}")
    tag_variable: EnvName = "IMAGE_TAG"
    registry_variable: EnvName = "IMAGE_REGISTRY"
    immutable: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @field_validator("commit_tag")
    @classmethod
    def _has_digits(cls, text: str) -> str:
        match = _PATTERN.fullmatch(text)
        if match is None or not 7 <= int(match["digits"]) <= 40:
            raise ValueError(
                "this needs {sha:N}, with N from 7 to 40, and what an image tag may hold around it"
            )
        return text

    def tag_of(self, sha: str) -> str:
        """The image tag of a commit.

        Args:
            sha: all 40 digits.
        """
        before, digits, after = self._parts()
        return f"{before}{sha[:digits]}{after}"

    def digits_of(self, tag: str) -> str | None:
        """The digits of a commit in its image tag; None when no commit's tag looks like this."""
        before, digits, after = self._parts()
        match = re.fullmatch(rf"{re.escape(before)}([0-9a-f]{{{digits}}}){re.escape(after)}", tag)
        return match[1] if match else None

    def never_moves(self, name: str, tag: str) -> bool:
        """Whether a tag of one of the project's own images means one image for ever.

        Args:
            name: the image's, without registry and owner.
        """
        return name in self.immutable or self.digits_of(tag) is not None

    @property
    def example(self) -> str:
        """A commit's tag, for messages."""
        return self.tag_of("abc1234def" * 4)

    def _parts(self) -> tuple[str, int, str]:
        match = _PATTERN.fullmatch(self.commit_tag)
        if match is None:
            raise ValueError(self.commit_tag)
        return match["before"], int(match["digits"]), match["after"]
