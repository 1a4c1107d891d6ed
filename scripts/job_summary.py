#!/usr/bin/env python3
"""Makes a deployment's `--json` document, from standard input, a summary in GitHub's Markdown, on standard output."""

from __future__ import annotations

import html
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

NOTHING = "The command printed no document; its log says why."


def summary(document: Mapping[str, Any]) -> str:
    """The document as a heading, a line, a table of the nodes, and what failed."""
    lines = [
        f"## {_text(document.get('command'))}: {_text(document.get('outcome'))}",
        "",
        f"Environment {_text(document.get('environment'))}, release {_text(document.get('release'))}, "
        f"exit status {_text(document.get('exit'))}.",
    ]
    if error := document.get("error"):
        lines += ["", *_quoted(error)]
    nodes = document.get("nodes") or {}
    if nodes:
        lines += ["", "| node | outcome | from | to |", "| --- | --- | --- | --- |"]
        lines += [
            _row([name, *(node.get(key) for key in ("outcome", "from", "to"))])
            for name, node in nodes.items()
        ]
    for name, node in nodes.items():
        if node.get("error"):
            lines += ["", f"**{_text(name)}**", "", *_quoted(node["error"])]
    whole = html.escape(json.dumps(document, indent=2, ensure_ascii=False), quote=False)
    return "\n".join(
        [*lines, "", "<details><summary>The document</summary>", "", f"<pre>{whole}</pre>", "</details>", ""]
    )


def _row(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(map(_text, cells)) + " |"


def _quoted(text: Any) -> list[str]:
    return [f"> {_text(line)}  " for line in str(text).splitlines()]


def _text(value: Any) -> str:
    """A value as text that Markdown shows as it is, on one line."""
    if value is None or value == "":
        return "–"
    plain = " ".join((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).split())
    return "".join(f"&#{ord(char)};" if char in "\\`*_{}[]<>#|&~@!" else char for char in plain)


def main() -> int:
    """0, or 1 when there is no document to read."""
    try:
        document = json.load(sys.stdin)
        if not isinstance(document, dict):
            raise TypeError(document)
    except (ValueError, TypeError):
        sys.stdout.write(NOTHING + "\n")
        return 1
    sys.stdout.write(summary(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
