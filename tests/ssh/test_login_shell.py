"""What the user's login shell prints or does before a script of ours begins. sshd runs each command by way of it."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from deploy_lib.config import load
from deploy_lib.errors import CommandError, NotRunError
from deploy_lib.host.change.lock import Lock, me
from deploy_lib.host.look import gather, reading
from deploy_lib.host.stack import HostStack
from deploy_lib.ssh.session import Session

from .conftest import Sshd

NODE = load(Path(__file__).resolve().parents[2], "lab").nodes["core"]

Shell = Callable[[str], Session]


@pytest.fixture
def shell(sshd_factory: Callable[..., Sshd], tmp_path: Path) -> Iterator[Shell]:
    """A session with a host whose login shell first does what a test says: ForceCommand goes its way."""
    sessions: list[Session] = []

    def make(text: str) -> Session:
        script = tmp_path / "shell"
        script.write_text(text)
        sessions.append(sshd_factory(f"ForceCommand bash {shlex.quote(str(script))}").session())
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


GREETING = """\
echo '=== Welcome ==='
echo '=== tools'
echo '{"id": 1}'
printf 'locked\\nno line end: \\377'
echo 'a warning' >&2
sh -c "$SSH_ORIGINAL_COMMAND"
code=$?
echo 'another warning' >&2
echo '=== Goodbye ==='
echo '{"id": 2}'
printf '#:ended:'
exit $code
"""


def test_what_it_prints_is_no_part_of_any_output(shell: Shell, tmp_path: Path) -> None:
    session = shell(GREETING)
    result = session.run('printf "%s\\n" "$A"; echo oh >&2; cat', env={"A": "b"}, stdin=b"input")
    assert (result.stdout, result.stderr) == ("b\ninput", "oh\n")
    with session.start("echo one; echo two") as process:
        assert list(process) == ["one", "two"]
        assert process.wait() == 0
    done = session.connection.run("echo fabric; echo error >&2", hide=True)
    assert (done.stdout, done.stderr) == ("fabric\n", "error\n")
    with pytest.raises(CommandError) as caught:
        session.run("echo the reason >&2; exit 4")
    assert caught.value.what == "exit status 4\n    the reason"
    found = reading.read_facts(
        session.run(gather.facts_script(HostStack(NODE, "p"), render=False)).stdout, "core"
    )
    assert "sha256sum" in found.tools
    assert "===" not in found.tools
    home = PurePosixPath(tmp_path)
    with Lock(session, home, me("a test")) as lock:
        lock.take()
        assert (tmp_path / ".deploy/lock.owner").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("echo This account is not available; exit 1", r"exit status 1; it printed:\n +This account is not available\n[^\0]*chsh"),
        ("exit 0", r"exit status 0[^\0]*ForceCommand"),
        ("echo This service allows sftp connections only.; exit 1", r"only\.\n[^\0]*internal-sftp"),
        ("read -r x; eval \"$SSH_ORIGINAL_COMMAND\"", "did not arrive whole"),
        ("echo broken >&2; exit 3", r"exit status 3[^\0]*broken"),
    ],
)  # fmt: skip
def test_a_shell_that_runs_nothing_is_told_and_is_no_empty_answer(
    shell: Shell, text: str, expected: str
) -> None:
    session = shell(text)
    for check in (True, False):
        with pytest.raises(NotRunError, match=expected):
            session.run("echo there", check=check)
    with session.start("echo there") as process:
        assert list(process) == []
        with pytest.raises(NotRunError, match=expected):
            process.wait()
