"""Hosts that are treated alike are asked for once, and get what `ssh` itself says of each."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy_lib.ssh import resolve as resolving
from deploy_lib.ssh.alike import alike
from deploy_lib.ssh.resolve import Options, resolve

COMMON = "Host *\n  User deploy\n  IdentityFile ~/.ssh/fleet\n  StrictHostKeyChecking yes\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that `ssh` was asked for."""
    resolving._own()
    found: list[str] = []
    own = resolving._ask

    def ask(*arguments: str) -> str:
        found.append(arguments[-1])
        return own(*arguments)

    monkeypatch.setattr(resolving, "_ask", ask)
    monkeypatch.setattr(resolving, "_answers", {})
    return found


def blocks(count: int, extra: str = "") -> str:
    return "".join(
        f"Host n{n}\n  HostName 10.0.0.{n}\n  Port {2200 + n}\n  HostKeyAlias alias-{n}\n{extra.format(n=n)}"
        for n in range(count)
    )


def test_many_hosts_with_their_own_address_are_asked_for_once(tmp_path: Path, asked: list[str]) -> None:
    path = tmp_path / "ssh_config"
    path.write_text(blocks(9) + COMMON)
    found = [resolve(f"n{n}", path) for n in range(9)]
    assert asked == ["n0"]
    assert [(t.name, t.hostname, t.port, t.trust.alias, t.user) for t in found] == [
        (f"n{n}", f"10.0.0.{n}", 2200 + n, f"alias-{n}", "deploy") for n in range(9)
    ]
    # What is typed counts more, and is another question.
    assert [resolve(f"root@n{n}:99", path).port for n in (1, 2)] == [99, 99]
    assert asked == ["n0", "n1"]
    # So is a host that has a setting of its own, also when the file changes in the meantime.
    path.write_text(blocks(9) + "Host n3\n  Compression yes\n" + COMMON.replace("deploy", "other"))
    assert [resolve(f"n{n}", path).user for n in (3, 4, 5)] == ["other"] * 3
    assert asked == ["n0", "n1", "n3", "n4"]


@pytest.mark.parametrize(
    "extra",
    [
        "  ControlPath /run/%r@%h\n",
        "  IdentityFile ~/.ssh/{n}\n",
        "  HostName 10.0.0.{n}.%h\n",
        "  Include other\n",
        "Match host n{n}\n  User {n}\n",
        "  CanonicalizeHostname yes\n",
        "  UserKnownHostsFile ${{HOME}}/known\n",
        "Host N*\n",
        'Host "n x"\n',
        '"User" x\n',
    ],
)
def test_what_may_differ_is_asked_for_each(tmp_path: Path, asked: list[str], extra: str) -> None:
    path = tmp_path / "ssh_config"
    path.write_text(blocks(2, extra) + COMMON)
    for n in range(2):
        resolve(f"n{n}", path)
    assert {*asked} == {"n0", "n1"}


@pytest.mark.parametrize("host", ["N1", "-x", "a_b", "::1", "a b", "", "a%h", "a."])
def test_an_odd_name_is_left_to_ssh(host: str) -> None:
    assert alike(COMMON, host) is None


def test_without_a_file_of_ones_own_each_is_asked_for(asked: list[str]) -> None:
    resolve("n1")
    resolve("n2")
    assert asked[0] == "n1"
    assert "n2" in asked


PATTERNS = st.lists(
    st.sampled_from(["*", "a*", "?1", "!a1", "b1", "a1", "a2", "*.x", "!*2", "10.*"]), min_size=1, max_size=3
)
SETTINGS = st.sampled_from(
    [
        *("HostName h1.x", "hostname=10.0.0.9", "HostName  a2", "Port 22", "port = 2222", "Port 2223"),
        *(
            "HostKeyAlias k1",
            "HostKeyAlias a1",
            "User one",
            "User=two",
            "IdentityFile /k/1",
            "IdentityFile /k/2",
        ),
        *("ProxyJump b1", "ProxyJump none", "Ciphers aes128-ctr", "ConnectTimeout 3", "IdentitiesOnly yes"),
        *("UserKnownHostsFile /a /b", "StrictHostKeyChecking no", "HostName %h.x", "# Host *", ""),
    ]
)
CONFIGS = st.lists(st.tuples(PATTERNS, st.lists(SETTINGS, max_size=4)), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(config=CONFIGS, first=st.lists(SETTINGS, max_size=2))
def test_each_gets_what_ssh_says_of_it(
    tmp_path: Path, config: list[tuple[list[str], list[str]]], first: list[str]
) -> None:
    lines = [*first]
    for patterns, own in config:
        lines += [f"Host {' '.join(patterns)}", *(f"  {each}" for each in own)]
    path = tmp_path / "ssh_config"
    path.write_text("\n".join(lines) + "\n")
    resolving._answers.clear()
    for host in ("a1", "a2", "b1", "c.x"):
        if (shared := resolving._shared(["-F", str(path)], host, path)) is not None:
            own_answer = Options(resolving._ask("-F", str(path), host))
            # The name itself, which newer ones print as well, is no part of a target.
            assert shared.target(host) == own_answer.target(host)
            assert {k: v for k, v in shared._values.items() if k != "host"} == {
                k: v for k, v in own_answer._values.items() if k != "host"
            }
