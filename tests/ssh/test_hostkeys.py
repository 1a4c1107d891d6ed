"""The same verdicts as the `ssh` program."""

import subprocess

import pytest

from deploy_lib.errors import UnreachableError

from .conftest import NAME, Sshd


def lines(sshd: Sshd) -> dict[str, str]:
    key, other, port = sshd.public_key("host"), sshd.public_key("other"), sshd.port
    return {
        "plain": f"[127.0.0.1]:{port} {key}",
        "bare host on another port": f"127.0.0.1 {key}",
        "wildcard": f"[127.0.0.*]:* {key}",
        "negated": f"[127.0.0.*]:*,![127.0.0.1]:{port} {key}",
        "changed": f"[127.0.0.1]:{port} {other}",
        "changed, with the bare host right": f"[127.0.0.1]:{port} {other}\n127.0.0.1 {key}",
        "two keys": f"[127.0.0.1]:{port} {other}\n[127.0.0.1]:{port} {key}",
        "revoked": f"@revoked * {key}\n[127.0.0.1]:{port} {key}",
        "certificate authority": f"@cert-authority * {other}\n[127.0.0.1]:{port} {key}",
        "broken line": f"[127.0.0.1]:{port} ssh-ed25519 !!!\n[127.0.0.1]:{port} {key}",
        "another host": f"example.org {key}",
    }


CASES = [
    "plain",
    "bare host on another port",
    "wildcard",
    "negated",
    "changed",
    "changed, with the bare host right",
    "two keys",
    "revoked",
    "certificate authority",
    "broken line",
    "another host",
    "hashed",
]


def accepted(sshd: Sshd) -> bool:
    try:
        session = sshd.session()
        session.open()
    except UnreachableError:
        return False
    session.close()
    return True


def ssh_accepts(sshd: Sshd) -> bool:
    command = ["ssh", "-F", str(sshd.ssh_config), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    return subprocess.run([*command, NAME, "true"], capture_output=True, timeout=20).returncode == 0


@pytest.mark.parametrize("case", CASES)
def test_verdict_is_that_of_ssh(sshd: Sshd, case: str) -> None:
    if case == "hashed":
        sshd.trust()
        subprocess.run(
            ["ssh-keygen", "-q", "-H", "-f", str(sshd.known_hosts)], check=True, capture_output=True
        )
        assert "127.0.0.1" not in sshd.known_hosts.read_text()
    else:
        sshd.trust(lines(sshd)[case])
    assert accepted(sshd) == ssh_accepts(sshd)


def test_an_alias_replaces_the_name(sshd: Sshd) -> None:
    sshd.configure("HostKeyAlias real-name.internal")
    assert not accepted(sshd)
    sshd.trust(f"real-name.internal {sshd.public_key('host')}")
    assert accepted(sshd)
    assert ssh_accepts(sshd)


def test_accept_new_writes_a_first_key_down_and_still_refuses_a_changed_one(sshd: Sshd) -> None:
    sshd.configure("StrictHostKeyChecking accept-new")
    sshd.known_hosts.unlink()
    assert accepted(sshd)
    assert sshd.public_key("host") in sshd.known_hosts.read_text()
    sshd.trust(f"[127.0.0.1]:{sshd.port} {sshd.public_key('other')}")
    assert not accepted(sshd)
