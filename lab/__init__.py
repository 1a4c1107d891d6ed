"""Real hosts on one machine: sshd and a Docker Engine each, and a private registry. In the wheel it is `deploy_lab`."""

from .tasks import lab_collection

__all__ = ["lab_collection"]
