"""The words of a call: options with their values, and names."""

from __future__ import annotations

from collections.abc import Sequence

Options = dict[str, list[str]]

_FLAGS = {
    "-a",
    "-q",
    "-aq",
    "-qa",
    "-f!",
    "-s",
    "-i",
    "-d",
    "-T",
    "--no-trunc",
    "--quiet",
    "--digests",
    "--rm",
    "--no-consistency",
    "--no-deps",
}
_FLAGS |= {
    "--no-start",
    "--no-recreate",
    "--no-build",
    "--remove-orphans",
    "--quiet-pull",
    "--password-stdin",
    "--short",
    "--force",
}


def options_of(words: Sequence[str]) -> tuple[Options, list[str]]:
    """Options with their values, and what else there is; everything after the first name of `exec` and `run` is its command."""
    found: Options = {}
    names: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-") or word == "-":
            names.append(word)
        elif "=" in word:
            key, _, value = word.partition("=")
            found.setdefault(key, []).append(value)
        elif word == "-f" and not (left and left[0].startswith("{{")):
            found["-f!"] = []
        elif word in _FLAGS or not left or word == "--services":
            found.setdefault(word, [])
        else:
            found.setdefault(word, []).append(left.pop(0))
    return found, names


def leading(words: Sequence[str]) -> tuple[Options, list[str]]:
    """The options before Compose's own command, and that with the rest."""
    found: Options = {}
    left = list(words)
    while left and left[0].startswith("-"):
        found.setdefault(left.pop(0), []).append(left.pop(0))
    return found, left
