"""The core stack, deployed for real: every line of the promise that one host can show."""

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy_lib.config import Environment
from deploy_lib.host.change.lock import Lock, me
from deploy_lib.release.image import Image
from deploy_lib.ssh.connection import connect_to
from deploy_lib.ssh.session import Session
from lab.layout import Lab

from .changes import await_seen, restart_engine
from .conftest import FIRST, ROOT, SECOND, Host, Run, command, environment

SERVICES = {"db", "backend", "gateway", "prometheus", "node-exporter", "grafana", "jaeger", "nfs-server"}
Get = Callable[[int, str], Any]


def channels(log: str) -> tuple[int, int, int]:
    """Accepted connections, command sessions and forwards in a piece of sshd's log."""
    return (
        log.count("Accepted publickey"),
        log.count("new session [server-session]"),
        log.count("new direct-tcpip [direct-tcpip]"),
    )


def test_every_service_is_healthy_and_the_api_has_its_database(deploy: Run, get: Get) -> None:
    outcome = deploy("--tag", FIRST)
    services = outcome.core["services"]
    assert set(services) == SERVICES
    assert {s["health"] for s in services.values()} == {"healthy"}
    health = get(8000, "/api/v1/health")
    assert (health["status"], health["database"], health["version"]) == ("ok", "ok", FIRST)
    targets = get(9090, "/api/v1/targets")["data"]["activeTargets"]
    assert {t["labels"]["job"]: t["health"] for t in targets}["ktrdr-backend"] == "up"


def test_a_second_run_changes_nothing(deploy: Run, core: Host) -> None:
    before, log = core.state(), core.sshd_log()
    outcome = deploy("--tag", FIRST)
    assert outcome.code == 0, outcome.err
    assert outcome.core["outcome"] == "unchanged"
    # One look is enough: not even the lock was taken.
    assert core.state() == before
    connections, sessions, forwards = channels(core.sshd_log().removeprefix(log))
    assert (connections, forwards) == (1, 3)
    assert sessions <= 3  # those that preflight opens ahead, to find out whether sshd allows as many


