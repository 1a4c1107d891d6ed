"""The host fails: its engine, its disk, its directory, its power."""

import re
from pathlib import Path

import pytest

from deploy_lib.cli.nodes import session_to
from deploy_lib.config import Environment
from deploy_lib.host.look.data import Question, ask

from .conftest import FIRST, SECOND, Run, Vault
from .faults import HOME, SERVICES, Bench, Command, again, edit, going_back, until

full = pytest.mark.full

PADDED = "sha-000000e"
"""Its newest layer takes 6 MB."""


def gone(bench: Bench, container: str) -> bool:
    """Whether a container no longer runs."""
    shown = bench.core.sh(f"docker inspect -f '{{{{.State.Running}}}}' {container}", check=False)
    return shown.strip() != "true"


def in_the_middle(bench: Bench, *arguments: str) -> Command:
    """A deployment to the second tag, when the old container has just been stopped."""
    old = bench.core.containers()["backend"]
    command = Command("deploy-core", "--tag", SECOND, *arguments)
    command.until(" switch ")
    until(lambda: gone(bench, old), "nothing was switched")
    return command


def test_the_engine_is_restarted_during_the_switch(bench: Bench) -> None:
    since = bench.count()
    command = in_the_middle(bench)
    bench.restart_engine()
    code = command.end()
    assert code in (0, 10), command.said
    assert bench.kinds(since)[-1] == ("proven" if code == 0 else "reverted")
    bench.invariants(SECOND if code == 0 else FIRST)
    again("deploy-core", "--tag", SECOND)


@full
def test_the_engine_is_restarted_during_the_pull(bench: Bench) -> None:
    bench.forget()
    since = bench.count()
    with bench.stuck("pull --quiet"):
        command = Command("deploy-core", "--tag", SECOND)
        bench.reached()
        with bench.paused("registry"):
            bench.release()
            until(lambda: bench.core.sh("pgrep -f '^/usr/bin/docker pull'; true"), "nothing is pulled")
            bench.restart_engine()
        assert command.end() == 10, command.said
    assert "what ran before still runs" in command.said
    assert bench.kinds(since) == ["aborted"]
    bench.invariants(FIRST)
    again("deploy-core", "--tag", SECOND)


@full
def test_the_host_is_rebooted_after_a_deployment(bench: Bench, deploy: Run) -> None:
    """Everything comes back by itself, secrets included."""
    before = bench.core.containers()
    bench.reboot()
    until(bench.healthy, "not everything came back", 150)
    assert bench.core.containers() == before
    bench.invariants(FIRST)
    assert deploy("--tag", FIRST).core["outcome"] == "unchanged"


@pytest.mark.parametrize("then", ["deploy-core", pytest.param("rollback", marks=full)])
def test_the_host_is_rebooted_in_the_middle_of_a_switch(bench: Bench, then: str) -> None:
    """Nothing could go back by itself: it shows as interrupted, and the next command takes it from there."""
    command = in_the_middle(bench)
    bench.reboot()
    assert command.end() == 11, command.said
    assert bench.history()[-1]["kind"] == "started"
    tag = SECOND if then == "deploy-core" else FIRST
    arguments = ("deploy-core", "--tag", SECOND) if then == "deploy-core" else ("rollback", "--node", "core")
    outcome = again(*arguments)
    assert "was interrupted" in outcome.err
    bench.invariants(tag)
    if then == "deploy-core":
        assert again(*arguments).core["outcome"] == "unchanged"


@pytest.mark.full
def test_what_compose_left_half_way_when_the_host_went_down_is_in_nobody_s_way(bench: Bench) -> None:
    """The new container, made and not started, beside the old one whose place it was to take; and that of a one-off command."""
    old = bench.core.containers()["backend"]
    name = bench.core.sh(f"docker inspect -f '{{{{.Name}}}}' {old}").strip().removeprefix("/")
    half = f"{old[:12]}_{name}"
    known = ("project=ktrdr-core", "service=backend", "container-number=1", "oneoff=False", f"replace={old}")
    labels = " ".join(f"--label com.docker.compose.{label}" for label in (*known, "config-hash=another"))
    once = "ktrdr-core-before-switch"
    bench.core.sh(
        f"image=$(docker inspect -f '{{{{.Image}}}}' {old}) && docker create {labels} --name {half} $image && "
        f"docker create {labels.replace('oneoff=False', 'oneoff=True')} --name {once} $image"
    )
    # Compose gets rid of it, too, but may want its name before it has: so it has to be gone when Compose begins.
    with bench.stuck("up -d"):
        command = Command("deploy-core", "--tag", SECOND)
        bench.reached()
        left = bench.core.sh("docker ps -a --format '{{.Names}}'")
        bench.release()
        assert command.end() == 0, command.said
    assert half not in left
    assert once not in left
    bench.invariants(SECOND)


@full
def test_the_host_goes_down_while_compose_replaces_a_container(bench: Bench, checkout: Path) -> None:
    edit(
        checkout / "compose/docker-compose.core.yml",
        "--collector.loadavg",
        "--collector.loadavg\n      - --collector.uname",
    )
    command = Command("deploy-core", "--tag", FIRST, root=checkout)
    bench.core.sh(
        "timeout 60 sh -c 'until docker ps -a --format {{.Names}} | grep -q _ktrdr-core-node-exporter; do :; done'"
    )
    bench.reboot()
    assert command.end() == 11, command.said
    again("deploy-core", "--tag", SECOND)
    bench.invariants(SECOND)


