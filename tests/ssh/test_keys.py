"""Logging in: with which keys, from which agent, and what is said when nothing is let in."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deploy_lib.errors import StoppedError, UnreachableError
from deploy_lib.ssh import asking, dialogue, keyfiles

from .conftest import NAME, Sshd
from .wire import Logins, Server

Keygen = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """An agent of its own; the environment does not name it."""
    socket = tmp_path / "agent.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    while not socket.exists():
        assert process.poll() is None
    yield socket
    process.terminate()
    process.wait(timeout=10)


def add(agent: Path, *keys: Path) -> None:
    for key in keys:
        key.chmod(0o600)
        subprocess.run(
            ["ssh-add", "-q", str(key)], check=True, env={**os.environ, "SSH_AUTH_SOCK": str(agent)}
        )


def encrypted(key: Path, phrase: str, *options: str) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", "", "-N", phrase, *options, "-f", str(key)],
        check=True,
        capture_output=True,
    )


def configure(sshd: Sshd, *options: str) -> None:
    """Without the key that other tests log in with."""
    sshd.configure(*options)
    own = f"IdentityFile {sshd.directory}/id"
    lines = sshd.ssh_config.read_text().splitlines()
    sshd.ssh_config.write_text("\n".join(line for line in lines if line != own) + "\n")


def enter(sshd: Sshd) -> str:
    session = sshd.session()
    try:
        return session.run("echo there").stdout
    finally:
        session.close()


def refusal(sshd: Sshd) -> str:
    with pytest.raises(UnreachableError) as caught:
        enter(sshd)
    assert caught.value.stage == "login"
    return str(caught.value)


def test_each_connection_has_its_own_agent_and_the_process_keeps_its(
    sshd: Sshd, agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(agent, sshd.directory / "id")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nowhere")
    configure(sshd, f"IdentityAgent {agent}", f"IdentityFile {sshd.directory}/id.pub")
    assert enter(sshd) == "there\n"
    assert os.environ["SSH_AUTH_SOCK"] == "/nowhere"
    configure(sshd, f"IdentityFile {sshd.directory}/id.pub")
    assert "the agent at /nowhere does not answer" in refusal(sshd)


def test_an_agent_may_keep_a_key_for_some_hosts(sshd: Sshd, agent: Path) -> None:
    known, key = sshd.directory / "known_of_agent", sshd.directory / "id"
    at = f"[127.0.0.1]:{sshd.port}"
    known.write_text(f"{at} {sshd.public_key('host')}\nelsewhere {sshd.public_key('other')}\n")
    configure(sshd, f"IdentityAgent {agent}", f"IdentityFile {key}.pub")
    environment = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    for host, inside in ((at, True), ("elsewhere", False)):
        subprocess.run(["ssh-add", "-qD"], check=True, env=environment)
        command = ["ssh-add", "-q", "-H", str(known), "-h", host, str(key)]
        subprocess.run(command, check=True, env=environment)
        assert enters_with_ssh(sshd, "-o", "BatchMode=yes") is inside
        if inside:
            assert enter(sshd) == "there\n"
        else:
            assert "its private half is neither in that file nor in the agent" in refusal(sshd)


class Person(asking.Asker):
    """Somebody at a terminal who knows one answer."""

    def __init__(self, answer: str) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[str] = []

    @property
    def there(self) -> bool:
        return True

    def secret(self, question: str) -> str:
        self.asked.append(question)
        return self.answer


@pytest.fixture
def locked(sshd_factory: Callable[..., Sshd]) -> Iterator[tuple[Sshd, str]]:
    sshd, phrase = sshd_factory(), os.urandom(8).hex()
    encrypted(sshd.directory / "id", phrase)
    yield sshd, phrase
    keyfiles._opened.clear()


def test_a_passphrase_is_asked_for_once_whatever_the_number_of_nodes(
    locked: tuple[Sshd, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd, phrase = locked
    person = Person(phrase)
    monkeypatch.setattr("deploy_lib.ssh.login.Asker", lambda batch: person)
    assert [enter(sshd), enter(sshd)] == ["there\n", "there\n"]
    assert person.asked == [f"Enter passphrase for key '{sshd.directory}/id': "]


def test_a_wrong_passphrase_is_asked_for_again_and_then_told(
    locked: tuple[Sshd, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd, _ = locked
    person = Person("wrong")
    monkeypatch.setattr("deploy_lib.ssh.login.Asker", lambda batch: person)
    message = refusal(sshd)
    assert len([question for question in person.asked if "passphrase" in question]) == 3
    assert "its passphrase was not given" in message
    assert "wrong" not in message


def test_without_a_terminal_the_encrypted_key_and_the_remedy_are_named(locked: tuple[Sshd, str]) -> None:
    sshd, _ = locked
    message = refusal(sshd)
    assert f"{sshd.directory}/id: it is encrypted, and there is no terminal" in message
    assert f"-> ssh-add {sshd.directory}/id" in message


@pytest.mark.parametrize("format_", ["PEM", "PKCS8"])
def test_an_encrypted_key_of_an_older_format_is_opened_too(
    sshd: Sshd, format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, phrase = tmp_path / "k", os.urandom(8).hex()
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ecdsa", "-m", format_, "-N", phrase, "-f", str(key)], check=True
    )
    allowed = sshd.directory / "authorized_keys"
    before = allowed.read_text()
    allowed.write_text(before + Path(f"{key}.pub").read_text())
    Path(f"{key}.pub").unlink()
    configure(sshd, f"IdentityFile {key}")
    monkeypatch.setattr("deploy_lib.ssh.login.Asker", lambda batch: Person(phrase))
    assert enter(sshd) == "there\n"
    allowed.write_text(before)


def test_a_key_that_others_may_read_is_not_used(sshd: Sshd) -> None:
    key = sshd.directory / "id"
    key.chmod(0o644)
    try:
        assert f"-> chmod 600 {key}" in refusal(sshd)
    finally:
        key.chmod(0o600)


def test_no_key_at_all_says_where_to_name_one(sshd: Sshd) -> None:
    configure(sshd, f"IdentityFile {sshd.directory}/no-such-key")
    message = refusal(sshd)
    assert "there was no key to try" in message
    assert f"-> name a key in ssh_config, for {NAME} (IdentityFile)" in message


def test_too_many_keys_are_told_with_the_setting(sshd_factory: Callable[..., Sshd], agent: Path) -> None:
    sshd = sshd_factory("MaxAuthTries 2")
    add(agent, sshd.directory / "other", sshd.directory / "host", sshd.directory / "id")
    sshd.ssh_config.write_text(
        sshd.ssh_config.read_text()
        .replace("IdentitiesOnly yes", f"IdentityAgent {agent}")
        .replace("/id\n", "/x\n")
    )
    message = refusal(sshd)
    assert "Too many authentication failures" in message
    assert "MaxAuthTries" in message


# --- other ways than a key ----------------------------------------------------------------------------------


@pytest.fixture
def serving(sshd: Sshd) -> Iterator[Callable[..., Sshd]]:
    """The client's side of a server that lets in whom a test says."""
    servers: list[Server] = []

    def make(*methods: str, questions: tuple[str, ...] = (), answers: tuple[str, ...] = ()) -> Sshd:
        servers.append(Server(sshd.directory / "host", methods, questions, answers))
        sshd.configure()
        port = servers[-1].port
        sshd.ssh_config.write_text(sshd.ssh_config.read_text().replace(f"Port {sshd.port}", f"Port {port}"))
        sshd.trust(f"[127.0.0.1]:{port} {sshd.public_key('host')}")
        return sshd

    yield make
    for server in servers:
        server.close()