def test_fab_and_invoke_do_the_same(deploy: Run, core: Host) -> None:
    before = core.containers()
    outcome = command("fab", "-H", "ktrdr-core.internal", "deploy-core", "--tag", FIRST, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.core["outcome"] == "unchanged"
    assert outcome.document["environment"] == "lab"
    assert core.containers() == before


@pytest.mark.usefixtures("back_to_first")
def test_another_tag_replaces_one_container_over_one_connection(deploy: Run, core: Host, get: Get) -> None:
    before, log = core.containers(), core.sshd_log()
    outcome = deploy("--tag", SECOND)
    assert outcome.code == 0, outcome.err
    assert (outcome.core["outcome"], outcome.core["from"], outcome.core["to"]) == ("deployed", FIRST, SECOND)
    after = core.containers()
    assert {name for name in SERVICES if before[name] != after[name]} == {"backend"}
    assert get(8000, "/api/v1/health")["version"] == SECOND
    image = outcome.core["services"]["backend"]["image"]
    assert re.fullmatch(rf"\S+/ktrdr-backend:{SECOND}@sha256:[0-9a-f]{{64}}", image)
    connections, sessions, forwards = channels(core.sshd_log().removeprefix(log))
    assert (connections, forwards) == (1, 3)
    assert sessions - 1 <= 6  # besides the lock's


@pytest.mark.full
@pytest.mark.usefixtures("back_to_first")
def test_data_outlives_another_tag_and_the_loss_of_its_container(deploy: Run, core: Host) -> None:
    core.sql("CREATE TABLE IF NOT EXISTS kept (word text); INSERT INTO kept VALUES ('still here')")
    done = deploy("--tag", SECOND)
    assert done.code == 0, done.err
    assert "still here" in core.sql("SELECT word FROM kept")
    core.sh("docker rm -f ktrdr-core-db-1")
    outcome = deploy("--tag", SECOND)
    assert outcome.code == 0, outcome.err
    assert outcome.core["outcome"] == "deployed"
    assert "still here" in core.sql("SELECT word FROM kept")
    core.sql("DROP TABLE kept")


@pytest.mark.usefixtures("back_to_first")
def test_one_service_alone(deploy: Run, core: Host, checkout: Path) -> None:
    rules = checkout / "monitoring/prometheus/rules/ktrdr.yml"
    rules.write_text(rules.read_text() + "# changed\n")
    before = core.containers()
    outcome = deploy("--service", "backend", "--tag", SECOND, root=checkout)
    assert outcome.code == 0, outcome.err
    assert {name for name in SERVICES if before[name] != core.containers()[name]} == {"backend"}
    assert "# changed" not in core.sh("cat /opt/ktrdr-core/monitoring/prometheus/rules/ktrdr.yml")


@pytest.mark.usefixtures("back_to_first")
def test_changed_configuration_is_reloaded_and_nothing_is_recreated(
    deploy: Run, core: Host, checkout: Path, get: Get
) -> None:
    path = checkout / "monitoring/prometheus/rules/ktrdr.yml"
    path.write_text(path.read_text().replace("TargetDown", "TargetGone"))
    (checkout / "monitoring/prometheus/rules/more.yml").write_text("groups: []\n")
    before = core.containers()
    outcome = deploy("--tag", FIRST, root=checkout)
    assert outcome.code == 0, outcome.err
    assert core.containers() == before
    deadline = time.monotonic() + 20
    while "TargetGone" not in json.dumps(get(9090, "/api/v1/rules")):
        assert time.monotonic() < deadline, "Prometheus did not reload"
        time.sleep(0.2)
    # A reload must not count as a stop by hand: the container still comes back with its Engine.
    restart_engine(core.sh)
    runs = "docker inspect -f '{{.State.Status}}' ktrdr-core-prometheus-1 | grep -x running"
    await_seen(core.sh, runs, "Prometheus did not come back")
    assert deploy("--tag", FIRST).code == 0
    assert "more.yml" not in core.sh("ls /opt/ktrdr-core/monitoring/prometheus/rules")


def test_a_file_edited_on_the_host_is_put_right(deploy: Run, core: Host) -> None:
    core.sh("echo '# by hand' >> /opt/ktrdr-core/monitoring/prometheus/prometheus.yml")
    assert deploy("--tag", FIRST).core["outcome"] == "deployed"
    assert "by hand" not in core.sh("cat /opt/ktrdr-core/monitoring/prometheus/prometheus.yml")
    assert deploy("--tag", FIRST).core["outcome"] == "unchanged"


def test_a_dry_run_changes_nothing_and_says_what_would(deploy: Run, core: Host) -> None:
    before = core.state()
    outcome = deploy("--tag", SECOND, "--dry-run")
    assert outcome.code == 0, outcome.err
    assert core.state() == before
    plan = outcome.core["plan"]["services"]
    assert {name for name, change in plan.items() if change["action"] != "keep"} == {"backend"}


def test_a_dry_run_says_how_much_would_be_pulled_and_leaves_no_login(deploy: Run, core: Host) -> None:
    image = deploy("--tag", SECOND, "--dry-run").core["plan"]["services"]["backend"]["image"]
    pinned = Image.parse(image)
    core.sh(f"docker rmi -f {pinned.listed} {pinned.keep_tag('ktrdr-core.')}", check=False)
    before = core.state()
    plan = deploy("--tag", SECOND, "--dry-run").core["plan"]
    assert plan["pulls"] == [image]
    assert 20_000_000 < plan["sizes"][image] < 500_000_000
    assert core.state() == before
    assert core.sh("ls /run /dev/shm | grep 'ktrdr-deploy[.]'; cat /root/.docker/config.json; true") == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--service", "nope"], "no service 'nope'"),
        (["--tag", "sha-xyz"], "'sha-xyz' is neither an image tag nor a commit"),
        (["--tag", "x; touch /tmp/pwned"], "is not a name"),
        (["--tag", "no-such-branch"], "neither an image tag nor a commit"),
        (["--node", "D"], "no node 'D'"),
        (["--wait-lock", "soon"], "--wait-lock"),
    ],
)
def test_a_bad_argument_is_one_clear_line_and_touches_nothing(
    deploy: Run, core: Host, arguments: list[str], expected: str
) -> None:
    log = core.sshd_log()
    outcome = deploy(*arguments)
    assert outcome.code == 2
    assert outcome.document["exit"] == 2
    assert expected in outcome.err
    assert core.sshd_log() == log


