"""MariaDB's shell text on a real server, in a container of the engine that the lab's hosts run on."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import textwrap
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy_lib.compose.labels import PROJECT, SERVICE
from deploy_lib.errors import DeployError
from deploy_lib.host.change import apply
from deploy_lib.host.programs.mariadb import MariadbUser
from deploy_lib.secrets.value import Secret
from lab import docker as build
from lab.images import obtain_one
from lab.layout import Lab
from tests.worst import WORST

from .conftest import CHECKOUT, ROOT

IMAGE = "mariadb:11.8"
LOG = "/var/lib/mysql/general.log"
ADMIN = MariadbUser(kind="mariadb-user", secret="PW", service="db", timeout=20)
APP = MariadbUser(kind="mariadb-user", secret="PW", service="db", user="it's app", timeout=20)

SWITCH = """\
has_PW=1
{wake}
{remember} || exit 9
forward() {{
{forward}
{prove}
}}
back() {{
export PW="$old_PW"
{back}
{back_later}
}}
"""
"""What of a switch concerns a program, in its order."""


@dataclass
class Server:
    """A server, and a directory with a `docker` that notes its command lines."""

    project: str
    tools: Path
    password: str

    def sh(self, step: MariadbUser, script: str, **values: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}", **values}
        whole = f"{apply.functions(self.project, [step])}\n{script}"
        return subprocess.run(["sh"], input=whole, env=env, capture_output=True, text=True, timeout=120)

    def switch(
        self, step: MariadbUser, old: str, new: str, then: str = "forward"
    ) -> subprocess.CompletedProcess[str]:
        parts = {
            name: getattr(apply, name)([step])
            for name in ("wake", "remember", "forward", "prove", "back", "back_later")
        }
        handed = step.hand(Secret(new)).reveal()
        return self.sh(step, SWITCH.format(**parts) + then, old_PW=old, PW=new, APPLY_PW=handed)

    def takes(self, step: MariadbUser, value: str) -> int:
        return self.sh(step, 'takes_PW "$PW"', PW=value).returncode

    def sql(self, statement: str) -> str:
        """As somebody whose password no test changes."""
        client = ("mariadb", "--no-defaults", "--skip-ssl-verify-server-cert", "-utest", "-NBr")
        arguments = ("exec", "-i", "-e", "MYSQL_PWD", f"{self.project}-db-1", *client)
        return build.run(*arguments, stdin=statement.encode(), env={"MYSQL_PWD": self.password})

    def hashes(self, user: str) -> list[str]:
        name = user.replace("'", "''")
        query = (
            f"SELECT JSON_VALUE(Priv, '$.authentication_string') FROM mysql.global_priv WHERE User = '{name}'"  # noqa: S608
        )
        return self.sql(query).split()

    def give(self, user: str, *hosts: str, password: str) -> None:
        """Accounts of that name and with that password, and no others of the name."""
        name, value = user.replace("'", "''"), Secret(password)
        found = self.sql(
            f"SELECT CONCAT(QUOTE(User), '@', QUOTE(Host)) FROM mysql.global_priv WHERE User = '{name}'"  # noqa: S608
        )
        for account in found.splitlines():
            self.sql(f"DROP USER {account}")
        for host in hosts:
            hashed = ADMIN.hand(value).reveal()
            self.sql(f"CREATE USER '{name}'@'{host}' IDENTIFIED BY PASSWORD '{hashed}'")

    def seen(self) -> str:
        """What the server has written down, and all command lines that a host has seen."""
        said = build.run("exec", f"{self.project}-db-1", "cat", LOG)
        return said + build.run("logs", f"{self.project}-db-1") + (self.tools / "argv").read_text()


@pytest.fixture(scope="module")
def started(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The lab has brought the engine and the base image."""
    obtain_one(IMAGE, ROOT, lambda text: None)
    tools = tmp_path_factory.mktemp("tools")
    (tools / "docker").write_text(f'#!/bin/sh\necho "$*" >> {tools}/argv\nexec {build.docker()} "$@"\n')
    (tools / "docker").chmod(0o755)
    (tools / "argv").touch()
    first, project = secrets.token_urlsafe(24), f"programs-{secrets.token_hex(4)}"
    labels = (f"--label={PROJECT}={project}", f"--label={SERVICE}=db")
    command = (
        "mariadbd",
        "--general-log=1",
        f"--general-log-file={LOG}",
        "--slow-query-log=1",
        "--long-query-time=0",
    )
    arguments = (
        "run",
        "-d",
        f"--name={project}-db-1",
        *labels,
        "-e",
        "MARIADB_ROOT_PASSWORD",
        IMAGE,
        *command,
    )
    build.run(*arguments, env={"MARIADB_ROOT_PASSWORD": first})
    server = Server(project, tools, secrets.token_urlsafe(24))
    try:
        deadline = time.monotonic() + 120
        while server.takes(ADMIN, first) != 0:
            assert time.monotonic() < deadline, build.run("logs", f"{project}-db-1")
            time.sleep(0.5)
        make = ("exec", "-i", "-e", "MYSQL_PWD", f"{project}-db-1", "mariadb", "--no-defaults", "-uroot")
        hashed = ADMIN.hand(Secret(server.password)).reveal()
        statement = f"GRANT ALL ON *.* TO test@localhost IDENTIFIED BY PASSWORD '{hashed}' WITH GRANT OPTION"
        build.run(*make, stdin=statement.encode(), env={"MYSQL_PWD": first})
        yield server
    finally:
        build.run("rm", "-f", "-v", f"{project}-db-1")


