"""The shells that a host's `sh` may be."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path


def _calls(shell: str) -> bool:
    """Whether a shell calls programs by PATH; Debian's BusyBox prefers its own, and hosts with these are refused in preflight."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sh").symlink_to(shell)
        Path(folder, "tail").write_text("#!/bin/sh\necho called\n")
        Path(folder, "tail").chmod(0o755)
        env = {"PATH": f"{folder}:/usr/bin:/bin"}
        return (
            subprocess.run(
                ["sh", "-c", "tail"], env=env, stdin=subprocess.DEVNULL, capture_output=True
            ).stdout
            == b"called\n"
        )


SHELLS = tuple(path for name in ("dash", "bash", "busybox") if (path := shutil.which(name)) and _calls(path))
"""Those that a host's `sh` may be."""
