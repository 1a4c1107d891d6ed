"""What revokes a host's key, what is said then, and a first key that cannot be kept."""

from __future__ import annotations

import subprocess
from pathlib import Path

import paramiko
import pytest

from deploy_lib.errors import UnreachableError, UsageError
from deploy_lib.ssh.refusals import explain, refusal
from deploy_lib.ssh.target import Target, Trust
from deploy_lib.ssh.trust import Known, Presented, presented
from deploy_lib.values import replace

NAME = "a.internal"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trust")
    for name in ("ca", "host", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    command = ["ssh-keygen", "-q", "-s", str(folder / "ca"), "-I", "x", "-h", "-n", NAME]
    subprocess.run([*command, str(folder / "host.pub")], check=True)
    return folder


def plain(keys: Path) -> Presented:
    return presented(paramiko.Ed25519Key.from_private_key_file(str(keys / "host")))


def certified(keys: Path) -> Presented:
    key = paramiko.Ed25519Key.from_private_key_file(str(keys / "host"))
    key.load_certificate(str(keys / "host-cert.pub"))
    return presented(key)


def known(keys: Path, folder: Path, revoked: str | None = None, marks: str = "") -> Known:
    """What is known of a host whose key and authority are trusted.

    Args:
        revoked: what RevokedHostKeys has.
        marks: further lines of known_hosts.
    """
    hosts, listed = folder / "known_hosts", folder / "revoked"
    host, ca = ((keys / f"{name}.pub").read_text() for name in ("host", "ca"))
    hosts.write_text(f"{NAME} {host}@cert-authority {NAME} {ca}{marks}")
    if revoked is not None:
        listed.write_text(revoked)
    trust = Trust(user_files=(hosts,), revoked=listed if revoked is not None else None)
    return Known(Target(NAME, NAME, 22, "root", trust=trust))


def test_a_plain_list_of_revoked_keys_revokes_those_alone(keys: Path, tmp_path: Path) -> None:
    host, other, ca, cert = (
        (keys / f"{name}.pub").read_text() for name in ("host", "other", "ca", "host-cert")
    )
    for harmless in ("", "# none yet\n\n", f"# once\n  {other}"):
        assert known(keys, tmp_path, harmless).problem(plain(keys)) == ""
        assert known(keys, tmp_path, harmless).problem(certified(keys)) == ""
    for bad in (host, f"{other}{host}", cert):
        assert known(keys, tmp_path, bad).problem(plain(keys)) == "revoked"
        assert known(keys, tmp_path, bad).problem(certified(keys)) == "revoked"
    assert known(keys, tmp_path, ca).problem(certified(keys)) == "revoked"
    assert known(keys, tmp_path, ca).problem(plain(keys)) == ""


@pytest.mark.parametrize(
    "line", ["what is this?", "ssh-ed25519", "ssh-ed25519 AAAA", "SSHKRL", "x ssh-ed25519"]
)
def test_a_list_that_cannot_be_read_revokes_every_key(keys: Path, tmp_path: Path, line: str) -> None:
    listed = (keys / "other.pub").read_text() + line
    assert known(keys, tmp_path, listed).problem(plain(keys)) == "revoked"


def test_a_revocation_list_of_ssh_keygen_counts(keys: Path, tmp_path: Path) -> None:
    for name, problem in {"host": "revoked", "other": ""}.items():
        found = known(keys, tmp_path, "")
        command = ["ssh-keygen", "-q", "-k", "-f", str(tmp_path / "revoked"), str(keys / f"{name}.pub")]
        subprocess.run(command, check=True)
        assert found.problem(plain(keys)) == problem


def test_what_revokes_a_key_is_said_with_its_own_advice(keys: Path, tmp_path: Path) -> None:
    host, ca = ((keys / f"{name}.pub").read_text() for name in ("host", "ca"))
    gone = known(keys, tmp_path, "")
    (tmp_path / "revoked").unlink()
    for found, key, what, hint in (
        (known(keys, tmp_path, marks=f"@revoked * {host}"), plain(keys), "marked @revoked", "a new host key"),
        (
            known(keys, tmp_path, marks=f"@revoked * {ca}"),
            certified(keys),
            "of an authority that is marked",
            "another authority",
        ),
        (gone, plain(keys), "which cannot be read", "make that file readable"),
    ):
        assert found.problem(key) == "revoked"
        error = refusal(found, key, "revoked")
        assert what in error.what
        assert hint in str(error.hint)
    listed = known(keys, tmp_path, host)
    assert listed.problem(plain(keys)) == "revoked"
    assert "RevokedHostKeys has" in refusal(listed, plain(keys), "revoked").what


def test_a_first_key_that_cannot_be_kept_is_no_fault_of_the_network(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "known_hosts"
    found = Known(Target(NAME, NAME, 22, "root", trust=Trust(user_files=(path,), accept_new=True)))
    with pytest.raises(UsageError, match=r"cannot be kept in .*known_hosts"):
        found.write_down(plain(keys))


def test_what_a_stranger_says_moves_no_cursor(keys: Path, tmp_path: Path) -> None:
    found, key = known(keys, tmp_path), certified(keys)
    said = "\x1b[2J\r\x9bgone"
    error: UnreachableError = explain(found.target, paramiko.SSHException(said))
    assert r"\x1b[2J\r\x9bgone" in str(error)
    assert key.certificate is not None
    kind = paramiko.Message()
    kind.add_string(said)
    proof = replace(key.certificate, authority=kind.asbytes())
    error = refusal(found, replace(key, certificate=proof), "new")
    assert r"signed by \x1b[2J\r\x9bgone" in str(error)


def test_a_host_key_that_is_shorter_than_ssh_config_wants_is_refused_although_it_is_known(
    tmp_path: Path,
) -> None:
    key = presented(paramiko.RSAKey.generate(1024))
    hosts = tmp_path / "known_hosts"
    hosts.write_text(f"{NAME} ssh-rsa {key.key.get_base64()}\n")
    for size, problem in ((1024, ""), (2048, "short")):
        trust = Trust(user_files=(hosts,), rsa_size=size)
        host = Known(Target(NAME, NAME, 22, "root", trust=trust))
        assert host.problem(key) == problem
    assert "a key of 1024 bits, and RequiredRSASize is 2048" in str(refusal(host, key, "short"))


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/program", "/bin/sleep"])
def test_a_command_that_fails_is_named_without_its_arguments(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy_lib.ssh.trust.COMMAND_TIMEOUT", 0.5)
    target = Target(NAME, NAME, 22, "root", trust=Trust(command=f"{program} 7.25"))
    with pytest.raises(UsageError, match=f"KnownHostsCommand {program}") as caught:
        Known(target)
    assert "7.25" not in str(caught.value)


def test_a_name_may_have_bytes_that_are_no_text(tmp_path: Path) -> None:
    key, name = presented(paramiko.RSAKey.generate(1024)), b"caf\xe9".decode(errors="surrogateescape")
    said = tmp_path / "said"
    for hashed in (False, True):
        trust = Trust(alias=name, user_files=(tmp_path / f"known-{hashed}",), hashed=hashed)
        target = Target(NAME, NAME, 22, "root", trust=trust)
        Known(target).write_down(key)
        assert Known(target).problem(key) == ""
    said.write_bytes((tmp_path / "known-False").read_bytes())
    assert b"caf\xe9" in said.read_bytes()
    told = Trust(alias=name, command=f"/bin/cat {said}")
    assert Known(Target(NAME, NAME, 22, "root", trust=told)).problem(key) == ""
