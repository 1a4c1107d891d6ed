"""Tables for people: words are never broken, and one column is wrapped where the terminal is narrow."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

GAP = "  "
LEAST = 20
"""Characters that the wrapped column keeps, however narrow the terminal is."""


def terminal_width() -> int:
    """Columns of the terminal, or $COLUMNS; 80 where neither is known."""
    return shutil.get_terminal_size().columns


def lay_out(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    flexible: str | None = None,
    notes: Sequence[str] = (),
) -> list[str]:
    """The lines of a table.

    Args:
        width: characters a line may have; where the other columns need more, lines run over.
        flexible: the column whose text is wrapped, between words, when a line would be longer.
        notes: for each row, what stands indented below it; "" for nothing.
    """
    widths = [max(len(cell) for cell in column) for column in zip(columns, *rows, strict=True)]
    if flexible is not None:
        place = columns.index(flexible)
        room = width - sum(widths) - len(GAP) * (len(widths) - 1) + widths[place]
        widths[place] = min(widths[place], max(room, LEAST))
    lines = [_line(columns, widths)]
    for number, row in enumerate(rows):
        cells = [
            textwrap.wrap(cell, wide, break_long_words=False, break_on_hyphens=False) or [""]
            for cell, wide in zip(row, widths, strict=True)
        ]
        for part in range(max(map(len, cells))):
            lines.append(_line([cell[part] if part < len(cell) else "" for cell in cells], widths))
        if number < len(notes) and notes[number]:
            lines += textwrap.wrap(
                notes[number],
                max(width, LEAST),
                initial_indent=GAP * 2,
                subsequent_indent=GAP * 2,
                break_long_words=False,
                break_on_hyphens=False,
            )
    return lines


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(cell.ljust(wide) for cell, wide in zip(cells, widths, strict=True)).rstrip()
