import contextlib
import os
import re
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy_lib.checks import reach
from deploy_lib.errors import ExitCode, RemoteError, StoppedError, UnreachableError
from deploy_lib.ssh import transport
from deploy_lib.ssh.session import Session

from .conftest import NAME, Sshd


def test_standard_input_follows_the_environment(session: Session) -> None:
    payload = os.urandom(300_000)
    result = session.run("sha256sum", env={"A": "b"}, stdin=payload)
    import hashlib

    assert result.stdout.split()[0] == hashlib.sha256(payload).hexdigest()


def test_no_process_shows_a_value_on_its_command_line(session: Session) -> None:
    canary = secrets.token_urlsafe(24)
    found: list[str] = []
    stop = threading.Event()

    def scan() -> None:
        while not stop.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    if canary.encode() in path.read_bytes():
                        found.append(str(path))
                except OSError:
                    continue

    scanner = threading.Thread(target=scan)
    scanner.start()
    try:
        for _ in range(5):
            session.run('sleep 0.1; [ -n "$TOKEN" ]', env={"TOKEN": canary})
        assert not found
        session.run(f"sh -c 'sleep 0.3; : {canary}; true'")  # the scanner would have seen it
        assert found
    finally:
        stop.set()
        scanner.join()


def test_fabrics_own_run_is_safe_too(session: Session) -> None:
    session.open()
    result = session.connection.run('printf %s "$X"', env={"X": "a; touch /tmp/pwned $(id)"}, hide=True)
    assert result.stdout == "a; touch /tmp/pwned $(id)"
    assert result.env == {"X": "***"}


def test_one_connection_serves_many_commands_at_once(sshd: Sshd) -> None:
    before = sshd.log.count("Accepted publickey")
    session = sshd.session()
    session.open()
    results: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(session.run(f"sleep 0.2; echo {n}").stdout))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session.close()
    assert sorted(results) == [f"{n}\n" for n in range(6)]
    assert sshd.log.count("Accepted publickey") == before + 1


def test_a_failing_command_shows_its_standard_error_and_never_its_output(session: Session) -> None:
    with pytest.raises(RemoteError) as caught:
        session.run("echo data-of-this-program; echo why >&2; exit 3", step="pull")
    assert "exit status 3" in str(caught.value)
    assert "why" in str(caught.value)
    assert "data-of-this-program" not in str(caught.value)


def test_standard_error_after_a_silence_is_not_lost(session: Session) -> None:
    with pytest.raises(RemoteError, match="much later"):
        session.run("echo first >&2; sleep 1; echo much later >&2; exit 3")


def test_a_command_that_takes_too_long_is_an_error(session: Session) -> None:
    began = time.monotonic()
    with pytest.raises(RemoteError, match="did not answer in time"):
        session.run("sleep 20", timeout=0.5)
    assert time.monotonic() - began < 10


def test_ctrl_c_is_heard_although_output_never_pauses(session: Session) -> None:
    session.stop = threading.Event()
    with session.start("yes | head -c 50000000", timeout=60) as process:
        lines = iter(process)
        assert next(lines) == "y"
        session.stop.set()
        with pytest.raises(StoppedError):
            for _ in lines:
                pass


def test_a_session_that_was_killed_is_not_silently_opened_again(session: Session) -> None:
    with session.start("grep PPid: /proc/$PPID/status; sleep 20") as process:
        sshd_child = int(next(iter(process)).split()[1])
        os.kill(sshd_child, 9)
        with pytest.raises(RemoteError, match="session ended"):
            process.wait()
    with pytest.raises(RemoteError):
        session.run("true")


def test_a_session_that_is_closed_ends_its_thread_however_seldom_that_wakes_up(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "IDLE_CHECK", 1000.0)
    through_a_jump_host(sshd)
    session = sshd.session()
    assert session.run("echo there").stdout == "there\n"
    own, jump = session.connection.transport, session.connection.gateway.transport
    assert own.sock.gettimeout() == jump.sock.gettimeout() == 1000
    session.close()
    for thread in (own, jump):
        thread.join(20)
        assert not thread.is_alive()


def test_the_messages_are_authenticated_by_the_cipher_unless_ssh_config_has_another(sshd: Sshd) -> None:
    with contextlib.closing(sshd.session()) as session:
        session.open()
        assert session.connection.transport.remote_cipher == "aes128-gcm@openssh.com"
    sshd.configure("Ciphers aes256-ctr")
    with contextlib.closing(sshd.session()) as session:
        session.open()
        assert session.connection.transport.remote_cipher == "aes256-ctr"


def test_a_forward_reaches_a_port_of_the_host(sshd: Sshd, session: Session) -> None:
    channel = session.forward("127.0.0.1", sshd.port)
    assert channel.recv(4) == b"SSH-"
    channel.close()
    with pytest.raises(RemoteError, match=r"no connection to 127\.0\.0\.1:1"):
        session.forward("127.0.0.1", 1)


