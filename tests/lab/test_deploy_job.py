"""What deploy.yml runs, against real hosts: login, deployment and summary come from the job's environment alone."""

import subprocess
from pathlib import Path

import pytest

from lab.layout import Lab

from .conftest import CHECKOUT, FIRST, Outcome, environment


@pytest.fixture
def job(checkout: Path, lab: Lab, stack: None) -> Path:
    """A checkout whose lab is reached as a homelab is: by the operator's own ssh_config, known_hosts and agent."""
    path = checkout / "deploy.toml"
    text = path.read_text()
    assert 'ssh_config = ".lab/ssh_config"\n' in text
    path.write_text(text.replace('ssh_config = ".lab/ssh_config"\n', ""))
    return checkout


def run(root: Path, lab: Lab, **more: str) -> tuple[Outcome, str]:
    ours = ("IdentityFile", "IdentitiesOnly", "UserKnownHostsFile", "GlobalKnownHostsFile")
    config = [
        line
        for line in lab.ssh_config.read_text().splitlines()
        if line.split()[:1] not in [[o] for o in ours]
    ]
    summary = root / "summary.md"
    summary.touch()
    given = {
        "STACK": "core",
        "TAG": FIRST,
        "KNOWN_HOSTS": lab.known_hosts.read_text(),
        "SSH_CONFIG": "\n".join(config),
        "SSH_PRIVATE_KEY": (lab.directory / "id").read_text(),
        "GITHUB_STEP_SUMMARY": str(summary),
        "TMPDIR": str(root / "tmp"),
    }
    (root / "tmp").mkdir()
    env = environment(**(given | more))
    env.pop("SSH_AUTH_SOCK", None)
    done = subprocess.run(
        [CHECKOUT / "scripts" / "deploy-job"],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )
    # Nothing of it stays: no configuration, no agent's socket.
    assert list((root / "tmp").iterdir()) == []
    return Outcome(done.returncode, done.stdout, done.stderr), summary.read_text()


def agents() -> set[str]:
    """Agents of this user, by their process ids."""
    listed = subprocess.run(["ps", "-C", "ssh-agent", "-o", "pid="], capture_output=True, text=True).stdout
    return set(listed.split())


def test_a_job_deploys_and_says_so_in_its_summary(job: Path, lab: Lab) -> None:
    outcome, summary = run(job, lab)
    assert outcome.code == 0, outcome.err
    assert summary.startswith("## deploy-core: done\n")
    assert "| core | " in summary
    secret = (lab.directory / "id").read_text().splitlines()[1]
    assert secret not in outcome.out + outcome.err + summary


def test_a_host_with_another_key_is_not_deployed_to(job: Path, lab: Lab) -> None:
    first, *others = lab.known_hosts.read_text().splitlines()
    wrong = [" ".join([first.split()[0], *other.split()[1:]]) for other in others[:1]]
    outcome, summary = run(job, lab, KNOWN_HOSTS="\n".join(wrong))
    assert outcome.code == 3
    assert summary.startswith("## deploy-core: not started; nothing was changed\n")
    assert "host key" in summary


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"SSH_PRIVATE_KEY": ""}, "SSH_PRIVATE_KEY is not set"),
        ({"SSH_PRIVATE_KEY": "no key"}, "SSH_PRIVATE_KEY is no private key"),
        ({"KNOWN_HOSTS": ""}, "KNOWN_HOSTS is not set"),
        ({"TAG": "--no-rollback"}, "TAG is no tag"),
        ({"STACK": "core --debug"}, "STACK is no stack's name"),
    ],
)
def test_what_is_missing_or_wrong_is_one_line(job: Path, lab: Lab, more: dict[str, str], said: str) -> None:
    before = agents()
    outcome, summary = run(job, lab, **more)
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {said}")
    assert len(outcome.err.splitlines()) == 1
    assert summary == ""
    # By its arguments, which name its socket: only root may read the environment of an agent.
    left = {pid for pid in agents() - before if str(job) in arguments_of(pid)}
    assert left == set()


def arguments_of(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def test_an_unknown_tag_is_the_commands_own_answer(job: Path, lab: Lab) -> None:
    outcome, summary = run(job, lab, TAG="no tag")
    assert outcome.code == 2
    assert summary.startswith("## deploy-core: bad configuration or argument")
