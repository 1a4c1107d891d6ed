"""Imported by the package before anything else, and so by tasks.py and the fabfile, so that this program handles from then on what
`invoke` and `fab` do: their output, unforeseen errors, Ctrl-C while the rest is still being imported, and how often memory is
searched for garbage.
"""

from __future__ import annotations

import gc
import sys

from deploy_lib.fleet import interruption
from deploy_lib.output import streams as stdio

_NEW_OBJECTS = 50_000
"""Made and still there, before they are searched for garbage."""


def begin() -> None:
    """Takes over the process's standard streams and Ctrl-C.

    Garbage is searched for more seldom than Python would: a command loads some hundred modules, whose objects all stay, and being
    looked at again and again they took a tenth of its time.
    """
    gc.set_threshold(_NEW_OBJECTS)
    interruption.starting()
    stdio.install()


# Not in another program, such as a test that imports the tasks.
if hasattr(sys.modules.get("__main__"), "program"):
    begin()