def test_whether_forwarding_is_allowed_does_not_hang_on_who_listens(
    sshd: Sshd, session: Session, sshd_factory: Callable[..., Sshd]
) -> None:
    assert not session.forbids_forwarding("127.0.0.1", sshd.port)
    assert not session.forbids_forwarding("127.0.0.1", 1)
    strict = sshd_factory("AllowTcpForwarding no").session()
    assert strict.forbids_forwarding("127.0.0.1", sshd.port)
    strict.close()


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_limit_of_sessions_is_found_out_before_anything_depends_on_it(
    sshd_factory: Callable[..., Sshd], most: int
) -> None:
    sshd = sshd_factory(f"MaxSessions {most}")
    session = sshd.session()
    for _ in range(3):
        assert session.run("echo one after the other").stdout == "one after the other\n"
    assert session.reserve(3) == most
    check = reach.sessions(most, 3)
    assert (check.result, "MaxSessions" in check.problem) == (("failed", True) if most < 3 else ("ok", False))
    with contextlib.ExitStack() as held:
        for _ in range(most):
            held.enter_context(session.start("cat", keep_stdin=True))
        with pytest.raises(RemoteError, match="MaxSessions"):
            session.run("true")
    session.close()


def test_sessions_that_were_opened_ahead_are_those_that_are_used(sshd: Sshd, session: Session) -> None:
    before = sshd.log.count("new session [server-session]")
    assert session.reserve(3) == 3
    for _ in range(4):
        assert session.run("echo x").stdout == "x\n"
    assert sshd.log.count("new session [server-session]") - before == 4


def test_a_host_that_freezes_before_a_script_begins_is_noticed_and_ctrl_c_is_heard(session: Session) -> None:
    assert session.reserve(4) == 4
    server = int(session.run("grep PPid: /proc/$PPID/status").stdout.split()[1])
    own = session.connection.transport
    os.kill(server, signal.SIGSTOP)
    try:
        with pytest.raises(RemoteError, match="did not answer in time"):
            session.run("true", timeout=0.5)
        session.stop = threading.Event()
        pressed = threading.Timer(0.5, session.stop.set)
        pressed.start()
        with pytest.raises(StoppedError):
            session.run("true", timeout=60)
        pressed.join()
        own.channel_timeout = 0.5
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(session.connection), "create_session", lambda _: session._channels.take())
            with pytest.raises(RemoteError, match=r"did not answer within 0\.5 s"):
                session.connection.run("true", hide=True)
        # One more is not opened, and that is no end of the session.
        with pytest.raises(RemoteError, match="the host did not answer in time"):
            session.run("true")
        session.require_alive()
    finally:
        os.kill(server, signal.SIGCONT)


def test_ctrl_c_is_heard_while_a_host_takes_no_input(session: Session) -> None:
    session.stop = threading.Event()
    pressed = threading.Timer(0.5, session.stop.set)
    pressed.start()
    with pytest.raises(StoppedError):
        session.start("sleep 60", stdin=b"x" * 10_000_000, timeout=60)
    pressed.join()


def test_no_terminal_is_asked_for(sshd_factory: Callable[..., Sshd]) -> None:
    session = sshd_factory("PermitTTY no", "Banner /etc/hostname", "PrintMotd yes").session()
    assert session.run("echo there").stdout == "there\n"
    session.close()


# --- what cannot be reached -------------------------------------------------------------------------------


def refusal(session: Session) -> UnreachableError:
    with pytest.raises(UnreachableError) as caught:
        session.open()
    assert caught.value.exit_code is ExitCode.NOT_STARTED
    assert caught.value.node == "core"
    return caught.value


def test_a_changed_key_stops_before_anything_is_sent(sshd: Sshd) -> None:
    sshd.trust(f"[127.0.0.1]:{sshd.port} {sshd.public_key('other')}")
    before = sshd.log.count("Accepted")
    message = str(refusal(sshd.session()))
    assert "throwaway.internal" in message
    assert "has changed" in message
    assert len(set(re.findall(r"SHA256:\S{43}", message))) == 2
    assert "ssh-keygen -R" in message
    assert sshd.log.count("Accepted") == before


def test_an_unknown_key_stops_and_says_how_to_add_it(sshd: Sshd) -> None:
    sshd.trust("other.internal ssh-ed25519 AAAA")
    error = refusal(sshd.session())
    assert error.stage == "host key"
    message = str(error)
    assert "is not known" in message
    assert "SHA256:" in message
    assert f"echo '[127.0.0.1]:{sshd.port} {sshd.public_key('host')}' >> {sshd.known_hosts}" in message


