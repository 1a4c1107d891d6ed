import json
import os
import socket
import subprocess
import time
from pathlib import Path, PurePosixPath

import pytest
from msgspec.structs import asdict

from deploy_lib import shell
from deploy_lib.answers import Parts
from deploy_lib.compose.port import Port
from deploy_lib.compose.publisher import Publisher
from deploy_lib.host.change.lock import lock_script, me
from deploy_lib.host.look import machine
from deploy_lib.host.look.machine import Machine

PARTS = {
    "clock": "1795519218.25\n",
    "space": (
        "directory /dev/vda 264212084 29475276 76915636 28% /opt\nroot /srv/docker\n"
        "docker server:/a b 1000 900 100 90% /srv/docker\n"
    ),
    "ram": "MemTotal:       24684096 kB\nMemAvailable:   2048 kB\n",
    "listening": (
        "tcp\n   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000\n"
        "   1: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0\n"
        "tcp6\n   2: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A 0\n"
        "udp\n  422: 3500007F:0035 00000000:0000 07 00000000:00000000\n"
        "udp6\n"
        "addresses\n           |-- 127.0.0.0\n              /8 host LOCAL\n--\n"
        "  |-- 172.17.0.1\n     /32 host LOCAL\n"
        "00000000000000000000000000000001 01 80 10 80       lo\n"
    ),
    "published": '{"id":"c1","started":"1970-01-01T00:01:40.5Z","name":"/web-1","project":"p","service":"web","directory":"/srv/p","image":"h/web:1","network":"p_default","ports":{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8000"},{"HostIp":"::","HostPort":"8000"}],"9/udp":null}}\n{"id":"c2","started":"0001-01-01T00:00:00Z","name":"/x","project":"","service":"","directory":"","image":"x","network":"host","ports":{},"volumes":["","rows"]}\n',
    "storage": "mounted\nwritable\n",
    "locked": '{"who":"a"}\n',
}


def test_the_answers_become_a_machine() -> None:
    found = machine.read_machine(Parts(PARTS))
    assert (found.now, found.docker_root, found.memory) == (1795519218.25, "/srv/docker", 2048 * 1024)
    assert found.free == {"directory": 76915636 * 1024, "docker": 100 * 1024}
    assert found.listening == {
        *(Port(8000, "tcp", "0.0.0.0"), Port(22, "tcp", "::")),
        *(Port(80, "tcp", "127.0.0.1"), Port(53, "udp", "127.0.0.53")),
    }
    assert found.addresses == {"127.0.0.0", "172.17.0.1", "::1"}
    web = frozenset({Port(8000, "tcp", "0.0.0.0"), Port(8000, "tcp", "::")})
    assert found.publishers == (
        Publisher(
            "web-1", "p", web, service="web", directory="/srv/p", image="h/web:1", id="c1", started=100.5
        ),
        Publisher("x", "", frozenset(), host_network=True, image="x", volumes=frozenset({"rows"}), id="c2"),
    )
    assert (found.storage, found.locked) == ({"mounted", "writable"}, '{"who":"a"}')


@pytest.mark.parametrize("parts", [{}, dict.fromkeys(PARTS, "odd\n=")])
def test_what_is_missing_or_odd_is_unknown(parts: dict[str, str]) -> None:
    found = machine.read_machine(Parts(parts))
    assert (found.now, found.free, found.memory, found.listening) == (0, {}, 0, frozenset())
    assert machine.read_machine(Parts({})) == Machine()


def ask(directory: Path, storage: str | None) -> Machine:
    script = shell.THERE + machine.functions(PurePosixPath(directory), storage)
    asked = [name for name in machine.PARTS if name != "published"]
    script += "".join(f"echo '== {name}'; {name} 2>/dev/null\n" for name in asked)
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    return machine.read_machine(Parts(dict(part.split("\n", 1) for part in said.split("== ")[1:])))  # type: ignore[misc]


def test_this_machine_answers(tmp_path: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        found = ask(tmp_path / "not" / "yet", "/proc")
        assert Port(server.getsockname()[1], "tcp", "127.0.0.1") in found.listening
    assert abs(found.now - time.time()) < 60
    assert found.free["directory"] > 0
    assert found.memory > 0
    assert found.locked == ""
    assert "mounted" in found.storage


@pytest.mark.parametrize(("make", "expected"), [(True, {"writable"}), (False, set())])
def test_a_directory_that_is_not_mounted_is_not_shared_storage(
    tmp_path: Path, make: bool, expected: set[str]
) -> None:
    storage = tmp_path / "shared"
    if make:
        storage.mkdir()
    assert ask(tmp_path, str(storage)).storage == expected


def test_a_lock_is_seen_without_being_touched(tmp_path: Path) -> None:
    directory, owner = PurePosixPath(tmp_path), me("a test")
    assert ask(tmp_path, None).locked == ""
    with subprocess.Popen(
        ["sh", "-c", lock_script(directory, owner, 0, 5)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "locked\n"
        assert json.loads(ask(tmp_path, None).locked) == asdict(owner)
        holder.kill()
        holder.stdin.close()
    # What it has said of itself is still there; a process that has come by its number holds nothing.
    note = tmp_path / ".deploy/lock.owner"
    assert note.read_text().splitlines()[1] == str(holder.pid)
    assert ask(tmp_path, None).locked == ""
    note.write_text(f"somebody\n{os.getpid()}\n")
    assert ask(tmp_path, None).locked == ""


def test_what_a_host_swaps_to_is_known() -> None:
    lines = "/dev/zram0 partition 1024 0 100\n/swapfile file 2048 0 -2\n"
    assert machine.read_machine(Parts({"swap": lines})).swap == ("/dev/zram0", "/swapfile")
    assert machine.read_machine(Parts({"swap": ""})).swap == ()
