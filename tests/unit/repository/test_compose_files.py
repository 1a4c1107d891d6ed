"""What every deployed Compose file keeps, so that a host survives a night alone."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy_lib import layout
from deploy_lib.config import load, parse
from deploy_lib.plan import replicas
from tests import ROOT

COMPOSE = ROOT / "compose"
METRICS = layout.METRICS.partition("/")[0]
STACKS = [path.name.split(".")[1] for path in sorted(COMPOSE.glob("docker-compose.*.yml"))]
DEPLOYED = [name for name in STACKS if name != "dev"]

UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}


def path_of(stack: str) -> Path:
    return COMPOSE / f"docker-compose.{stack}.yml"


def compose(stack: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(path_of(stack).read_text())
    return data


def services() -> list[Any]:
    return [
        pytest.param(stack, spec, id=f"{stack}-{name}")
        for stack in DEPLOYED
        for name, spec in compose(stack)["services"].items()
    ]


def env_file(stack: str) -> dict[str, str]:
    lines = (COMPOSE / f".env.{stack}").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def size(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def bind_sources(spec: dict[str, Any]) -> list[str]:
    sources = [v["source"] if isinstance(v, dict) else v.partition(":")[0] for v in spec.get("volumes", [])]
    return [source for source in sources if source.startswith(("./", "/", "$"))]


each_service = pytest.mark.parametrize(("stack", "spec"), services())
each_stack = pytest.mark.parametrize("stack", DEPLOYED)


@each_service
def test_a_service_has_a_quick_health_check(stack: str, spec: dict[str, Any]) -> None:
    check = spec["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    # A deployment waits for it: until it has succeeded once, it is asked every few seconds, and later less often.
    assert int(check["start_interval"].removesuffix("s")) <= 5
    assert int(check["interval"].removesuffix("s")) <= 15
    assert int(check["timeout"].removesuffix("s")) <= 5
    assert check["start_period"]


@each_service
def test_a_service_comes_back_after_a_reboot(stack: str, spec: dict[str, Any]) -> None:
    assert spec["restart"] == "unless-stopped"


@each_service
def test_a_service_cannot_fill_the_disk_with_logs(stack: str, spec: dict[str, Any]) -> None:
    options = spec["logging"]["options"]
    assert size(options["max-size"]) * int(options["max-file"]) <= 50 * UNITS["m"]


@each_service
def test_a_service_has_limits(stack: str, spec: dict[str, Any]) -> None:
    limits = spec["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) > 0
    assert size(limits["memory"]) > 0


@each_service
def test_an_image_is_pinned_or_takes_the_release_s_tag(stack: str, spec: dict[str, Any]) -> None:
    name, _, tag = spec["image"].rpartition(":")
    if "${IMAGE_TAG" in spec["image"]:
        assert spec["image"] == "${IMAGE_REGISTRY:-ghcr.io/ktrdr}/ktrdr-backend:${IMAGE_TAG:-latest}"
    else:
        assert re.search(r"\d+\.\d+", tag), f"{name} has the moving tag {tag}"


def test_the_workers_run_the_backend_s_image() -> None:
    backend = compose("core")["services"]["backend"]["image"]
    workers = {
        spec["image"] for name, spec in compose("workers")["services"].items() if name != "node-exporter"
    }
    assert workers == {backend}
    assert "/ktrdr-backend:${IMAGE_TAG" in backend


@each_service
def test_a_service_has_no_fixed_container_name(stack: str, spec: dict[str, Any]) -> None:
    # Two of a service could not run side by side.
    assert "container_name" not in spec


@each_service
def test_nothing_is_asked_that_a_small_host_cannot_give(stack: str, spec: dict[str, Any]) -> None:
    # Limits cannot be raised everywhere; secrets from the environment need a root file system that can be written.
    assert "ulimits" not in spec
    assert not (spec.get("read_only") and spec.get("secrets"))


@each_service
def test_directories_are_mounted_and_never_a_file_alone(stack: str, spec: dict[str, Any]) -> None:
    for source in bind_sources(spec):
        assert not Path(source).suffix, source
        shipped = ROOT / source
        assert not shipped.is_file(), source


@each_stack
def test_what_is_mounted_from_the_project_is_shipped(stack: str) -> None:
    shipped = parse((ROOT / "deploy.toml").read_text()).stacks
    directories = shipped[stack].directories if stack in shipped else ()
    for spec in compose(stack)["services"].values():
        for source in bind_sources(spec):
            if source.startswith("./") and source not in ("./targets", f"./{METRICS}"):
                assert source.split("/")[1] in directories, source


def test_the_core_stack_fits_a_node_of_16_gb() -> None:
    limits = [spec["deploy"]["resources"]["limits"] for spec in compose("core")["services"].values()]
    assert sum(size(limit["memory"]) for limit in limits) <= 15 * UNITS["g"]


@each_stack
def test_the_project_s_name_is_fixed(stack: str) -> None:
    assert compose(stack)["name"] == f"ktrdr-{stack}"


@each_stack
def test_volumes_and_secrets_are_declared(stack: str) -> None:
    data = compose(stack)
    for name, spec in data["services"].items():
        used = {s["source"] if isinstance(s, dict) else s for s in spec.get("secrets", [])}
        assert used <= set(data.get("secrets", {})), name
        volumes = [v for v in spec.get("volumes", []) if isinstance(v, str) and v[0].isalpha()]
        assert {v.partition(":")[0] for v in volumes} <= set(data.get("volumes", {})), name


@each_stack
def test_secrets_are_known_to_the_topology_and_come_as_files_only(stack: str) -> None:
    known = set(tomllib.loads((ROOT / "deploy.toml").read_text())["secrets"])
    wanted = {secret["environment"] for secret in compose(stack)["secrets"].values()}
    assert wanted
    assert wanted <= known
    for name in known:
        # A plain ${DB_PASSWORD} would stand in `docker inspect`.
        assert f"${{{name}" not in path_of(stack).read_text()
    for name, spec in compose(stack)["services"].items():
        assert not known & set(spec.get("environment", {})), name


@each_stack
def test_the_env_file_has_no_secret(stack: str) -> None:
    secret = set(tomllib.loads((ROOT / "deploy.toml").read_text())["secrets"])
    assert not secret & set(env_file(stack))
    for name in env_file(stack):
        assert not re.search(r"PASSWORD|SECRET|TOKEN|PRIVATE|CREDENTIAL", name), name


@each_stack
def test_every_variable_of_the_env_file_is_used(stack: str) -> None:
    text = path_of(stack).read_text()
    for name in env_file(stack):
        assert f"${{{name}" in text, name


@each_stack
def test_published_ports_do_not_meet(stack: str) -> None:
    ports = [
        port.partition(":")[0] for s in compose(stack)["services"].values() for port in s.get("ports", [])
    ]
    assert len(ports) == len(set(ports))


DEPLOYMENT_SETS = re.compile(r"IMAGE_(REGISTRY|TAG)|WORKER_HOSTNAME|(BACKTEST|TRAINING)_WORKER_\d")
"""What differs between releases or nodes, and is therefore in no env file."""


@each_stack
def test_every_variable_has_its_value_from_one_place(stack: str) -> None:
    lines = [line for line in path_of(stack).read_text().splitlines() if not line.lstrip().startswith("#")]
    names = set(re.findall(r"(?<!\$)\$\{(\w+)", "\n".join(lines)))
    assert set(env_file(stack)) == {name for name in names if not DEPLOYMENT_SETS.fullmatch(name)}


@pytest.mark.parametrize(
    ("stack", "required"), [("core", {"DB_NAME"}), ("workers", {"KTRDR_API_URL", "WORKER_HOSTNAME"})]
)
def test_what_ktrdr_requires_cannot_be_deployed_blank(stack: str, required: set[str]) -> None:
    assert set(re.findall(r"\$\{(\w+):\?", path_of(stack).read_text())) == required


@each_service
def test_only_what_starts_as_root_keeps_its_capabilities(stack: str, spec: dict[str, Any]) -> None:
    # PostgreSQL's entry point changes to its own user; the NFS server opens files by their handles.
    if not spec["image"].startswith("timescale/") and "nfs-server" not in spec["image"]:
        assert spec["cap_drop"] == ["ALL"]
        assert spec["security_opt"] == ["no-new-privileges:true"]


PORTS = {"backtest": (5003, 5004, 5007), "training": (5005, 5006, 5008)}


@pytest.mark.parametrize(("kind", "replica"), [(kind, n) for kind in PORTS for n in (1, 2, 3)])
def test_a_worker_replica_knows_its_own_port(kind: str, replica: int) -> None:
    spec = compose("workers")["services"][f"{kind}-worker-{replica}"]
    port = str(PORTS[kind][replica - 1])
    assert spec["ports"] == [f"{port}:{port}"]
    assert spec["environment"]["WORKER_PORT"] == port
    assert spec["environment"]["WORKER_PUBLIC_BASE_URL"] == f"http://${{WORKER_HOSTNAME}}:{port}"
    assert spec["command"][spec["command"].index("--port") + 1] == port
    assert spec["deploy"]["replicas"] == f"${{{kind.upper()}_WORKER_{replica}:-0}}"


def test_the_worker_stack_has_no_other_service_but_its_host_s_metrics() -> None:
    workers = {f"{kind}-worker-{n}" for kind in PORTS for n in (1, 2, 3)}
    assert set(compose("workers")["services"]) == {*workers, "node-exporter"}


def test_the_exporter_of_both_stacks_is_the_same_and_reads_where_deployments_write() -> None:
    core, workers = (compose(stack)["services"]["node-exporter"] for stack in ("core", "workers"))
    for key in ("image", "command", "volumes", "read_only", "deploy"):
        assert core[key] == workers[key]
    (mount,) = core["volumes"]
    assert (mount["source"], mount["read_only"]) == (f"./{METRICS}", True)
    assert f"--collector.textfile.directory={mount['target']}" in core["command"]


def test_prometheus_finds_its_files_where_they_are_mounted() -> None:
    config = yaml.safe_load((ROOT / "monitoring/prometheus/prometheus.yml").read_text())
    for pattern in config["rule_files"]:
        assert list((ROOT / "monitoring/prometheus").glob(pattern)), pattern
    mounts = {
        v["target"]: v["source"]
        for v in compose("core")["services"]["prometheus"]["volumes"]
        if isinstance(v, dict)
    }
    found = [
        f for job in config["scrape_configs"] for sd in job.get("file_sd_configs", []) for f in sd["files"]
    ]
    assert found
    assert {mounts.get(str(Path(f).parent)) for f in found} == {"./targets"}


def test_datasources_have_the_uids_that_dashboards_name() -> None:
    content = (ROOT / "monitoring/grafana/provisioning/datasources/ktrdr.yml").read_text()
    assert {d["uid"] for d in yaml.safe_load(content)["datasources"]} == {"prometheus", "jaeger"}


def test_every_replica_listens_to_its_variable() -> None:
    node = load(ROOT, "lab").nodes["C"]
    services: dict[str, Any] = yaml.safe_load((ROOT / node.stack.compose[0]).read_text())["services"]
    chosen = replicas.choose(node, {"backtest": 3, "training": 3}, {})
    assert set(chosen) == set(services) - {"node-exporter"}
    named = {name: services[name]["deploy"]["replicas"] for name in chosen}
    assert {f"${{{variable}:-0}}" for variable in replicas.variables(chosen)} == set(named.values())
    for service, count in chosen.items():
        (variable,) = replicas.variables({service: count})
        assert named[service] == f"${{{variable}:-0}}"
