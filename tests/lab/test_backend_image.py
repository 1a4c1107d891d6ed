import json
import re
import secrets
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from packaging.markers import Marker, default_environment

from ktrdr_backend.database import Database
from ktrdr_backend.operations import DatabaseOperations
from ktrdr_backend.settings import Database as Settings
from lab import docker as build
from tests import ROOT

DATABASE = "timescale/timescaledb:2.19.3-pg17"

IDLE = [
    part
    for name in ("DB_HOST=127.0.0.1", "DB_NAME=x", "DB_USER=x", "DB_PASSWORD", "JWT_SECRET")
    for part in ("-e", name)
]
"""An API without its database; the secrets' values come from the environment of `docker`."""


def test_it_holds_the_application_and_nothing_of_this_tool(backend_image: str) -> None:
    script = (
        "import importlib.util as u, sys;"
        "print([n for n in ('fabric','invoke','paramiko','onepassword','deploy_lib','pytest') if u.find_spec(n)],"
        "u.find_spec('ktrdr_backend') is not None, sys.version_info[:2])"
    )
    said = build.run("run", "--rm", "--entrypoint", "python", backend_image, "-c", script)
    assert said.strip() == "[] True (3, 13)"


def test_it_is_small_and_not_run_by_root(backend_image: str) -> None:
    assert int(build.inspect(backend_image, "{{.Size}}") or 0) < 500_000_000
    assert build.run("run", "--rm", "--entrypoint", "id", backend_image, "-u").strip() == "10001"


def test_no_build_secret_is_left_in_it(backend_image: str) -> None:
    said = build.run(
        "run", "--rm", "--entrypoint", "sh", backend_image, "-c", "ls -A /run/secrets 2>/dev/null; true"
    )
    assert said == ""


def test_a_new_shared_volume_can_be_written_by_its_user(backend_image: str) -> None:
    volume = f"ktrdr-test-{secrets.token_hex(4)}"
    try:
        build.run(
            *("run", "--rm", "-v", f"{volume}:/mnt/ktrdr-shared", "--entrypoint", "touch"),
            *(backend_image, "/mnt/ktrdr-shared/file"),
        )
    finally:
        build.run("volume", "rm", volume)


LOOK = """
import importlib.util, json, pathlib, shutil, sys
from importlib.metadata import distributions
commands = "pip pip3 pip3.13 uv uvx poetry gcc g++ cc c++ cpp make ld as cargo rustc go git".split()
modules = "pip setuptools wheel ensurepip uv hatchling build".split()
wheels = [str(path) for top in ("/usr", "/opt") for path in pathlib.Path(top).rglob("*.whl")]
print(json.dumps({
    "tools": [c for c in commands if shutil.which(c)] + [m for m in modules if importlib.util.find_spec(m)] + wheels,
    "installed": {d.name: d.version for d in distributions()},
    "python": sys.version_info[:2],
}))
"""


