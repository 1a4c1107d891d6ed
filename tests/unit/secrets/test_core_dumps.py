import subprocess
import sys

PROGRAM = """
import resource
from deploy_lib.secrets import core_dumps
soft, most = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
core_dumps.forbid()
core_dumps.forbid()
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, most)
import subprocess
print(subprocess.run(["sh", "-c", "ulimit -c"], capture_output=True, text=True).stdout)
"""


def test_neither_this_process_nor_its_children_leave_a_core_file() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
