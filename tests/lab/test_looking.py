"""The commands that look: each check broken on purpose, drift of every kind, and logs."""

import json
import signal
import subprocess
import time

import pytest

from lab.layout import Lab

from .conftest import ROOT, Host, command, environment


@pytest.mark.usefixtures("stack")
def test_logs_of_several_nodes_are_prefixed_and_in_the_order_of_their_time(core: Host) -> None:
    outcome = command("invoke", "logs", "--tail", "5")
    assert outcome.code == 0, outcome.err
    assert {line.split("|")[0].strip() for line in outcome.out.splitlines()} >= {"core/db", "core/backend"}
    data = command("fab", "-H", "ktrdr-core.internal", "logs", "--service", "db", "--tail", "3", "--json")
    lines = data.core["lines"]
    assert [line["text"] for line in lines] == core.sh(
        "docker logs --tail 3 ktrdr-core-db-1 2>&1"
    ).splitlines()
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)


@pytest.mark.usefixtures("stack")
def test_logs_mask_what_this_machine_knows(core: Host, lab: Lab) -> None:
    password = json.loads(lab.secrets.read_text())["db_password"]
    # As an application that says too much.
    core.sh(f"docker exec ktrdr-core-backend-1 sh -c 'echo word {password} end > /proc/1/fd/1'")
    outcome = command("invoke", "logs", "--node", "core", "--service", "backend", "--tail", "20")
    assert "word *** end" in outcome.out
    assert password not in outcome.out + outcome.err
    for found in (
        command("invoke", "logs", "--service", "nope"),
        command("invoke", "logs", "--follow", "--json"),
    ):
        assert found.code == 2


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_following_ends_on_the_host_too(core: Host, sign: signal.Signals) -> None:
    def running() -> str:
        return core.sh("pgrep -af '^docker logs|^head -c 1$'; true")

    assert running() == ""
    process = subprocess.Popen(
        ["invoke", "logs", "--follow", "--node", "core", "--tail", "1"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    deadline = time.monotonic() + 20
    while running().count("docker logs") < 6:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(sign)
    _, said = process.communicate(timeout=10)
    assert process.returncode == (130 if sign is signal.SIGINT else -sign)
    assert "error" not in said
    while running():
        assert time.monotonic() < deadline, running()
        time.sleep(0.1)


@pytest.mark.usefixtures("stack")
def test_a_reader_that_has_seen_enough_ends_it_without_a_word() -> None:
    shell = "invoke logs --node core --tail 4000 2>&1 >&3 | cat >&2"
    done = subprocess.run(
        ["bash", "-c", f"({shell}) 3>&1 | head -n 1; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "Broken pipe" not in done.stderr