def look(image: str, python: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(build.run("run", "--rm", "--entrypoint", python, image, "-c", LOOK))
    return said


@pytest.mark.parametrize("python", ["python", "/usr/local/bin/python3"])
def test_it_has_no_build_tools(backend_image: str, python: str) -> None:
    # Both the application's environment and the Python that it stands on.
    assert look(backend_image, python)["tools"] == []


def name_of(text: str) -> str:
    return re.sub("[-_.]+", "-", text).lower()


def locked(root: str, python: str) -> dict[str, str]:
    """What uv.lock has for a package and all that it needs on Linux, by name; without the package itself."""
    packages = {p["name"]: p for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    here = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}
    found: dict[str, str] = {}
    todo, seen = [(root, "")], set()
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        package = packages[name]
        found[name] = package["version"]
        needs = (
            package.get("optional-dependencies", {}).get(extra, [])
            if extra
            else package.get("dependencies", [])
        )
        for need in needs:
            if "marker" not in need or Marker(need["marker"]).evaluate(here):
                todo += [(need["name"], part) for part in ("", *need.get("extra", []))]
    return found


def test_what_is_installed_is_what_the_lock_file_says(backend_image: str) -> None:
    said = look(backend_image, "python")
    installed = {name_of(name): version for name, version in said["installed"].items()}
    assert installed == locked("ktrdr-backend", "{}.{}".format(*said["python"]))


def test_it_is_healthy_by_its_own_check_and_stops_at_once_when_idle(backend_image: str) -> None:
    values = {name: secrets.token_hex(20) for name in ("DB_PASSWORD", "JWT_SECRET")}
    began = time.monotonic()
    container = build.run("run", "-d", *IDLE, backend_image, env=values).strip()
    try:
        until(lambda: "Uvicorn running" in written(container))
        starting = time.monotonic() - began
        until(lambda: build.run("inspect", "-f", "{{.State.Health.Status}}", container).strip() == "healthy")
        began = time.monotonic()
        build.run("stop", "-t", "60", container)
        # Idle, it waits for nothing: some seconds of a busy machine, far from the 60 after which Docker would kill it.
        assert time.monotonic() - began < max(20, 2 * starting)
        assert build.run("inspect", "-f", "{{.State.ExitCode}}", container).strip() == "0"
    finally:
        build.run("rm", "-f", container)


def written(container: str) -> str:
    done = subprocess.run(
        [build.docker(), "logs", container], stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(scope="module")
def database(backend_image: str) -> Iterator[Database]:
    """PostgreSQL of its own, on a free loopback port."""
    password = secrets.token_hex(12)
    container = build.run(
        *("run", "--rm", "-d", "-p", "127.0.0.1::5432", "-e", "POSTGRES_USER=try", "-e", "POSTGRES_PASSWORD"),
        DATABASE,
        env={"POSTGRES_PASSWORD": password},
    ).strip()
    try:
        port = int(build.run("port", container, "5432").split()[0].rpartition(":")[2])
        found = Database(Settings("127.0.0.1", port, "try", "try", password), "test")
        end = time.monotonic() + 60
        while found.state() != "ok":
            assert time.monotonic() < end
            time.sleep(0.2)
        yield found
        found.close()
    finally:
        build.run("rm", "-f", "-v", container)


@pytest.fixture
def operations(database: Database) -> DatabaseOperations:
    made = DatabaseOperations(database.pool)
    with database.pool.connection() as connection:
        connection.execute("DROP TABLE IF EXISTS operation_checkpoints, operations")
    made.interrupt_slot("w")  # a worker may be there before the tables are
    made.prepare()
    made.prepare()
    return made


def status(operations: DatabaseOperations, name: str) -> str:
    row = operations.get(name)
    assert row is not None
    return str(row["status"])


def test_an_operation_goes_its_way_through_the_database(operations: DatabaseOperations) -> None:
    operations.create("op", "backtest", {"symbol": "X"})
    assert operations.waiting("backtest") == ["op"]
    assert operations.assign("op", "w-1")
    assert not operations.assign("op", "w-2")
    assert operations.checkpoint("op") is None
    assert operations.save("op", "w-1", 0.5, {"step": 1}, "periodic")
    assert operations.save("op", "w-1", 0.7, {"step": 2}, "shutdown")
    assert operations.checkpoint("op") == {"step": 2}
    assert operations.interrupt("op", "w-1")
    assert operations.waiting("backtest") == ["op"]

    assert operations.assign("op", "w-2")
    assert not operations.save("op", "w-1", 0.9, {"step": 9}, "periodic")  # it is no longer w-1's
    assert operations.checkpoint("op") == {"step": 2}
    assert not operations.finish("op", "w-1", "completed", {})
    assert operations.finish("op", "w-2", "completed", {"trades": 3})
    row = operations.get("op")
    assert row is not None
    assert (row["status"], row["progress"], row["result"]) == ("completed", 1, {"trades": 3})
    assert row["started_at"] <= row["completed_at"]
    assert operations.get("another") is None


def test_what_nobody_works_on_waits_again(operations: DatabaseOperations) -> None:
    for name, worker in (("a", "b-5003-old"), ("b", "b-5004-old"), ("c", "b-50030-old")):
        operations.create(name, "backtest", {})
        operations.assign(name, worker)
    operations.interrupt_slot("b-5003")
    assert [status(operations, name) for name in "abc"] == ["interrupted", "running", "running"]
    operations.interrupt_stale(300)
    assert status(operations, "b") == "running"
    time.sleep(0.05)
    operations.interrupt_stale(0.01)
    assert status(operations, "b") == "interrupted"


def test_the_pool_comes_back_after_the_server_cut_it_off(
    database: Database, operations: DatabaseOperations
) -> None:
    with suppress(psycopg.OperationalError), database.pool.connection() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test'"
        )
    assert database.state() == "ok"
    assert operations.waiting("backtest") == []
