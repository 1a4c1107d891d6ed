"""Whole `fab` processes, as verbose as they get, that do all they can to show a secret."""

import os
import secrets
import subprocess
import sys
import textwrap
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest

from .conftest import NAME, Sshd

FIRST, SECOND = f"first {secrets.token_hex(12)} 'quoted'", f"second $x {secrets.token_hex(40)}"
VALUE = f"{FIRST}\n{SECOND}"

DEPLOY = """
[secrets.CANARY]
field = "canary"

[stacks.core]
compose = "compose.yml"
env_file = ".env"

[environments.homelab]
image_registry = "registry.internal/ktrdr"
default_tag = "HEAD"
ssh_config = "{ssh_config}"
registry = {{ username = "u", password = "CANARY" }}
secrets = {{ source = "environment" }}
nodes = {{ core = {{ host = "{host}", stack = "core", directory = "/opt/x" }} }}
"""

FABFILE = """
import logging
import sys
import threading
from base64 import b64encode
from pathlib import Path

import paramiko
from invoke.tasks import task

from deploy_lib.cli.invocation import command
from deploy_lib.errors import RemoteError
from deploy_lib.secrets.sources import fetch


@task
def show(c, how):
    with command("show", Path(__file__).parent, as_json=how == "json", debug=True) as (environment, console, report):
        secret = fetch(environment, ["CANARY"])["CANARY"]
        value, env = secret.reveal(), {"CANARY": secret.reveal()}
        encoded = b64encode(f"user:{value}".encode()).decode()
        match how:
            case "remote":
                c.run('printf %s "$CANARY" | (head -c 20; sleep 0.3; cat)', env=env)
            case "remote error":
                c.run('printf %s "$CANARY" >&2; exit 3', env=env)
            case "hidden":
                c.run('printf "u:$CANARY" | base64; printf %s "$CANARY" >&2; exit 3', env=env, hide=True)
            case "command line":
                c.run(f"true '{encoded}'", echo=True)
            case "traceback":
                try:
                    raise ValueError(value)
                except ValueError as error:
                    error.add_note(encoded)
                    raise RuntimeError(f"unforeseen {value!r}") from error
            case "thread":
                def fail():
                    raise RuntimeError(value)
                thread = threading.Thread(target=fail)
                thread.start()
                thread.join()
            case "log":
                paramiko.util.log_to_file("paramiko.log", level=logging.DEBUG)
                logging.getLogger("paramiko.transport").debug("sent %r and %s", value.encode(), encoded)
                c.run("true", env=env)
                try:
                    raise ValueError(value)
                except ValueError:
                    logging.exception("it said %s", {"a": value})
                logging.warning("too few %s %s", value)
            case "print":
                for piece in (value[:5], value[5:40], value[40:]):
                    print(piece, end="", flush=True)
                    sys.stderr.write(piece)
            case "console":
                for at in range(0, len(encoded), 76):
                    console.debug("core", encoded[at : at + 76])
                console.step("core", "step", value)
                console.table(value, ["c"], [[value]])
                console.result(encoded)
                raise RemoteError(f"exit status 1\\n    {value}", node="core", hint=encoded)
            case "json":
                report.nodes = {"core": {"error": value, "services": [{"image": encoded}]}}
                raise RemoteError(value)
"""


def fab(sshd: Sshd, directory: Path, how: str) -> subprocess.CompletedProcess[str]:
    (directory / "deploy.toml").write_text(DEPLOY.format(ssh_config=sshd.ssh_config, host=NAME))
    (directory / "fabfile.py").write_text(FABFILE)
    (directory / "fabric.yaml").write_text("tasks:\n  executor_class: deploy_lib.cli.executor.HostExecutor\n")
    return subprocess.run(
        [sys.executable, "-m", "fabric", "-d", "-e", "-H", NAME, "show", "--how", how],
        cwd=directory,
        env={**os.environ, "CANARY": VALUE, "INVOKE_DEBUG": "1", "DEPLOY_ENV": "homelab"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def traces(text: str) -> list[str]:
    """What of the value can be read in the text."""
    text = text + "\n" + text.replace("\n", "")
    found = [
        part
        for part in (FIRST, SECOND, quote(FIRST), quote(SECOND), FIRST[6:30], SECOND[10:50])
        if part in text
    ]
    encoded = b64encode(f"user:{VALUE}".encode()).decode()
    return found + [piece for piece in textwrap.wrap(encoded[8:], 12)[:-1] if piece in text]


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("remote", 0),
        ("remote error", 3),
        ("hidden", 3),
        ("command line", 0),
        ("traceback", 1),
        ("thread", 0),
        ("log", 0),
        ("print", 0),
        ("console", 3),
        ("json", 3),
    ],
)
def test_no_way_of_showing_a_secret_shows_it(sshd: Sshd, tmp_path: Path, how: str, status: int) -> None:
    done = fab(sshd, tmp_path, how)
    logs = [path.read_text() for path in tmp_path.glob("*.log")]
    output = "".join([done.stdout, done.stderr, *logs])
    assert not traces(output), output
    assert "***" in output, output
    assert done.returncode == status, output
    assert "fabric.executor" in done.stderr or "invoke" in done.stderr  # it was verbose indeed
    if how == "traceback":
        assert "Traceback" in done.stderr
        assert "RuntimeError: unforeseen" in done.stderr
    if how == "log":
        assert "starting thread" in logs[0]
        assert "too few" in done.stderr


def test_the_check_finds_what_is_there() -> None:
    assert traces(f"x{FIRST}x")
    assert traces(f"x\n    {SECOND}")
    assert traces(quote(VALUE))
    assert traces("\n".join(textwrap.wrap(b64encode(f"user:{VALUE}".encode()).decode(), 76)))
