"""Scripts that run as root on a host where the login does not: by a sudo that asks nothing."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy_lib.errors import NotRunError
from deploy_lib.ssh.connection import connect_to
from deploy_lib.ssh.session import Session

from .conftest import NAME, Sshd

SUDO = """\
#!/bin/sh
printf '%s\\n' "$@" >{seen}
[ ! -e {refuses} ] || {{ echo "sudo: a password is required" >&2; exit 1; }}
[ "$1 $2" = "-n --" ] || exit 9
shift 2
BECAME=root exec "$@"
"""


@pytest.fixture
def session(sshd_factory: Callable[..., Sshd], tmp_path: Path) -> Session:
    tools = tmp_path / "tools"
    tools.mkdir()
    seen, refuses = (shlex.quote(str(tmp_path / name)) for name in ("seen", "refuses"))
    (tools / "sudo").write_text(SUDO.format(seen=seen, refuses=refuses))
    (tools / "sudo").chmod(0o755)
    server = sshd_factory(f"SetEnv PATH={tools}:/usr/bin:/bin")
    return Session("core", connect_to(NAME, server.ssh_config), become=True)


def test_every_script_goes_by_sudo_and_its_values_as_ever(session: Session, tmp_path: Path) -> None:
    result = session.run('echo "$BECAME $A"; cat', env={"A": "a secret"}, stdin=b"input")
    assert result.stdout == "root a secret\ninput"
    assert "a secret" not in (tmp_path / "seen").read_text(), (
        "sudo writes its arguments into the system's log"
    )
    with session.start('read x; echo "$BECAME $x"', keep_stdin=True) as process:
        process.send(b"later\n")
        assert list(process) == ["root later"]
    session.close()


def test_a_sudo_that_would_ask_is_told_with_its_remedy(session: Session, tmp_path: Path) -> None:
    (tmp_path / "refuses").touch()
    with pytest.raises(NotRunError, match="a password is required") as caught:
        session.run("true", step="gathering facts")
    assert "NOPASSWD" in str(caught.value)
    session.close()