@pytest.fixture
def server(started: Server) -> Server:
    started.give("root", "localhost", "%", password="old one")
    started.sql("GRANT ALL ON *.* TO root@localhost WITH GRANT OPTION; GRANT ALL ON *.* TO root@'%'")
    started.give("it's app", "%", password="old one")
    return started


@pytest.mark.parametrize("step", [ADMIN, APP], ids=lambda step: step.user)
def test_the_new_password_is_taken_the_old_one_refused_and_neither_is_seen(
    server: Server, step: MariadbUser
) -> None:
    new = secrets.token_urlsafe(24)
    done = server.switch(step, "old one", new)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (server.takes(step, new), server.takes(step, "old one")) == (0, 1)
    assert set(server.hashes(step.user)) == {step.hand(Secret(new)).reveal()}
    seen = server.seen()
    assert "SHOW CREATE USER" in seen
    assert new not in seen
    # Who may turn the log off has not even the hash in it.
    assert step is APP or step.hand(Secret(new)).reveal() not in seen


@pytest.mark.parametrize("step", [ADMIN, APP], ids=lambda step: step.user)
def test_going_back_brings_back_the_very_hash(server: Server, step: MariadbUser) -> None:
    before = server.hashes(step.user)
    done = server.switch(step, "old one", "new one", "forward && back")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert server.hashes(step.user) == before
    assert (server.takes(step, "old one"), server.takes(step, "new one")) == (0, 1)


def test_any_value_is_set_and_tried_byte_for_byte(server: Server) -> None:
    old = "old one"
    for name in (
        "QUOTES",
        "DOLLARS",
        "LEADING_BLANKS",
        "TRAILING_NEWLINES",
        "LINES",
        "CONTROLS",
        "EMOJI",
        "LONG",
    ):
        done = server.switch(APP, old, WORST[name])
        assert (name, done.returncode, done.stdout, done.stderr) == (name, 0, "", "")
        old = WORST[name]


@pytest.mark.parametrize("half", ["root@'%'", "root@localhost", "root@'%', root@localhost"])
def test_after_a_host_went_down_in_the_middle_it_is_done_as_a_whole(server: Server, half: str) -> None:
    """Which is in any order, but that the account's own comes last; by TCP alone another one is the account's own."""
    hashed = ADMIN.hand(Secret("new one")).reveal()
    for account in half.split(", "):
        server.sql(f"SET PASSWORD FOR {account} = '{hashed}'")
    done = server.switch(ADMIN, "old one", "new one")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_half_a_change_is_taken_back_as_a_whole(server: Server) -> None:
    server.give("root", "localhost", "%", "10.0.0.1", password="old one")
    server.sql("GRANT ALL ON *.* TO root@localhost")
    before = server.hashes("root")
    half = ADMIN.hand(Secret("new one")).reveal()
    server.sql(f"SET PASSWORD FOR root@'10.0.0.1' = '{half}'")
    done = server.switch(ADMIN, "old one", "new one", "back")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert server.hashes("root") == before


def test_an_account_for_another_host_is_changed_unless_it_has_another_password(server: Server) -> None:
    server.give("root", "localhost", "%", "10.0.0.1", "10.0.0.2", password="old one")
    server.sql("GRANT ALL ON *.* TO root@localhost")
    new, other = (ADMIN.hand(Secret(value)).reveal() for value in ("new one", "another"))
    server.sql(f"SET PASSWORD FOR root@'10.0.0.2' = '{other}'")
    assert server.switch(ADMIN, "old one", "new one").returncode == 0
    assert sorted(server.hashes("root")) == sorted([new, new, new, other])


