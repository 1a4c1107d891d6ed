"""OpenSSH is the judge: what `ssh` does in each combination, the session does."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import matrix
from .conftest import keygen, serve

TOGETHER = 4
"""Connections at once: they mostly wait."""

GREETING = 'echo "=== Welcome ==="\necho into: somebody\necho a warning >&2\neval "$SSH_ORIGINAL_COMMAND"\n'
NOISY = "printf 'no line end'\nsh -c \"$SSH_ORIGINAL_COMMAND\"\ncode=$?\necho into: after\necho after >&2\nexit $code\n"
NOLOGIN = "echo 'This account is currently not available.'\nexit 1\n"


def sign(keys: Path, key: str, made: str, *options: str) -> None:
    """A certificate of the authority, for a key, in a file of its own."""
    if made != key:
        shutil.copy(keys / f"{key}.pub", keys / f"{made}.pub")
    command = ["ssh-keygen", "-q", "-s", str(keys / "ca"), "-I", made, *options, str(keys / f"{made}.pub")]
    subprocess.run(command, check=True, capture_output=True)


def make_keys(keys: Path) -> None:
    for name in (
        "host",
        "ca",
        "id",
        "other",
        "enc",
        "signed",
        "beside",
        "open",
        "agent1",
        "agent2",
        "agent3",
    ):
        keygen(keys / name)
    for name in ("rsa", "host_rsa"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(keys / name)], check=True
        )
    allowed = ("id", "enc", "open", "rsa")
    (keys / "authorized_keys").write_text("".join((keys / f"{name}.pub").read_text() for name in allowed))
    shutil.copy(keys / "id.pub", keys / "public_only.pub")
    (keys / "open").chmod(0o644)
    for kind, options in {
        "certified": ["-h", "-n", f"127.0.0.1,{matrix.NAME}"],
        "expired": ["-h", "-n", "127.0.0.1", "-V", "20200101:20210101"],
        "early": ["-h", "-n", "127.0.0.1", "-V", "20900101:20910101"],
        "other-name": ["-h", "-n", "other.internal"],
        "any-name": ["-h"],
        "wild-name": ["-h", "-n", "127.0.0.?,*.name.internal"],
        "for-users": ["-n", "127.0.0.1"],
    }.items():
        sign(keys, "host", kind, *options)
    sign(keys, "beside", "beside", "-n", "root")
    sign(keys, "signed", "made", "-n", "root")
    (keys / "made-cert.pub").rename(keys / f"root_{matrix.NAME}.pub")
    for name, public in {"revoked": "host", "revoked_other": "other"}.items():
        subprocess.run(
            ["ssh-keygen", "-q", "-k", "-f", str(keys / name), str(keys / f"{public}.pub")], check=True
        )
    for kind, text in {"greeting": GREETING, "noisy": NOISY, "nologin": NOLOGIN}.items():
        (keys / f"{kind}.shell").write_text(text)


def fill(socket: str, keys: Path, *names: str) -> None:
    for name in names:
        command = ["ssh-add", "-q", str(keys / name)]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "SSH_AUTH_SOCK": socket})


def open_session(keys: Path, port: int) -> subprocess.Popen[bytes]:
    """A session that the operator has opened: `ssh -M`, which others may share by way of the socket `master`."""
    options = [f"UserKnownHostsFile={keys}/known_hosts", "BatchMode=yes", f"ControlPath={keys}/master"]
    command = ["ssh", "-F", "/dev/null", "-MN", "-i", str(keys / "id"), "-p", str(port)]
    made = subprocess.Popen(
        [*command, *(word for each in options for word in ("-o", each)), "root@127.0.0.1"]
    )
    deadline = time.monotonic() + 10
    while not (keys / "master").exists():
        assert made.poll() is None, "ssh opened no session"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[matrix.World]:
    keys = tmp_path_factory.mktemp("world")
    keys.chmod(0o700)
    make_keys(keys)
    started: list[subprocess.Popen[bytes]] = []
    agents: dict[str, str] = {}
    held = {
        "right": ["id"],
        "enc": ["enc"],
        "wrong": ["other"],
        "many": ["other", "agent1", "agent2", "agent3", "id"],
        "signed": ["signed"],
        "certificate": ["beside"],
        "rsa": ["rsa"],
    }
    try:
        for name in held:
            agents[name] = str(keys / f"{name}.sock")
            command = ["ssh-agent", "-D", "-a", agents[name]]
            started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        ports = {}
        for kind, options in matrix.servers(keys):
            directory = keys / f"server-{kind}"
            directory.mkdir()
            shutil.copy(keys / "authorized_keys", directory)
            server = serve(directory, *options)
            started.append(server.process)
            ports[kind] = server.port
        for name, names in held.items():
            deadline = time.monotonic() + 10
            while not Path(agents[name]).exists():
                assert time.monotonic() < deadline, "ssh-agent did not start"
                time.sleep(0.02)
            fill(agents[name], keys, *names)
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-P", "", "-N", os.urandom(8).hex(), "-f", str(keys / "enc")],
            check=True,
            capture_output=True,
        )
        (keys / "known_hosts").write_text(f"[127.0.0.1]:{ports['usual']} {(keys / 'host.pub').read_text()}")
        master = open_session(keys, ports["usual"])
        started.append(master)
        yield matrix.World(keys, ports, agents, str(keys / "master"))
    finally:
        for process in started:
            process.terminate()
            process.wait(timeout=10)


def differences(world: matrix.World, plans: list[matrix.Plan], directory: Path) -> tuple[list[str], float]:
    """Where the session does not end as `ssh` does, and the share of combinations that `ssh` gets in with."""
    jobs = []
    for number, plan in enumerate(plans):
        place = directory / str(number)
        place.mkdir()
        jobs.append((world, plan, str(place)))
    with multiprocessing.get_context("fork").Pool(TOGETHER) as pool:
        found = pool.map(matrix.compare, jobs, chunksize=1)
    inside = [name for name, judge, _, _ in found if judge.inside]
    return [
        f"{name}: {judge}, session: {own}\n{said}" for name, judge, own, said in found if judge != own
    ], len(inside) / len(found)


def test_each_combination_ends_as_it_does_with_ssh(world: matrix.World, tmp_path: Path) -> None:
    plans = matrix.plans()
    assert len(plans) >= 80
    found, inside = differences(world, plans, tmp_path)
    assert not found, "\n\n".join(found)
    assert 0.4 < inside < 0.8, "the combinations are too much alike"


@pytest.mark.full
def test_combinations_by_lot_end_as_they_do_with_ssh(world: matrix.World, tmp_path: Path) -> None:
    found, _ = differences(world, matrix.drawn(400), tmp_path)
    assert not found, "\n\n".join(found)
