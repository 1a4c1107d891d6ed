"""Where the key of scripts/deploy-job goes, and where it does not; programs that it calls are stand-ins that tell."""

import os
import secrets
import subprocess
from pathlib import Path

import pytest

from tests import ROOT

TELLS = """\
#!/bin/sh
env >"$TOLD/${0##*/}.env"
"""

AGENT = f"{TELLS}echo 'SSH_AUTH_SOCK=/agent/of/the/job; export SSH_AUTH_SOCK; SSH_AGENT_PID=; export SSH_AGENT_PID;'\n"
ADD = f'{TELLS}cat >"$TOLD/key"\n'


class Job:
    """The script, its stand-ins, and what they tell."""

    def __init__(self, folder: Path) -> None:
        self.programs, self.told = folder / "bin", folder / "told"
        self.key = secrets.token_urlsafe(24)
        for made in (self.programs, self.told, folder / "tmp"):
            made.mkdir()
        for name, text in {"ssh-agent": AGENT, "ssh-add": ADD, "invoke": TELLS, "ssh": TELLS}.items():
            self.program(name, text)
        self.env = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "TMPDIR": str(folder / "tmp"),
            "TOLD": str(self.told),
            "STACK": "core",
            "KNOWN_HOSTS": "a.example ssh-ed25519 AAAA",
            "SSH_PRIVATE_KEY": self.key,
        }

    def program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def run(self, **more: str) -> subprocess.CompletedProcess[str]:
        script = ROOT / "scripts" / "deploy-job"
        return subprocess.run([script], env=self.env | more, capture_output=True, text=True)

    def environment(self, program: str) -> str:
        return (self.told / f"{program}.env").read_text()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.mark.parametrize("exported", ["", "of somebody"])
def test_the_key_reaches_the_agent_and_no_programs_environment(job: Job, exported: str) -> None:
    # A runner may have a variable of any name.
    done = job.run(**({"key": exported} if exported else {}))
    assert done.returncode == 0, done.stderr
    assert (job.told / "key").read_text() == f"{job.key}\n"
    for program in ("ssh-agent", "ssh-add", "invoke"):
        assert job.key not in job.environment(program), program
    assert "SSH_AUTH_SOCK=/agent/of/the/job\n" in job.environment("invoke")


def test_without_an_agent_of_its_own_no_other_one_gets_the_key(job: Job) -> None:
    job.program("ssh-agent", "#!/bin/sh\nexit 1\n")
    done = job.run(SSH_AUTH_SOCK="/agent/of/the/runner")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ssh-agent does not start")
    assert not list(job.told.iterdir())