@full
def test_the_host_goes_down_in_the_middle_of_a_rotation(bench: Bench, vault: Vault) -> None:
    for field in ("db_password", "grafana_password"):
        vault.change(field)
    command = Command("rotate-secrets")
    bench.core.sh(
        "timeout 60 sh -c 'until docker ps -a --format {{.Names}} | grep -q _ktrdr-core-; do :; done'"
    )
    bench.reboot()
    assert command.end() == 11, command.said
    again("rotate-secrets")
    bench.invariants(FIRST)


@full
def test_the_host_is_rebooted_while_it_goes_back(bench: Bench, broken: None) -> None:
    with bench.stuck("up -d"):
        command = going_back(bench)
        bench.reboot()
    assert command.end() == 11, command.said
    # The release before is the one that was proven last, not the one before that.
    outcome = again("rollback", "--node", "core")
    assert outcome.core["to"] == FIRST
    bench.invariants(FIRST)


@full
def test_the_script_on_the_host_is_killed(bench: Bench) -> None:
    command = Command("deploy-core", "--tag", SECOND)
    command.until(" healthy ")
    with command.frozen():
        bench.core.sh("pkill -KILL -f '^sh /run/ktrdr-deploy-ktrdr-core[.][^/]*/switch[.]sh'")
    assert command.end() == 11, command.said
    assert "invoke rollback" in command.said
    again("rollback", "--node", "core")
    bench.invariants(FIRST)


@full
def test_a_host_whose_sh_is_bash(bench: Bench, homes: Environment) -> None:
    """As on Fedora and its kin: some of what dash and BusyBox let pass ends a script there."""
    bench.core.sh("ln -s /bin/bash /usr/local/bin/sh")
    bench.hurt.append(lambda: bench.core.sh("rm -f /usr/local/bin/sh"))
    session = session_to(homes, homes.nodes["core"])
    try:
        found = ask(session, Question(sources=("/etc", "/none")))
    finally:
        session.close()
    assert found.sources == {"/etc": "full", "/none": "missing"}
    again("deploy-core", "--tag", SECOND)
    bench.invariants(SECOND)
    again("rollback", "--node", "core")
    bench.invariants(FIRST)


@full
def test_what_a_killed_script_left_in_memory_is_swept(bench: Bench) -> None:
    """The registry's login, where another program, which goes on, has the script's process number by now."""
    left = f"/run/ktrdr-deploy.{bench.core.sh('cat /var/run/docker.pid').strip()}.0123456789"
    bench.core.sh(f"mkdir -m 700 {left} && touch {left}/config.json")
    assert again("deploy-core", "--tag", FIRST).core["outcome"] == "unchanged"
    assert bench.core.sh(f"ls -d {left} 2>/dev/null; true") == ""


@full
def test_compose_that_hangs_is_not_waited_for(bench: Bench, checkout: Path) -> None:
    edit(checkout / "deploy.toml", "switch_timeout = 300", "switch_timeout = 5")
    since = bench.count()
    with bench.stuck("up -d"):
        command = Command("deploy-core", "--tag", SECOND, root=checkout)
        bench.reached()
        command.until(" back ")
    assert command.end() == 10, command.said
    assert "did not end in time" in command.said
    assert bench.kinds(since) == ["started", "failed", "reverted"]
    bench.invariants(FIRST)
    again("deploy-core", "--tag", SECOND)


@pytest.mark.full
def test_no_room_for_an_upload(bench: Bench, checkout: Path) -> None:
    (checkout / "monitoring/grafana/dashboards/big.json").write_bytes(b"{}" + b" " * 6_000_000)
    since = bench.count()
    with bench.small(f"{HOME}/.deploy", "4m"):
        command = Command("deploy-core", "--tag", SECOND, root=checkout)
        assert command.end() == 10, command.said
        assert re.search(r"the files could not be written; their disk:[^>]* 0 +100% ", command.said)
        assert "what ran before still runs" in command.said
        # On the same disk: what did not fit has given its room back, so that there is some to say so.
        assert bench.kinds(since) == ["aborted"]
        assert bench.core.sh(f"ls -d {HOME}/.deploy/objects.new 2>/dev/null; true") == ""
        bench.invariants(FIRST)
    again("deploy-core", "--tag", SECOND, root=checkout)
    bench.invariants(SECOND)


@full
def test_no_room_for_an_image(bench: Bench, broken: None) -> None:
    bench.forget()
    since = bench.count()
    with bench.small("/var/lib/docker/tmp", "1m"):
        command = Command("deploy-core", "--tag", PADDED)
        assert command.end() == 10, command.said
        assert "no space left" in command.said
    assert bench.kinds(since) == ["aborted"]
    bench.invariants(FIRST)
    again("deploy-core", "--tag", PADDED)


@full
def test_a_directory_that_cannot_be_written(bench: Bench, deploy: Run) -> None:
    bench.core.sh(f"mount --bind {HOME} {HOME} && mount -o remount,ro,bind {HOME}")
    bench.hurt.append(lambda: bench.core.sh(f"umount -l {HOME} 2>/dev/null; true"))
    outcome = deploy("--tag", SECOND)
    assert outcome.code == 3, outcome.err
    assert f"{HOME} is not writable" in outcome.err
    bench.core.sh(f"umount -l {HOME}")
    bench.invariants(FIRST)
    assert set(bench.core.containers()) == SERVICES
    again("deploy-core", "--tag", SECOND)


@full
def test_a_torn_line_in_the_history_is_passed_over(bench: Bench) -> None:
    """As a crash in the middle of an append leaves it."""
    bench.core.sh(f'printf \'%s\' \'{{"kind":"proven","at":"20\' >> {HOME}/.deploy/history.jsonl')
    bench.invariants(FIRST)
    again("deploy-core", "--tag", SECOND)
    bench.invariants(SECOND)
