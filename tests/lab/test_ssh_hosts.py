"""Hosts as they are: what sshd and login shells are set to, and a deployment that works or stops before anything is changed."""

from collections.abc import Callable, Iterator

import pytest

from .conftest import FIRST, SECOND, Host, Run

Set = Callable[..., None]

DROP_IN = "/etc/ssh/sshd_config.d/test.conf"


@pytest.fixture
def set_sshd(core: Host) -> Iterator[Set]:
    """Sets what sshd does with new connections."""

    def make(*lines: str) -> None:
        core.sh(f"printf '%s\\n' {' '.join(repr(line) for line in lines)} > {DROP_IN}")
        core.sh("grep -q '^Include /etc/ssh/sshd_config.d' /etc/ssh/sshd_config && sshd -t")
        core.sh("pkill -HUP -o -x sshd")

    yield make
    core.sh(f"rm -f {DROP_IN}; pkill -HUP -o -x sshd")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("MaxSessions 2", "MaxSessions"),
        ("AllowTcpForwarding no", "AllowTcpForwarding"),
        ("ForceCommand echo no", "ForceCommand"),
    ],
)
def test_a_setting_that_a_deployment_cannot_live_with_is_named_before_anything_is_changed(
    core: Host, deploy: Run, set_sshd: Set, line: str, named: str
) -> None:
    before = core.state()
    set_sshd(line)
    outcome = deploy("--tag", SECOND)
    assert outcome.code == 3
    assert named in outcome.err
    assert core.state() == before


def test_a_talkative_login_shell_and_an_sshd_that_allows_little_are_lived_with(
    core: Host, deploy: Run, set_sshd: Set
) -> None:
    set_sshd(
        "MaxSessions 3", "PermitTTY no", "Banner /etc/hostname", "AllowAgentForwarding no", "X11Forwarding no"
    )
    core.sh(
        "cp /root/.bashrc /root/.bashrc.kept; { echo 'echo \"=== Welcome ===\"; echo {}; echo oh >&2'; cat /root/.bashrc.kept; } > /root/.bashrc"
    )
    try:
        for tag in (SECOND, FIRST):
            outcome = deploy("--tag", tag)
            assert (outcome.code, outcome.core["to"]) == (0, tag), outcome.err
    finally:
        core.sh("mv /root/.bashrc.kept /root/.bashrc")
