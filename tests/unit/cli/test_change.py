"""What a command is protected from, whatever becomes of its output."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit import sample
from tests.unit.output.test_output import full_pipe, until

PROGRAM = """
import resource, sys
from pathlib import Path
soft, most = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
from deploy_lib.cli.change import changing
from deploy_lib.cli.invocation import Invocation
from deploy_lib.cli.flags import Given
given = Given({"dry-run": sys.argv[3] == "rehearses"})
with changing(Invocation("deploy-shop", Path(sys.argv[1]), given, "shop")) as change:
    print("progress")
    Path(sys.argv[2]).write_text(str(resource.getrlimit(resource.RLIMIT_CORE)[0]))
"""


@pytest.mark.parametrize("kind", ["changes", "rehearses"])
def test_a_change_waits_for_no_reader_and_leaves_no_core_dump(tmp_path: Path, kind: str) -> None:
    folder, work = sample.project(tmp_path), tmp_path / "work"
    with full_pipe() as (reader, writer):
        command = [sys.executable, "-c", PROGRAM, str(folder), str(work), kind]
        environment = {**os.environ, "DB_PASSWORD": "x" * 12, "REGISTRY_TOKEN": "y" * 12}
        process = subprocess.Popen(command, stdout=writer, stderr=writer, env=environment)
        os.close(writer)
        if kind == "changes":
            until(work.exists, 60)
        with os.fdopen(os.dup(reader), "rb") as stream:
            said = stream.read()
        assert process.wait(60) == 0, said
    assert b"progress" in said
    assert work.read_text() == "0"
