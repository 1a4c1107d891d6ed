"""pyinfra's inventory: the nodes that BENCH_NODES names."""

import json
import os
from pathlib import Path

_work = Path(os.environ["BENCH_WORK"])
_nodes = json.loads((_work / "nodes.json").read_text())
_data = {"ssh_config_file": str(_work / "checkout/.lab/ssh_config"), "ssh_strict_host_key_checking": "no"}
hosts = [(_nodes[n]["host"], {"n": _nodes[n], **_data}) for n in os.environ["BENCH_NODES"].split()]
