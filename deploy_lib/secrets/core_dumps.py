"""Core dumps: a process that holds secrets leaves none."""

from __future__ import annotations


def forbid() -> None:
    """Forbids core files of this process and of those that it starts.

    A collector that the kernel pipes dumps to may ignore that; systemd's does not.
    """
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
