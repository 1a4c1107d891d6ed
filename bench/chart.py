"""The chart of the README: bars of ratios to the bare commands, as SVG; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from .figures import Figure

BAR, GAP, LEFT, WIDTH, RIGHT, TOP = 16, 5, 190, 420, 120, 34
"""Pixels: of a bar, between bars, left of the bars, of the longest bar, right of it for its number, and above a panel."""

LIMIT = 6.0
"""Longer bars are cut there, and their number says how long they are."""

_STYLE = """\
  <style>
    text { font: 12px system-ui, sans-serif; fill: #24292f }
    .title { font-weight: 600 }
    .bar { fill: #afb8c1 } .base { fill: #57606a } .ours { fill: #0969da }
    .line { stroke: #57606a; stroke-dasharray: 3 3 }
    .page { fill: #ffffff }
    @media (prefers-color-scheme: dark) {
      text { fill: #d1d7e0 } .page { fill: #0d1117 }
      .bar { fill: #4d5661 } .base { fill: #9198a1 } .ours { fill: #4493f8 } .line { stroke: #9198a1 }
    }
  </style>
"""


def chart(panels: Mapping[str, Sequence[Figure]], names: Mapping[str, str]) -> str:
    """An SVG with a panel for each case.

    Args:
        panels: by title, the figures of a case; those without a ratio are left out.
        names: by contender, how it is called.
    """
    y = 10
    body = []
    for title, figures in panels.items():
        shown = [f for f in figures if f.ratio is not None]
        if not shown:
            continue
        body.append(f'  <text class="title" x="10" y="{y + 14}">{escape(title)}</text>\n')
        top = y + TOP - 8
        longest = max(LIMIT if f.ratio and f.ratio > LIMIT else f.ratio or 0.0 for f in shown)
        scale = WIDTH / max(longest, 1.5)
        for number, f in enumerate(shown):
            body.append(_bar(f, names.get(f.who, f.who), top + number * (BAR + GAP), scale))
        bottom = top + len(shown) * (BAR + GAP)
        one = LEFT + scale
        body.append(f'  <line class="line" x1="{one:.1f}" x2="{one:.1f}" y1="{top - 3}" y2="{bottom}"/>\n')
        y = bottom + 12
    width = LEFT + WIDTH + RIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}" role="img">\n'
        f"  <title>Time of a deployment, as a multiple of the bare commands on the host</title>\n{_STYLE}"
        f'  <rect class="page" width="{width}" height="{y}"/>\n{"".join(body)}</svg>\n'
    )


def _bar(figure: Figure, name: str, y: int, scale: float) -> str:
    ratio = figure.ratio or 0.0
    kind = {"ours": "bar ours", "floor": "bar base"}.get(figure.who, "bar")
    length = min(ratio, LIMIT) * scale
    number = f"{ratio:.2f}× ({figure.median:.2f} s)"
    middle = y + BAR - 4
    return (
        f'  <text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>\n'
        f'  <rect class="{kind}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}"/>\n'
        f'  <text x="{LEFT + length + 6:.1f}" y="{middle}">{number}</text>\n'
    )
