"""The fleet: core and two worker hosts, deployed together, scaled, broken and cut off."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import hosts
from lab.layout import Lab
from lab.settings import RELEASE
from lab.up import up

from .beside import in_turn
from .conftest import (
    CHECKOUT,
    FIRST,
    HOSTS,
    NODES,
    ROOT,
    SECOND,
    Outcome,
    Vault,
    command,
    environment,
    rotate,
)

PORTS = {
    "backtest-worker-1": 5003,
    "backtest-worker-2": 5004,
    "backtest-worker-3": 5007,
    "training-worker-1": 5005,
    "training-worker-2": 5006,
    "training-worker-3": 5008,
}
ONE_EACH = ("--replicas-backtest", "1", "--replicas-training", "1")
AGREE_SECONDS = 30
"""Prometheus and the backend know of a scaling after at most so long."""


def until(true: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, what
        time.sleep(0.3)
    return found


@dataclass(frozen=True)
class Fleet:
    """The lab's three hosts, looked at from outside."""

    lab: Lab

    def all(self, *arguments: str, root: Path = ROOT) -> Outcome:
        return command("invoke", "deploy-all", "--json", *arguments, root=root)

    def workers(self, node: str, *arguments: str, root: Path = ROOT) -> Outcome:
        return command("invoke", "deploy-workers", "--node", node, "--json", *arguments, root=root)

    def ask(self, port: int, path: str, data: Any = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(
            self.lab.url("core", port) + path, data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def registered(self) -> set[str]:
        """Endpoints of the workers that the backend has, and could use."""
        rows = self.ask(8000, "/api/v1/workers")
        return {row["endpoint_url"] for row in rows if row["status"] in ("available", "busy")}

    def targets(self) -> dict[str, str]:
        """Health by address of the workers that Prometheus scrapes."""
        found = self.ask(9090, "/api/v1/targets?state=active")["data"]["activeTargets"]
        return {t["labels"]["instance"]: t["health"] for t in found if t["labels"]["job"] == "ktrdr-workers"}

    def containers(self, node: str) -> dict[str, str]:
        """Container ids of the node's workers, by service."""
        return dict(self._ps(node, ".ID"))

    def images(self, node: str) -> dict[str, str]:
        """What the node's containers were created from, by service."""
        project = "ktrdr-core" if node == "core" else "ktrdr-workers"
        return dict(self._ps(node, ".Image", project))

    def _ps(self, node: str, field: str, project: str = "ktrdr-workers") -> Iterator[tuple[str, str]]:
        label = "com.docker.compose.service"
        listed = self.sh(
            node,
            f"docker ps --no-trunc --filter label=com.docker.compose.project={project} "
            f"--format '{{{{.Label \"{label}\"}}}} {{{{{field}}}}}'",
        )
        for line in listed.splitlines():
            service, _, value = line.partition(" ")
            # It measures the host, and is the same in every release.
            if service != "node-exporter":
                yield service, value

    def sh(self, node: str, script: str) -> str:
        return hosts.execute(self.lab, node, "sh", "-c", script)

    def checkpoint(self, operation_id: str, column: str) -> str:
        """A column of an operation's checkpoint, from the database itself."""
        statement = f"SELECT {column} FROM operation_checkpoints WHERE operation_id = '{operation_id}'"  # noqa: S608
        command_line = "docker exec -i ktrdr-core-db-1 psql -U ktrdr -d ktrdr -At -v ON_ERROR_STOP=1"
        return hosts.execute(self.lab, "core", *command_line.split(), stdin=statement.encode()).strip()

    def agree(self, expected: set[str]) -> bool:
        """Whether the backend and Prometheus have these workers, all well, and no others."""
        return self.registered() == {f"http://{address}" for address in expected} and self.targets() == {
            address: "up" for address in expected
        }

    def start(self, seconds: float, steps: int = 100) -> str:
        """Starts a backtest, and gives its id once a worker has it."""
        operation_id: str = self.ask(
            8000, "/api/v1/backtests/start", {"symbol": "EURUSD", "steps": steps, "seconds": seconds}
        )["operation_id"]
        until(lambda: self.operation(operation_id)["status"] == "running", 30, "no worker took it")
        return operation_id

    def operation(self, operation_id: str) -> Any:
        return self.ask(8000, f"/api/v1/operations/{operation_id}")

    def place(self, worker_id: str) -> tuple[str, str]:
        """Node and service of a worker."""
        for node in ("B", "C"):
            for service, container in self.containers(node).items():
                if worker_id.endswith(container[:12]):
                    return node, service
        raise AssertionError(f"{worker_id} is no worker of this fleet")


def addresses(node: str, *services: str) -> set[str]:
    return {f"{NODES[node]}:{PORTS[service]}" for service in services}


SMALL = {
    address for node in ("B", "C") for address in addresses(node, "backtest-worker-1", "training-worker-1")
}


@pytest.fixture(scope="module", params=[RELEASE, pytest.param("sid", marks=pytest.mark.full)])
def deployed(request: pytest.FixtureRequest, lab: Lab, backend_image: str) -> Iterator[Fleet]:
    """Core, B and C run the first tag, one worker of each kind on B and on C.

    C is once a host like the others, and once one with a newer Engine and Compose.
    """
    with in_turn(CHECKOUT):
        up(ROOT, lambda text: None, {"C": request.param})
    fleet = Fleet(lab)
    outcome = fleet.all("--tag", FIRST, *ONE_EACH)
    assert outcome.code == 0, outcome.err
    yield fleet
    # In whatever order tests are shared out, those that come next find the lab with nothing but the core stack.
    fleet.sh("core", "rm -f /opt/ktrdr-core/targets/*")
    for node in ("B", "C"):
        fleet.sh(
            node,
            "docker ps -aq --filter label=com.docker.compose.project=ktrdr-workers | xargs -r docker rm -f; "
            "docker network rm ktrdr-workers_default; rm -rf /opt/ktrdr-workers*",
        )
    if request.param != RELEASE:
        up(ROOT, lambda text: None)


@pytest.fixture
def fleet(deployed: Fleet) -> Iterator[Fleet]:
    """The fleet; whatever a test does to it, the next one finds it small and on the first tag."""
    yield deployed
    outcome = deployed.all("--tag", FIRST, *ONE_EACH)
    assert outcome.code == 0, outcome.err


def test_the_newer_pair_is_newer(fleet: Fleet, request: pytest.FixtureRequest) -> None:
    engines = {
        node: fleet.sh(node, "docker version --format '{{.Server.Version}}'").strip() for node in NODES
    }
    assert (engines["B"] != engines["C"]) == ("sid" in request.node.name)


def test_every_worker_is_registered_and_a_target_and_nothing_else_is(fleet: Fleet) -> None:
    until(lambda: fleet.agree(SMALL), AGREE_SECONDS, "the backend and Prometheus do not agree")
    outcome = fleet.all("--tag", FIRST)
    assert outcome.code == 0, outcome.err
    assert {node["outcome"] for node in outcome.document["nodes"].values()} == {"unchanged"}


def test_a_backtest_whose_worker_is_killed_finishes_from_its_checkpoint(fleet: Fleet) -> None:
    operation_id = fleet.start(seconds=12)
    until(lambda: fleet.operation(operation_id)["progress"] > 0.3, 30, "it makes no progress")
    node, service = fleet.place(fleet.operation(operation_id)["worker_id"])
    assert int(fleet.checkpoint(operation_id, "state->>'step'")) >= 30
    container = fleet.containers(node)[service]
    fleet.sh(node, f"docker kill {container} && docker start {container}")

    done = until(
        lambda: (found := fleet.operation(operation_id))["status"] == "completed" and found,
        90,
        "it did not end",
    )
    assert done["result"]["steps"] == 100
    assert 30 <= done["result"]["resumed_from_step"] < 100
    # What the worker wrote is what core's NFS server gives to whoever asks.
    url = f"nfs://{NODES['core']}/ktrdr-shared/results/{operation_id}.json?version=4"
    for reader in ("B", "C"):
        assert json.loads(fleet.sh(reader, f"nfs-cat '{url}'"))["trades"] == done["result"]["trades"]
    assert operation_id in fleet.sh("core", f"ls {HOSTS['core'].shared}/results")


def test_scaling_up_and_down_leaves_the_others_untouched(fleet: Fleet) -> None:
    before = fleet.containers("C")
    assert set(before) == {"backtest-worker-1", "training-worker-1"}
    outcome = fleet.workers("C", "--tag", FIRST, "--replicas-backtest", "3", "--replicas-training", "3")
    assert outcome.code == 0, outcome.err
    scaled = fleet.containers("C")
    assert set(scaled) == set(PORTS)
    assert {service: scaled[service] for service in before} == before
    large = SMALL | addresses("C", *PORTS)
    until(lambda: fleet.agree(large), AGREE_SECONDS, "after scaling up they do not agree")

    # A new run without a number keeps what there is.
    again = fleet.workers("C", "--tag", FIRST)
    assert again.document["nodes"]["C"]["outcome"] == "unchanged", again.err
    assert fleet.containers("C") == scaled

    outcome = fleet.workers("C", "--tag", FIRST, *ONE_EACH)
    assert outcome.code == 0, outcome.err
    assert fleet.containers("C") == before
    until(lambda: fleet.agree(SMALL), AGREE_SECONDS, "after scaling down they do not agree")


@pytest.mark.full
def test_a_rollback_brings_back_as_many_workers_as_its_release_had(fleet: Fleet) -> None:
    before = fleet.containers("C")
    host = ("fab", "-H", NODES["C"])
    outcome = command(*host, "deploy-workers", "--tag", FIRST, "--replicas-training", "2", "--json")
    assert outcome.code == 0, outcome.err
    assert set(fleet.containers("C")) == {*before, "training-worker-2"}
    assert fleet.targets().keys() >= addresses("C", "training-worker-2")
    outcome = command(*host, "rollback", "--json")
    assert outcome.code == 0, outcome.err
    assert fleet.containers("C") == before
    until(lambda: fleet.agree(SMALL), AGREE_SECONDS, "after the rollback they do not agree")


def test_a_worker_that_runs_well_but_is_not_registered_fails_the_gate(fleet: Fleet, checkout: Path) -> None:
    change_c(checkout, "KTRDR_API_URL", "http://ktrdr-core.internal:9")
    path = checkout / "deploy.toml"
    path.write_text(path.read_text().replace("timeout = 90 ", "timeout = 20 "))
    outcome = fleet.workers("C", "--tag", SECOND, root=checkout)
    assert outcome.code == 10, outcome.err
    assert "every worker is registered: backtest-worker-1 is not in it" in outcome.err
    assert "took no registration" in outcome.err  # the worker's own log says why
    assert all(FIRST in image for image in fleet.images("C").values())


@pytest.mark.full
def test_a_busy_worker_that_is_scaled_away_hands_its_work_on(fleet: Fleet) -> None:
    outcome = fleet.workers("C", "--tag", FIRST, "--replicas-backtest", "2")
    assert outcome.code == 0, outcome.err
    running = [fleet.start(seconds=20) for _ in range(3)]
    places = {fleet.place(fleet.operation(each)["worker_id"]): each for each in running}
    handed_on = places["C", "backtest-worker-2"]
    outcome = fleet.workers("C", "--tag", FIRST, "--replicas-backtest", "1")
    assert outcome.code == 0, outcome.err
    for each in running:
        until(lambda each=each: fleet.operation(each)["status"] == "completed", 90, f"{each} did not end")
    assert fleet.operation(handed_on)["result"]["resumed_from_step"] > 0


@pytest.mark.parametrize("flag", ["--replicas-backtest", "--replicas-training"])
def test_more_workers_than_there_are_ports_for_are_refused(fleet: Fleet, flag: str) -> None:
    before = fleet.containers("C")
    for value in ("4", "-1", "many"):
        outcome = fleet.workers("C", flag, value)
        assert outcome.code == 2
        assert flag in outcome.err
    assert fleet.containers("C") == before


def change_c(checkout: Path, name: str, value: str) -> None:
    """Gives a variable another value on C alone; as it may have one place only, it moves to the nodes."""
    env_file = checkout / "compose/.env.workers"
    (line,) = [each for each in env_file.read_text().splitlines() if each.startswith(f"{name}=")]
    env_file.write_text(env_file.read_text().replace(f"{line}\n", ""))
    path = checkout / "deploy.toml"
    head, mark, lab = path.read_text().partition("[environments.lab.nodes.B]")
    for node, given in (("b", line.partition("=")[2]), ("c", value)):
        own = f'variables = {{ WORKER_HOSTNAME = "ktrdr-workers-{node}.internal"'
        assert own in lab
        lab = lab.replace(own, f'{own}, {name} = "{given}"')
    path.write_text(head + mark + lab)


def test_what_fails_on_one_node_is_taken_back_on_all(fleet: Fleet, checkout: Path) -> None:
    change_c(checkout, "LOG_LEVEL", "NO-SUCH-LEVEL")  # it ends as soon as it starts
    before = {node: fleet.images(node) for node in NODES}
    targets = fleet.sh("core", "cat /opt/ktrdr-core/targets/*.json")
    outcome = fleet.all("--tag", SECOND, "--replicas-backtest", "2", root=checkout)
    assert outcome.code == 10, outcome.err
    assert set(outcome.document["nodes"]) == set(NODES)
    assert "C" in outcome.err
    assert {node: fleet.images(node) for node in NODES} == before
    assert all(FIRST in image for node in ("B", "C") for image in before[node].values())
    assert fleet.ask(8000, "/api/v1/health")["version"] == FIRST
    assert fleet.sh("core", "cat /opt/ktrdr-core/targets/*.json") == targets
    until(lambda: fleet.agree(SMALL), 60, "the old release is not whole again")


@pytest.mark.full
def test_a_node_that_is_cut_off_in_the_middle_ends_the_command_and_leaves_the_rest_whole(
    fleet: Fleet,
) -> None:
    network, container = fleet.lab.network, fleet.lab.container("C")
    process = subprocess.Popen(
        ["invoke", "deploy-all", "--json", "--tag", SECOND],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        seen = next(line for line in process.stderr if line.split()[:2] == ["C", "switch"])
        docker("network", "disconnect", network, container)
        out, err = process.communicate(timeout=240)
        assert process.returncode == 11, seen + err
        assert json.loads(out)["nodes"]["C"]["error"]
        # One release id for the fleet: who could be reached is on the same release, and well.
        tags = {image.partition("@")[0].rpartition(":")[2] for image in fleet.images("B").values()}
        assert tags == {fleet.ask(8000, "/api/v1/health")["version"]} == {FIRST}
    finally:
        docker("network", "connect", "--alias", NODES["C"], network, container)
        process.kill()
    # Left to itself, it goes back by itself: a worker of the old release signs on again.
    until(lambda: fleet.agree(SMALL), 300, "C did not come back by itself")
    assert all(FIRST in image for image in fleet.images("C").values())


def docker(*words: str) -> None:
    from lab import docker as build

    build.run(*words)


def test_nodes_go_side_by_side(fleet: Fleet) -> None:
    process = subprocess.Popen(
        ["invoke", "deploy-workers", "--tag", SECOND],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    began: dict[str, float] = {}
    healthy: dict[str, float] = {}
    for line in process.stderr:
        node, step, *_ = [*line.split(), "", ""]
        if step == "switch":
            began[node] = time.monotonic()
        if step == "healthy":
            healthy[node] = time.monotonic()
    assert process.wait(60) == 0
    assert set(began) == set(healthy) == {"B", "C"}
    assert max(began.values()) < min(healthy.values())


def database_of(url: str) -> Any:
    """What a worker says of its database."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["database"]


@pytest.mark.full
def test_a_rotated_password_reaches_every_worker(fleet: Fleet, vault: Vault, lab: Lab) -> None:
    before = {node: fleet.containers(node) for node in ("B", "C")}
    vault.change("db_password")
    stopped = fleet.workers("B", "--tag", FIRST)
    assert stopped.code == 3, stopped.err
    assert "invoke rotate-secrets" in stopped.err
    outcome = rotate()
    assert outcome.code == 0, outcome.err
    assert {node["outcome"] for node in outcome.document["nodes"].values()} == {"deployed"}
    for node, containers in before.items():
        assert not set(containers.values()) & set(fleet.containers(node).values())
        for service in containers:
            url = lab.url(node, PORTS[service]) + "/health"
            until(lambda url=url: database_of(url) == "ok", 20, f"{service} on {node} has no database")
