"""Core dumps: a process that holds secrets leaves none."""

from __future__ import annotations


def forbid() -> None:
    """From now on neither this process nor those that it starts leave a core file.

    A collector that the kernel pipes dumps to decides for itself whether it heeds that, as systemd's does.
    """
    try:
        import resource
    except ImportError:  # no POSIX system
        return
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