def test_an_account_for_the_socket_alone_is_tried_there(server: Server) -> None:
    server.give("root", "localhost", password="old one")
    done = server.switch(ADMIN, "old one", "new one")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (server.takes(ADMIN, "new one"), server.takes(ADMIN, "old one")) == (0, 1)


def test_a_socket_that_lets_anybody_in_says_nothing_of_a_password(server: Server) -> None:
    server.sql("ALTER USER root@localhost IDENTIFIED VIA unix_socket")
    done = server.switch(ADMIN, "old one", "new one")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert server.takes(ADMIN, "old one") == 1


def test_one_that_sees_itself_alone_is_changed_by_each_way_in(server: Server) -> None:
    server.give(APP.user, "localhost", "%", password="old one")
    before = server.hashes(APP.user)
    done = server.switch(APP, "old one", "new one")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert set(server.hashes(APP.user)) == {APP.hand(Secret("new one")).reveal()}
    server.give(APP.user, "localhost", "%", password="old one")
    done = server.switch(APP, "old one", "new one", "forward && back")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert server.hashes(APP.user) == before


@pytest.fixture
def other_plugin(server: Server) -> Iterator[str]:
    """How an account's password is of another plugin."""
    server.sql("INSTALL SONAME 'auth_ed25519'")
    yield "ed25519 USING PASSWORD('old one')"
    server.give(APP.user, password="")
    server.sql("UNINSTALL SONAME 'auth_ed25519'")


def test_a_password_that_is_still_taken_is_noticed_and_goes_back(server: Server, other_plugin: str) -> None:
    hashed = APP.hand(Secret("old one")).reveal()
    server.sql(
        f"ALTER USER 'it''s app'@'%' IDENTIFIED VIA mysql_native_password USING '{hashed}' OR {other_plugin}"
    )
    before = server.sql("SHOW CREATE USER 'it''s app'@'%'")
    done = server.switch(APP, "old one", "new one", 'forward || { echo "forward $?"; back; }')
    assert (done.returncode, done.stdout) == (0, "db still takes the old PW\nforward 1\n")
    assert server.sql("SHOW CREATE USER 'it''s app'@'%'") == before


def test_nothing_is_begun_where_nothing_could_be_gone_back_to(server: Server, other_plugin: str) -> None:
    before = server.hashes(APP.user)
    wrong = server.switch(APP, "not this one", "nor this one")
    assert wrong.returncode == 9
    assert "ERROR 1045" in wrong.stderr
    assert server.hashes(APP.user) == before
    server.sql(f"ALTER USER 'it''s app'@'%' IDENTIFIED VIA {other_plugin}")
    other = server.switch(APP, "old one", "new one")
    assert other.returncode == 9
    assert "mysql_native_password" in other.stderr
    assert server.takes(APP, "old one") == 0


def test_a_server_that_is_down_has_not_refused_and_is_started_first(server: Server) -> None:
    build.run("stop", f"{server.project}-db-1")
    assert server.takes(APP, "old one") not in (0, 1)
    done = server.switch(APP, "old one", "new one")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_backup_that_the_documentation_shows_brings_a_table_back(server: Server) -> None:
    text = (CHECKOUT / "docs/backups.md").read_text()
    shown = next(block for block in re.findall(r"(?:^    .*\n)+", text, re.MULTILINE) if "mariadb" in block)
    (entry,) = tomllib.loads(textwrap.dedent(shown))["stacks"]["shop"]["backups"]
    name = f"{server.project}-db-1"
    build.run("exec", "-i", name, "sh", "-c", "cat > /root/password", stdin=b"old one")
    given = ("-e", "MARIADB_ROOT_PASSWORD_FILE=/root/password", "-e", "MARIADB_DATABASE=shop")

    def run(command: list[str], data: str = "") -> str:
        return build.run("exec", "-i", *given, name, *command, stdin=data.encode())

    server.sql(
        "CREATE DATABASE shop; CREATE TABLE shop.fault (word text); INSERT INTO shop.fault VALUES ('kept')"
    )
    data = run(entry["command"])
    run(entry["check"], data)
    with pytest.raises(DeployError):
        run(entry["check"], data[:-200])
    server.sql("DROP TABLE shop.fault")
    run(entry["restore"], data)
    assert server.sql("SELECT word FROM shop.fault").strip() == "kept"
    server.sql("DROP DATABASE shop")
