import subprocess
import sys


def test_what_paramiko_logs_is_not_written_among_the_progress() -> None:
    """`logging` writes errors that have no handler to standard error: not these, they are raised as well."""
    program = (
        "import logging, deploy_lib.ssh.connection\n"
        "logging.getLogger('paramiko.transport').error('Secsh channel 0 open FAILED')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_log_that_was_asked_for_still_gets_it() -> None:
    program = (
        "import logging, deploy_lib.ssh.connection\n"
        "logging.basicConfig()\n"
        "logging.getLogger('paramiko.transport').error('Secsh channel 0 open FAILED')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Secsh channel 0 open FAILED" in done.stderr