def test_an_unknown_environment_or_host_touches_nothing(lab: Lab, core: Host) -> None:
    log = core.sshd_log()
    assert command("invoke", "deploy-core", DEPLOY_ENV="moon").code == 2
    for arguments in (["-H", "nowhere.internal"], []):
        outcome = command("fab", *arguments, "deploy-core")
        assert outcome.code == 2
        assert outcome.err.startswith("error: ")
    assert core.sshd_log() == log


def test_a_tag_without_an_image_is_refused_before_anything_is_changed(deploy: Run, core: Host) -> None:
    before = core.state()
    outcome = deploy("--tag", "sha-fffffff")
    assert outcome.code == 3
    assert "ktrdr-backend:sha-fffffff" in outcome.err
    assert core.state() == before


def test_a_changed_host_key_stops_before_anything_is_sent(deploy: Run, lab: Lab, core: Host) -> None:
    right = lab.known_hosts.read_text()
    other = (lab.directory / "hosts" / "B" / "host_key.pub").read_text().split()
    log = core.sshd_log()
    try:
        lab.known_hosts.write_text(f"ktrdr-core.internal {other[0]} {other[1]}\n")
        outcome = deploy("--tag", FIRST)
        lab.known_hosts.write_text("")
        unknown = deploy("--tag", FIRST)
    finally:
        lab.known_hosts.write_text(right)
    assert outcome.code == unknown.code == 3
    assert len(set(re.findall(r"SHA256:[\w+/]{43}", outcome.err))) == 2
    assert "ktrdr-core.internal has changed" in outcome.err
    assert "ssh-keygen -R" in outcome.err
    assert "is not known" in unknown.err
    assert "Accepted publickey" not in core.sshd_log().removeprefix(log)


def test_a_second_deployment_is_told_who_holds_the_lock(deploy: Run, homes: Environment, core: Host) -> None:
    node = homes.nodes["core"]
    session = Session("core", connect_to(node.host, homes.ssh_config))
    before = core.containers()
    with Lock(session, node.directory, me("a test")) as lock:
        lock.take()
        outcome = deploy("--tag", SECOND)
        assert outcome.code == 4
        assert "for a test" in outcome.err
        waited = threading.Timer(2, lock.release)
        waited.start()
        assert deploy("--tag", FIRST, "--wait-lock", "30").code == 0
        waited.join()
    session.close()
    assert core.containers() == before


def test_the_lock_is_free_as_soon_as_its_session_is_gone(deploy: Run, homes: Environment) -> None:
    node = homes.nodes["core"]
    session = Session("core", connect_to(node.host, homes.ssh_config))
    Lock(session, node.directory, me("a test")).take()
    session.connection.transport.sock.close()  # as when a laptop's lid is shut
    assert deploy("--tag", FIRST, "--wait-lock", "15").code == 0


@pytest.mark.usefixtures("back_to_first")
def test_a_switch_that_was_left_to_itself_is_waited_for(deploy: Run, core: Host) -> None:
    core.sh(
        "touch /tmp/hold; setsid flock /opt/ktrdr-core/.deploy/switch.lock "
        "sh -c 'while [ -e /tmp/hold ]; do sleep 0.1; done' >/dev/null 2>&1 &"
    )
    await_seen(core.sh, "! flock -n /opt/ktrdr-core/.deploy/switch.lock true")
    process = subprocess.Popen(
        ["invoke", "deploy-core", "--tag", SECOND],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        assert any("waiting for a switch" in line for line in process.stderr)
        assert process.poll() is None
    finally:
        core.sh("rm /tmp/hold")
    process.stderr.read()
    assert process.wait(60) == 0


@pytest.mark.usefixtures("back_to_first")
def test_ctrl_c_changes_nothing_or_takes_back_what_was_switched(
    stack: None, deploy: Run, core: Host, get: Get
) -> None:
    def interrupt(sign: str) -> tuple[int, str]:
        process = subprocess.Popen(
            ["invoke", "deploy-core", "--tag", SECOND],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # Who runs the tests in the background has them ignore Ctrl-C, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if sign in line:
                process.send_signal(signal.SIGINT)
                break
        said += process.stderr.read()
        return process.wait(timeout=60), said

    before = core.containers()
    code, said = interrupt("environment lab")
    assert code == 130, said
    assert core.containers() == before
    code, said = interrupt(" switch ")
    assert code == 10, said
    assert "the host is back on sha-0000001" in said
    assert "Traceback" not in said
    assert get(8000, "/api/v1/health")["version"] == FIRST
    assert deploy("--tag", FIRST).core["outcome"] == "unchanged"