def enters_with_ssh(sshd: Sshd, *options: str) -> bool:
    """Whether `ssh` gets in, where it has no terminal."""
    command = ["ssh", "-F", str(sshd.ssh_config), *options, NAME, "true"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, start_new_session=True
    )
    return done.returncode == 0


KEYLESS = ("none",)
SILENT = ("publickey", "keyboard-interactive")


@pytest.mark.parametrize("key", ["id", "no-such-key"])
def test_a_server_that_asks_for_nothing_is_entered(serving: Callable[..., Sshd], key: str) -> None:
    sshd = serving(*KEYLESS)
    sshd.ssh_config.write_text(sshd.ssh_config.read_text().replace("/id\n", f"/{key}\n"))
    assert enters_with_ssh(sshd, "-o", "BatchMode=yes")
    assert enter(sshd) == "there\n"


def test_a_second_factor_that_asks_nothing_is_passed(serving: Callable[..., Sshd]) -> None:
    sshd = serving(*SILENT)
    assert enters_with_ssh(sshd)
    assert enter(sshd) == "there\n"


def test_a_second_factor_that_asks_is_told_where_nobody_can_answer(serving: Callable[..., Sshd]) -> None:
    sshd = serving(*SILENT, questions=("Code: ",), answers=("123456",))
    assert not enters_with_ssh(sshd)
    message = refusal(sshd)
    assert "the server asks 'Code:', and there is no terminal" in message


def test_a_second_factor_is_asked_of_the_operator(
    serving: Callable[..., Sshd], monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(os.urandom(4).hex())
    monkeypatch.setattr("deploy_lib.ssh.login.Asker", lambda batch: person)
    sshd = serving(*SILENT, questions=("Code: ",), answers=(person.answer,))
    assert enter(sshd) == "there\n"
    assert person.asked == [f"(root@{NAME}) Code: "]
    wrong = serving(*SILENT, questions=("Code: ",), answers=("another",))
    assert person.answer not in refusal(wrong)
    assert len(person.asked) == 1 + 3


@pytest.fixture
def confirming(serving: Callable[..., Sshd], monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A server whose second factor waits until a person has confirmed it elsewhere."""
    confirmed = threading.Event()
    plain = Logins.check_auth_interactive

    def wait(*given: Any) -> Any:
        confirmed.wait(20)
        return plain(*given)

    monkeypatch.setattr(Logins, "check_auth_interactive", wait)
    monkeypatch.setattr(dialogue, "REPLY_TIMEOUT", 0.5)
    serving(*SILENT)
    yield confirmed
    confirmed.set()


def test_a_server_may_take_longer_while_a_person_confirms(sshd: Sshd, confirming: threading.Event) -> None:
    person = threading.Timer(1.5, confirming.set)
    person.start()
    assert enter(sshd) == "there\n"
    person.join()


def test_an_answer_that_does_not_come_is_not_blamed_on_the_number_of_keys(
    sshd: Sshd, confirming: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogue, "PERSON_TIMEOUT", 0.5)
    message = refusal(sshd)
    assert "the server did not answer within 0.5 s, after 1 key" in message
    assert "LoginGraceTime" in message
    assert "MaxAuthTries" not in message


def test_ctrl_c_ends_the_wait_for_a_person_but_not_for_what_has_to_be_found_out_after_it(
    sshd: Sshd, confirming: threading.Event
) -> None:
    pressed = threading.Timer(1, asking.interrupt)
    pressed.start()
    with pytest.raises(StoppedError), contextlib.closing(sshd.session()) as session:
        session.open()
    pressed.join()
    with contextlib.closing(sshd.session().twin()) as twin, ThreadPoolExecutor(1) as pool:
        opened = pool.submit(twin.open)
        time.sleep(0.5)
        asking.interrupt()
        time.sleep(0.5)
        confirming.set()
        opened.result(20)
