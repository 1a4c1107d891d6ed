"""The lines with which a switch says how far it is; `printed.py` reads them, and whatever else is printed is a program's own.

Each begins with MARK, so that nothing which Compose or an operator's command prints is taken for one by chance.
"""

from __future__ import annotations

MARK = "=== "

BEGUN = f"{MARK}begun"
"""It reads verdicts from now on."""

NEVER = f"{MARK}never"
"""What the launcher prints when the switch has ended without having begun: nothing was changed."""

SWITCHED, BACK, END = "switched", "back", "end"
"""After MARK, each with an exit status: the containers have been replaced; the release before is in its place; its process has ended."""

DONE = "done"
"""After MARK, with the verdict that was carried out."""

NOT_PRUNED = "not pruned"
"""After MARK: some old files or images stay."""

LOOK = f"{MARK}containers"
"""Begins a look at the containers; after it comes when that was, in seconds since the host was started."""

LOOK_END = f"{MARK}."

UNKNOWN = f"{MARK}unknown"
"""In place of the containers, when the engine does not list them."""

SAME = f"{MARK}same"
"""In place of the containers, when they are as at the look before: the log lies in memory, and a switch may wait for an hour."""

ASKED = f"{MARK}asked"
"""What the launcher puts into the log when it was asked for a look: the next one begins after that."""

VOLUMES = f"{MARK}volumes"
"""Begins the line with the names of the volumes that stay when a stack is taken down."""

ILL = f"{MARK}ill "
"""Begins the line with the service and the id of a container that does not get healthy."""

NOTE = f"{MARK}note "
"""Begins a line that an operator is to see: what may lose requests all the same."""
