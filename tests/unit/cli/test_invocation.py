"""One command from its first line to its exit status."""

import secrets
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
from deploy_lib.cli.invocation import command
from deploy_lib.errors import DeployError

with command("rollback", Path(sys.argv[1]), as_json=True, debug=False):
    raise DeployError("its log says: the password is " + sys.argv[2])
"""


def test_what_a_host_says_is_searched_for_the_values_that_are_at_hand(tmp_path: Path) -> None:
    """Also by a command that needs none of them."""
    (tmp_path / "deploy.toml").write_text(
        '[secrets.A_PASSWORD]\n[stacks.web]\ncompose = "compose.yml"\n'
        '[environments.home]\nnodes.a = { host = "a", stack = "web", directory = "/opt/web" }\nsecrets = { source = "environment" }\n'
    )
    value = secrets.token_hex(12)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path, value],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), "A_PASSWORD": value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "its log says: the password is ***" in done.stderr
    assert value not in done.stderr + done.stdout
