import json
import subprocess
from pathlib import Path, PurePosixPath

from deploy_lib import replicas
from deploy_lib.operations import targets
from deploy_lib.operations.compose import Service
from deploy_lib.topology import load

ROOT = Path(__file__).resolve().parents[3]
NODES = load(ROOT, "lab").nodes
NODE = NODES["C"]
PORTS = (5003, 5004, 5007, 5005, 5006, 5008)
SERVICES = {
    name: Service(name, "h/x:1", 0, (port,))
    for name, port in zip((s for k in NODE.stack.replicas.values() for s in k), PORTS, strict=True)
}


def instances(asked: dict[str, int]) -> list[str]:
    text = targets.content(NODE, SERVICES, replicas.choose(NODE, asked, {}))
    return [target for group in json.loads(text) for target in group["targets"]]


def test_what_is_deployed_is_a_target_and_nothing_else() -> None:
    host = "ktrdr-workers-c.internal"
    assert instances({}) == [f"{host}:5003", f"{host}:5005"]
    assert instances({"backtest": 3, "training": 0}) == [f"{host}:5003", f"{host}:5004", f"{host}:5007"]
    assert instances({"backtest": 0, "training": 0}) == []


def test_a_target_says_whose_it_is() -> None:
    (group, _) = json.loads(targets.content(NODE, SERVICES, replicas.choose(NODE, {}, {})))
    assert group["labels"] == {"node": "C", "kind": "backtest", "service": "backtest-worker-1"}


def test_the_file_lies_where_prometheus_looks() -> None:
    assert NODE.stack.scrape is not None
    path = targets.path_of(NODES["core"], NODE.stack.scrape, NODE)
    assert path == PurePosixPath("/opt/ktrdr-core/targets/C.json")


def put(path: Path, new: str | None) -> str:
    script = targets.script(PurePosixPath(path), remove=new is None)
    done = subprocess.run(["sh", "-c", script], input=new or "", capture_output=True, text=True, check=True)
    return done.stdout


def test_it_says_what_was_there_and_replaces_it_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "targets" / "C.json"
    assert put(path, "one\n") == "absent\n"
    assert path.read_text() == "one\n"
    assert path.stat().st_mode & 0o777 == 0o644
    first = path.stat().st_ino
    assert put(path, "one\n") == "present\none\n"
    assert path.stat().st_ino == first  # untouched
    assert put(path, "two\n") == "present\none\n"
    assert (path.read_text(), path.stat().st_ino != first) == ("two\n", True)
    assert put(path, None) == "present\ntwo\n"
    assert list(path.parent.iterdir()) == []