def test_a_refused_connection_is_closed_and_not_left_to_the_hosts_patience(sshd: Sshd) -> None:
    sshd.trust(f"[127.0.0.1]:{sshd.port} {sshd.public_key('other')}")
    before = sshd.log
    sessions = [sshd.session() for _ in range(3)]
    for session in sessions:
        refusal(session)
    deadline = time.monotonic() + 5
    # Closed, or reset where the server had sent something that nobody read any more.
    while len(re.findall(r"Connection (closed|reset) by", sshd.log.removeprefix(before))) < len(sessions):
        assert time.monotonic() < deadline, sshd.log.removeprefix(before)
        time.sleep(0.05)


def through_a_jump_host(sshd: Sshd, *jump_options: str) -> None:
    """The same server is both: `throwaway.internal` behind `jump`, which has a known_hosts file of its own."""
    sshd.configure(
        "ProxyJump jump",
        "Host jump",
        "HostName 127.0.0.1",
        f"Port {sshd.port}",
        "User root",
        f"IdentityFile {sshd.directory}/id",
        "IdentitiesOnly yes",
        "GlobalKnownHostsFile /dev/null",
        *(jump_options or [f"UserKnownHostsFile {sshd.known_hosts}"]),
    )


def test_a_jump_hosts_key_is_verified_as_well(sshd: Sshd) -> None:
    through_a_jump_host(sshd, f"UserKnownHostsFile {sshd.directory}/none")
    message = str(refusal(sshd.session()))
    assert f"the host key of jump (the jump host of {NAME}) is not known" in message
    through_a_jump_host(sshd)
    assert sshd.session().run("echo there").stdout == "there\n"


def test_a_jump_host_is_named_by_tokens_as_with_ssh(sshd: Sshd) -> None:
    through_a_jump_host(sshd)
    text = sshd.ssh_config.read_text().replace("ProxyJump jump", "ProxyJump %r@by-%n,%r@by-%h%%")
    sshd.ssh_config.write_text(text.replace("Host jump", f"Host by-{NAME} by-127.0.0.1%"))
    command = ["ssh", "-F", str(sshd.ssh_config), NAME, "true"]
    assert subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    with contextlib.closing(sshd.session()) as session:
        assert session.run("echo there").stdout == "there\n"
        assert session.connection.target.jump == (f"root@by-{NAME}", "root@by-127.0.0.1%")


@pytest.mark.parametrize(
    ("options", "stage", "expected"),
    [
        (["HostName does-not-exist.invalid"], "name", f"it is the jump host of {NAME}"),
        (["HostName 127.0.0.1", "Port 1"], "TCP", f"root@127.0.0.1:1 (the jump host of {NAME})"),
        (["User nobody-of-that-name"], "login", f"(the jump host of {NAME}) refused the login"),
    ],
)
def test_what_a_jump_host_refuses_is_not_blamed_on_the_target(
    sshd: Sshd, options: list[str], stage: str, expected: str
) -> None:
    through_a_jump_host(sshd)
    text = sshd.ssh_config.read_text()
    # The first value counts.
    sshd.ssh_config.write_text(text.replace("Host jump\n", "Host jump\n" + "\n".join(options) + "\n"))
    error = refusal(sshd.session())
    assert error.stage == stage
    assert expected in str(error)
    assert [check.result for check in reach.stages(sshd.session().connection.target, error)] == ["failed"]


def test_a_target_that_the_jump_host_does_not_reach_is_not_blamed_on_the_jump_host(sshd: Sshd) -> None:
    through_a_jump_host(sshd)
    text = sshd.ssh_config.read_text()
    sshd.ssh_config.write_text(text.replace(f"Port {sshd.port}", "Port 1", 1))
    error = refusal(sshd.session())
    assert error.stage == "TCP"
    assert "the jump host jump makes no TCP connection to root@127.0.0.1:1" in str(error)


@pytest.mark.parametrize(
    ("options", "stage", "expected"),
    [
        (["HostName does-not-exist.invalid"], "name", "does not resolve"),
        (["HostName 127.0.0.1", "Port 1"], "TCP", "no TCP connection"),
    ],
)
def test_the_stage_that_failed_is_named(sshd: Sshd, options: list[str], stage: str, expected: str) -> None:
    sshd.configure()
    text = sshd.ssh_config.read_text().splitlines()
    names = {option.split()[0] for option in options}
    kept = [line for line in text if line.split()[0] not in names]
    sshd.ssh_config.write_text("\n".join([kept[0], *options, *kept[1:]]) + "\n")
    error = refusal(sshd.session())
    assert error.stage == stage
    assert expected in str(error)


def test_a_refused_login_says_what_to_check(sshd: Sshd) -> None:
    sshd.ssh_config.write_text(sshd.ssh_config.read_text().replace("/id\n", "/other\n"))
    error = refusal(sshd.session())
    assert error.stage == "login"
    message = str(error)
    assert "refused the login" in message
    assert f"tried {sshd.directory}/other" in message
    assert "authorized_keys" in message
