"""The container's own health check: the application on this container's port answers."""

from __future__ import annotations

import os
import sys
import urllib.request


def main() -> int:
    """0 when it answers with 200.

    A backend listens on KTRDR_API_PORT, a worker on WORKER_PORT: each knows its own.
    """
    port = os.environ.get("WORKER_PORT") or os.environ.get("KTRDR_API_PORT", "8000")
    path = "/health" if "WORKER_PORT" in os.environ else "/api/v1/health"
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return 0 if answer.status == 200 else 1
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
