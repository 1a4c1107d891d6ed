"""Host tasks: `fab --list` shows them. The host comes from -H, and its stacks from deploy.toml."""

from pathlib import Path

from deploy_lib import host_collection

ns = host_collection(Path(__file__).resolve().parent.parent)
