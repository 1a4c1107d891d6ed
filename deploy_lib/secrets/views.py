"""Views of a text: as it is, without what wraps it into lines, and with the codes of URLs, JSON, shells and HTML as characters.

Whoever writes a value into one of these may encode more of it than is needed, or less: Go's URLs leave `$` as it is, JavaScript's
leave `!`, and PHP's JSON has `\\/`. So not the value is encoded in all ways, but what stands in the text is read in all.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, pairwise

from msgspec import Struct

ENDS = "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""What `str.splitlines` splits at: parts of this program show a remote text line by line."""

BREAK = re.compile(rf"[{ENDS}]+(?:[^|·{ENDS}]{{0,60}} [|·] )?[ \t]*")
"""A line break, with what this program or Compose puts before a line, such as `front  ·  ` or `web-1  | `."""


class View(Struct, frozen=True):
    """A text to be searched, and where its characters stand in the one that it was made from.

    Attributes:
        starts: where each of its pieces begins.
        origins, stops: where that begins and ends in the other one.
        rest: where in that one a code begins of which the end is still to come; its length without one.
    """

    text: str
    starts: tuple[int, ...]
    origins: tuple[int, ...]
    stops: tuple[int, ...]
    rest: int

    def original(self, index: int) -> int:
        """Where a character stands in the other text."""
        piece = bisect_right(self.starts, index) - 1
        return self.origins[piece] + index - self.starts[piece]

    def end(self, index: int) -> int:
        """Where it ends there."""
        piece = bisect_right(self.starts, index) - 1
        ends = self.starts[piece + 1] if piece + 1 < len(self.starts) else len(self.text)
        return self.stops[piece] if index == ends - 1 else self.original(index) + 1


class _Mark(Struct, frozen=True):
    """What stands for something else: nothing, or one character."""

    start: int
    stop: int
    means: str = ""


class _Code(Struct, frozen=True):
    """A way to write characters.

    Attributes:
        sign: without it there is none in a text.
        found: those of a text.
        begun: the beginning of one at a text's end.
    """

    sign: str
    found: Callable[[str], Iterator[_Mark]]
    begun: re.Pattern[str]


_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ESCAPED = re.compile(
    r"""\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}
    | \\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|[^A-Za-z0-9\s])""",
    re.VERBOSE,
)
_QUOTE = re.compile(r"'\\''")
_ENTITY = re.compile(r"&(?:\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[a-z]{2,6});", re.VERBOSE)


def _percent(text: str) -> Iterator[_Mark]:
    for group in _PERCENT.finditer(text):
        try:
            characters = bytes.fromhex(group[0].replace("%", "")).decode()
        except ValueError:
            continue
        at = group.start()
        for character in characters:
            stop = at + 3 * len(character.encode())
            yield _Mark(at, stop, character)
            at = stop


def _escaped(text: str) -> Iterator[_Mark]:
    for code in _ESCAPED.finditer(text):
        said = code[0]
        if said[1] in "uUx" and len(said) > 2:
            units = [int(digits, 16) for digits in re.split(r"\\[uUx]", said)[1:]]
            units = [min(unit, 0x10FFFF) for unit in units]
            means = "".join(map(chr, units)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        else:
            means = said[1]
        yield _Mark(code.start(), code.end(), means)


def _quoted(text: str) -> Iterator[_Mark]:
    return (_Mark(code.start(), code.end(), "'") for code in _QUOTE.finditer(text))


def _entities(text: str) -> Iterator[_Mark]:
    import html  # few texts have any, and its table is long

    for code in _ENTITY.finditer(text):
        means = html.unescape(code[0])
        if len(means) == 1:
            yield _Mark(code.start(), code.end(), means)


_CODES = (
    _Code(
        "%",
        _percent,
        # One character may be four bytes.
        re.compile(
            r"""(?P<open>(?:%[CDcd][0-9A-Fa-f]
            | %[Ee][0-9A-Fa-f](?:%[89ABab][0-9A-Fa-f])?
            | %[Ff][0-9A-Fa-f](?:%[89ABab][0-9A-Fa-f]){0,2})?(?:%[0-9A-Fa-f]?)?)\Z""",
            re.VERBOSE,
        ),
    ),
    _Code(
        "\\",
        _escaped,
        re.compile(
            r"""(?<!\\)(?:\\\\)*(?P<open>(?:\\u[dD][89abAB][0-9A-Fa-f]{2})?\\(?:u[0-9A-Fa-f]{0,3}|U[0-9A-Fa-f]{0,7}|x[0-9A-Fa-f]?)?
            | \\u[dD][89abAB][0-9A-Fa-f]{2})\Z""",
            re.VERBOSE,
        ),
    ),
    # Between single quotes, of which a shell's own trace makes this.
    _Code("'", _quoted, re.compile(r"(?P<open>(?<!'\\')'(?:\\'?)?)\Z")),
    _Code("&", _entities, re.compile(r"(?P<open>&[#a-zA-Z0-9]{0,8})\Z")),
)


def views(text: str, *, so_far: bool = False) -> list[View]:
    """The text as it is, without its line breaks, and with the codes of each way as characters.

    Args:
        so_far: more may follow, so a code that has only begun is left out.
    """
    body = text.rstrip(ENDS)
    plain = View(body, (0,), (0,), (len(body),), len(text))
    breaks = [_Mark(*found.span()) for found in BREAK.finditer(body)]
    found = [plain, *([_read(plain, breaks, len(body))] if breaks else [])]
    for base in [*found]:
        for code in _CODES:
            if code.sign not in base.text:
                continue
            begun = code.begun.search(base.text) if so_far and body == text else None
            rest = begun.start("open") if begun else len(base.text)
            found.append(_read(base, code.found(base.text[:rest]), rest))
    return found


def _read(base: View, marks: Iterable[_Mark], rest: int) -> View:
    """A view with what the marks mean, up to `rest`."""
    pieces: list[tuple[str, int, int]] = []
    at = 0
    for mark in (*marks, _Mark(rest, rest)):
        # No piece of it spans two of the other one's.
        inner = base.starts[bisect_right(base.starts, at) : bisect_left(base.starts, mark.start)]
        for begin, end in pairwise((at, *inner, mark.start)):
            if begin < end:
                pieces.append((base.text[begin:end], base.original(begin), base.end(end - 1)))
        if mark.means:
            pieces.append((mark.means, base.original(mark.start), base.end(mark.stop - 1)))
        at = mark.stop
    texts, origins, stops = zip(*pieces or [("", 0, 0)], strict=True)
    return View(
        "".join(texts),
        tuple(accumulate(map(len, texts[:-1]), initial=0)),
        origins,
        stops,
        base.original(rest) if rest < len(base.text) else base.rest,
    )
