"""The same verdicts as the `ssh` program."""

import re
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


# --- the remedy that a message names works ------------------------------------------------------------------


def remedy(sshd: Sshd) -> str:
    """The shell command that the refusal names."""
    with pytest.raises(UnreachableError) as caught:
        sshd.session().open()
    assert caught.value.hint is not None
    found = re.search(r"(?:add it|replace the key): (.*)\Z", caught.value.hint)
    assert found, caught.value.hint
    return found[1]


def carried_out(sshd: Sshd) -> None:
    subprocess.run(["sh", "-ec", remedy(sshd)], check=True, capture_output=True, timeout=20)
    assert accepted(sshd)
    assert ssh_accepts(sshd)


ALIAS = "HostKeyAlias real-name.internal"


@pytest.mark.parametrize("options", [[], [ALIAS], [f"{ALIAS}", "StrictHostKeyChecking accept-new"]])
def test_a_changed_key_is_replaced_by_what_the_message_says(sshd: Sshd, options: list[str]) -> None:
    sshd.configure(*options)
    name = "real-name.internal" if options else f"[127.0.0.1]:{sshd.port}"
    good = f"example.org {sshd.public_key('other')}"
    sshd.trust(f"{name} {sshd.public_key('other')}\n{good}")
    carried_out(sshd)
    assert good in sshd.known_hosts.read_text()


def test_a_changed_key_under_a_hashed_name_is_replaced_too(sshd: Sshd) -> None:
    sshd.trust(f"[127.0.0.1]:{sshd.port} {sshd.public_key('other')}")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(sshd.known_hosts)], check=True, capture_output=True)
    carried_out(sshd)


def test_a_changed_key_in_the_second_file_is_replaced_there(sshd: Sshd) -> None:
    second = sshd.directory / "second_known_hosts"
    second.write_text(f"[127.0.0.1]:{sshd.port} {sshd.public_key('other')}\n")
    sshd.known_hosts.write_text("")
    text = sshd.ssh_config.read_text()
    sshd.ssh_config.write_text(text.replace(str(sshd.known_hosts), f"{sshd.known_hosts} {second}"))
    carried_out(sshd)
    assert sshd.public_key("other") not in second.read_text()


@pytest.mark.parametrize("options", [[], [ALIAS]])
@pytest.mark.parametrize("before", ["", "example.org ssh-ed25519 AAAA", None])
def test_an_unknown_key_is_added_by_what_the_message_says(
    sshd: Sshd, options: list[str], before: str | None
) -> None:
    sshd.configure(*options)
    if before is None:
        sshd.known_hosts.unlink()
    else:
        sshd.known_hosts.write_text(before)  # whose last line has no end
    carried_out(sshd)
    assert sshd.known_hosts.read_text().startswith(before or "")


def test_a_first_known_hosts_file_gets_its_folder(sshd: Sshd) -> None:
    text = sshd.ssh_config.read_text()
    path = sshd.directory / "new_folder" / "known_hosts"
    sshd.ssh_config.write_text(text.replace(str(sshd.known_hosts), str(path)))
    carried_out(sshd)


def test_a_key_of_the_same_name_on_port_22_is_no_changed_key(sshd: Sshd) -> None:
    sshd.trust(f"127.0.0.1 {sshd.public_key('other')}")
    with pytest.raises(UnreachableError, match="is not known") as caught:
        sshd.session().open()
    assert "has changed" not in str(caught.value)
    carried_out(sshd)
    assert f"127.0.0.1 {sshd.public_key('other')}" in sshd.known_hosts.read_text()


def test_a_file_that_keeps_nothing_is_no_remedy(sshd: Sshd) -> None:
    text = sshd.ssh_config.read_text()
    sshd.ssh_config.write_text(text.replace(str(sshd.known_hosts), "/dev/null"))
    assert "set UserKnownHostsFile" in remedy(sshd)


@pytest.mark.parametrize("known", ["other", None])
def test_a_jump_hosts_key_is_put_right_and_the_targets_good_key_stays(sshd: Sshd, known: str | None) -> None:
    jumps = sshd.directory / "known_hosts_of_jumps"
    jumps.write_text(f"bastion {sshd.public_key(known)}\n" if known else "")
    sshd.configure(
        "ProxyJump jump",
        "Host jump",
        "HostName 127.0.0.1",
        f"Port {sshd.port}",
        "User root",
        f"IdentityFile {sshd.directory}/id",
        "IdentitiesOnly yes",
        "HostKeyAlias bastion",
        f"UserKnownHostsFile {jumps}",
        "GlobalKnownHostsFile /dev/null",
    )
    before = sshd.known_hosts.read_text()
    with pytest.raises(UnreachableError, match=f"the host key of jump .the jump host of {NAME}."):
        sshd.session().open()
    carried_out(sshd)
    assert sshd.known_hosts.read_text() == before


def test_a_revoked_key_is_not_to_be_added(sshd: Sshd) -> None:
    sshd.trust(f"@revoked * {sshd.public_key('host')}")
    with pytest.raises(UnreachableError, match="marked @revoked") as caught:
        sshd.session().open()
    assert f"the mark is in {sshd.known_hosts}" in str(caught.value)
