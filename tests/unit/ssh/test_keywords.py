"""Each keyword of ssh_config counts here, or is known not to."""

from __future__ import annotations

import re
import subprocess

import pytest

from deploy_lib.ssh.keywords import DONE, NOT_DONE, NOTHING_LOST, VERSION, not_done

MORE = (
    "BindAddress=127.0.0.1", "BindInterface=lo", "CertificateFile=/k", "ControlPath=/c", "HostKeyAlias=a", "IdentityAgent=/a",
    "KnownHostsCommand=/bin/true", "LocalCommand=true", "PKCS11Provider=/p", "PreferredAuthentications=publickey",
    "ProxyJump=jump", "RemoteCommand=true", "RevokedHostKeys=/r", "SendEnv=LANG", "SetEnv=A=b", "LocalForward=1 a:2",
    "RemoteForward=1 a:2", "DynamicForward=1", "IgnoreUnknown=X", "HostbasedAuthentication=yes",
)  # fmt: skip
"""`ssh -G` prints these only where they are set."""


def printed(*options: str) -> set[str]:
    words = [word for each in options for word in ("-o", each)]
    command = ["ssh", "-G", "-F", "/dev/null", *words, "localhost"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {line.split()[0].lower() for line in done.stdout.splitlines()}


def test_each_keyword_of_ssh_is_known() -> None:
    banner = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", banner)
    assert found, banner
    keywords = printed(*MORE) | printed("ProxyCommand=nc %h %p")
    assert len(keywords) > 80
    # A newer one may have more, which preflight names.
    newer = (int(found[1]), int(found[2])) > VERSION
    assert newer or keywords <= DONE | NOTHING_LOST | set(NOT_DONE)


def test_no_keyword_is_of_two_kinds() -> None:
    assert not (DONE & NOTHING_LOST | DONE & set(NOT_DONE) | NOTHING_LOST & set(NOT_DONE))


@pytest.mark.parametrize(
    ("keyword", "value", "named"),
    [
        ("checkhostip", "yes", ("CheckHostIP",)),
        ("checkhostip", "no", ()),
        ("setenv", "A=b", ()),
        ("fromthefuture", "yes", ("fromthefuture",)),
        ("port", "2222", ()),
        ("addkeystoagent", "yes", ()),
    ],
)
def test_what_is_not_done_is_named_where_it_is_set(keyword: str, value: str, named: tuple[str, ...]) -> None:
    own = {"checkhostip": ["no"], "port": ["22"]}
    assert not_done({**own, keyword: [value]}, own) == named
