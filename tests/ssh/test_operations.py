"""Operations on a Fabric connection, against a real sshd; Docker is a small program that a test puts in its place."""

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from fabric import Connection

from deploy_lib.errors import CommandError, RemoteError, UsageError
from deploy_lib.operations import (
    Placed,
    ProbeError,
    Project,
    Secret,
    connect,
    docker_login,
    http_probe,
    put_directory,
    put_files,
    read_logs,
    run_with_secrets,
)
from deploy_lib.operations.connections import session_on

from .conftest import NAME, Sshd

WEB = Project("web", PurePosixPath("/opt/web"), ("compose.yml",))


@pytest.fixture
def connection(sshd: Sshd) -> Iterator[Connection]:
    made = connect(NAME, sshd.ssh_config)
    yield made
    made.close()


@pytest.fixture
def docker(connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that keeps what it is given on standard input; it is first on the host's PATH."""
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncat > "$DOCKER_CONFIG/config.json"\nexit "$(cat {tmp_path}/code)"\n')
    program.chmod(0o755)
    (tmp_path / "code").write_text("0")
    session = session_on(connection)
    start = session.start
    monkeypatch.setattr(
        session, "start", lambda script, **more: start(f"PATH={program.parent}:$PATH\n{script}", **more)
    )
    return tmp_path / "code"


def test_a_plain_connection_works_as_well(sshd: Sshd) -> None:
    with Connection(
        "127.0.0.1", "root", sshd.port, connect_kwargs={"key_filename": str(sshd.directory / "id")}
    ) as plain:
        assert run_with_secrets(plain, "printf %s $V", {"V": "x"}).stdout == "x"
        assert session_on(plain) is session_on(plain)


def test_files_that_are_the_same_are_not_touched(connection: Connection, tmp_path: Path) -> None:
    source, there = tmp_path / "source", tmp_path / "there it is"
    (source / "conf").mkdir(parents=True)
    (source / "a").write_text("1")
    (source / "conf/it's b").write_text("2")
    assert put_directory(connection, source, str(there)) == Placed(("a", "conf/it's b"), ())
    before = (there / "a").stat().st_mtime_ns
    (source / "conf/it's b").write_text("3")
    assert put_directory(connection, source, str(there)) == Placed(("conf/it's b",), ("a",))
    assert (there / "conf/it's b").read_text() == "3"
    assert (there / "a").stat().st_mtime_ns == before
    assert put_directory(connection, source, str(there)).changed == ()
    assert not [path for path in there.iterdir() if "deploy" in path.name]


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", ""])
def test_no_file_leaves_its_directory(connection: Connection, tmp_path: Path, path: str) -> None:
    with pytest.raises(UsageError):
        put_files(connection, {path: b""}, str(tmp_path / "home"))


def test_a_directory_that_cannot_be_made_is_said(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError):
        put_files(connection, {"x": b""}, str(tmp_path / "file/below"))
    with pytest.raises(UsageError, match="no directory"):
        put_directory(connection, tmp_path / "nowhere", "/tmp")
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / "leads").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="leads is no file"):
        put_directory(connection, odd, "/tmp")
    (odd / "leads").unlink()
    (odd / "broken").symlink_to("nowhere")
    with pytest.raises(UsageError, match="broken is no file"):
        put_directory(connection, odd, "/tmp")


def test_a_value_is_the_commands_and_nobody_elses(connection: Connection) -> None:
    value = "it's $(a) `secret`\n" + os.urandom(8).hex()
    done = run_with_secrets(
        connection, 'printf %s "$V" | base64 -w0; tr "\\0" " " </proc/$$/cmdline', {"V": Secret(value)}
    )
    assert value not in done.stdout
    assert value not in repr(done)
    with pytest.raises(CommandError, match="exit status 3") as raised:
        run_with_secrets(connection, 'echo "$V"; echo wrong >&2; exit 3', {"V": Secret(value)})
    assert value not in str(raised.value)
    assert "wrong" in str(raised.value)
    assert run_with_secrets(connection, "exit 3", {}, check=False).exit_code == 3


def test_what_no_operation_can_take_is_refused_by_name(connection: Connection) -> None:
    with pytest.raises(UsageError, match="the value of PORT is no text, but of the type int"):
        run_with_secrets(connection, "true", {"PORT": 8080})  # type: ignore[dict-item]
    with pytest.raises(UsageError, match="the content of 'a' is text"):
        put_files(connection, {"a": "text"}, "/tmp")  # type: ignore[dict-item]
    with pytest.raises(UsageError, match="services is the text 'web'"):
        read_logs(connection, WEB, "web")


def test_paths_may_be_text(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a").write_text("1")
    with connect(NAME, str(sshd.ssh_config)) as made:
        assert put_directory(made, str(tmp_path / "source"), str(tmp_path / "there")).changed == ("a",)


def test_logs_of_a_service_that_is_not_there_are_refused(connection: Connection, docker: Path) -> None:
    (docker.parent / "bin/docker").write_text(
        "#!/bin/sh\ncase $1 in\n  ps) echo 'c1 web 1' ;;\n  *) echo '2026-01-01T00:00:00.0Z hello' ;;\nesac\n"
    )
    assert [line.text for line in read_logs(connection, WEB, ["web"])] == ["hello"]
    assert [line.service for line in read_logs(connection, WEB)] == ["web"]
    with pytest.raises(
        UsageError, match="no container of a service 'wbe'; it has of web\n  -> did you mean web"
    ):
        read_logs(connection, WEB, ["web", "wbe"])


def test_a_login_lies_in_memory_and_is_gone_afterwards(connection: Connection, docker: Path) -> None:
    password = os.urandom(12).hex()
    with docker_login(connection, "h.example:5000", "me", password) as login:
        place = Path(login.configuration)
        assert (place / "config.json").read_text() == password
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert not place.exists()


@pytest.mark.parametrize("how", ["error", "connection"])
def test_a_login_is_gone_however_its_block_ends(connection: Connection, docker: Path, how: str) -> None:
    places: list[Path] = []

    def work() -> None:
        with docker_login(connection, "h.example", "me", "password") as login:
            places.append(Path(login.configuration))
            assert places[0].is_dir()
            if how == "connection":
                connection.close()
            raise RuntimeError

    with pytest.raises((RuntimeError, RemoteError)):
        work()
    deadline = time.monotonic() + 10
    while places[0].exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_login_that_is_refused_leaves_nothing_and_says_so(connection: Connection, docker: Path) -> None:
    docker.write_text("1")
    login = docker_login(connection, "h.example", "me", "password")
    with pytest.raises(RemoteError, match=r"the login at h\.example failed") as raised:
        login.__enter__()
    assert "password" not in str(raised.value).replace("user and password", "")


def test_a_probe_says_what_came(connection: Connection, sshd: Sshd) -> None:
    with pytest.raises(ProbeError, match="no connection"):
        http_probe(connection, "http://127.0.0.1:1/", timeout=0.1)
    for wrong in ("nonsense", "http://[bad/", "http://h:99999/"):
        with pytest.raises(UsageError, match=r"this cannot be a probe: [^V]"):
            http_probe(connection, wrong)
    with pytest.raises(UsageError, match=r"logs in nowhere.*\(http://\*\*\*@h/\)"):
        http_probe(connection, "http://me:a-password@h/")
