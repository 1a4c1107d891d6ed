"""Imported by the package before anything else, and so by tasks.py and the fabfile, so that this program handles from then on what
`invoke` and `fab` do: their output, unforeseen errors, and Ctrl-C while the rest is still being imported.
"""

from __future__ import annotations

import sys

from deploy_lib.fleet import interruption
from deploy_lib.output import streams as stdio


def begin() -> None:
    """Takes over the process's standard streams and Ctrl-C."""
    interruption.starting()
    stdio.install()


# Not in another program, such as a test that imports the tasks.
if hasattr(sys.modules.get("__main__"), "program"):
    begin()
