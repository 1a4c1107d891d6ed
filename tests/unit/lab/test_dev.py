"""The development environment, as far as it needs no engine."""

import os
import re
import secrets
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy_lib.errors import DeployError, PreflightError, UsageError
from lab import images
from lab.dev import compose, ports, up, variables
from lab.dev.up import project_of
from tests import ROOT

EXAMPLE = "# words\nDB_USER=ktrdr\nDB_PASSWORD=\nDEV_USER=UID:GID\n#DEV_IMAGE=\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "compose").mkdir()
    (tmp_path / variables.EXAMPLE).write_text(EXAMPLE)
    return tmp_path


def values(checkout: Path) -> dict[str, str]:
    lines = variables.parse((checkout / variables.FILE).read_text())
    return {line.name: line.value for line in lines if line.name}


def test_env_dev_is_made_with_values_of_its_own_and_for_its_owner(checkout: Path) -> None:
    assert "made" in (variables.ensure(checkout, data=None) or "")
    made = checkout / variables.FILE
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    found = values(checkout)
    assert found["DB_USER"] == "ktrdr"
    assert found["DEV_USER"] == f"{os.getuid()}:{os.getgid()}"
    assert len(found["DB_PASSWORD"]) >= 32
    assert variables.secret_values(checkout) == {"DB_PASSWORD": found["DB_PASSWORD"]}
    assert variables.ensure(checkout, data="volume") is None
    assert values(checkout) == found
    assert [path.name for path in made.parent.iterdir() if path.name.startswith(".env.dev.")] == [
        ".env.dev.example"
    ]


def test_what_the_example_has_got_since_is_added_and_the_rest_stays(checkout: Path) -> None:
    made = checkout / variables.FILE
    made.write_text("# mine\nDB_PASSWORD=chosen\nDB_USER=me")
    made.chmod(0o644)
    assert variables.ensure(checkout, data=None) == f"added to {variables.FILE}: DEV_USER"
    assert made.read_text().startswith("# mine\nDB_PASSWORD=chosen\nDB_USER=me\nDEV_USER=")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_a_database_without_its_password_is_not_left_stranded(checkout: Path) -> None:
    with pytest.raises(PreflightError, match=r"password of the database in the volume v\n.*--volumes"):
        variables.ensure(checkout, data="v")
    assert not (checkout / variables.FILE).exists()


def test_a_link_and_a_missing_example_are_told(checkout: Path) -> None:
    (checkout / variables.FILE).symlink_to("elsewhere")
    with pytest.raises(UsageError, match="no plain file"):
        variables.ensure(checkout, data=None)
    (checkout / variables.EXAMPLE).unlink()
    with pytest.raises(UsageError, match=r"\.env\.dev"):
        variables.ensure(checkout, data=None)


def test_every_secret_of_our_example_is_made_here() -> None:
    lines = variables.parse((ROOT / variables.EXAMPLE).read_text())
    assert {line.name for line in lines if line.secret} == {"DB_PASSWORD", "GF_ADMIN_PASSWORD", "JWT_SECRET"}


def test_two_checkouts_have_two_names(tmp_path: Path) -> None:
    assert re.fullmatch(r"ktrdr-dev-[0-9a-f]{8}", project_of(tmp_path))
    assert project_of(tmp_path) != project_of(tmp_path / "other")


@pytest.mark.parametrize("plugin", [("docker", "compose"), None])
def test_the_shell_s_secrets_do_not_slip_in_and_no_value_is_an_argument(
    monkeypatch: pytest.MonkeyPatch, plugin: tuple[str, ...] | None
) -> None:
    monkeypatch.setattr(compose, "plugin", lambda: plugin)
    monkeypatch.setattr(images, "obtain_base", lambda *_: True)
    monkeypatch.setattr(images, "make", lambda *_: None)
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
    value = secrets.token_hex(8)
    for name in ("DB_PASSWORD", "DEV_IMAGE", "COMPOSE_PROJECT_NAME"):
        monkeypatch.setenv(name, value)
    found = compose.find(ROOT, "p", lambda _: None)
    assert "DB_PASSWORD" not in found.env
    assert "COMPOSE_PROJECT_NAME" not in found.env
    assert found.env["DEV_IMAGE"] == value
    command = found.command("ps")
    assert value not in " ".join(command)
    assert ("DEV_IMAGE" in command) == (plugin is None)


@pytest.mark.parametrize("plugin", [("docker", "compose"), None])
def test_the_engine_has_to_be_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, plugin: tuple[str, ...] | None
) -> None:
    monkeypatch.setattr(compose, "plugin", lambda: plugin)
    monkeypatch.setenv("DOCKER_HOST", "ssh://elsewhere")
    with pytest.raises(PreflightError, match="docker works with ssh://elsewhere"):
        compose.find(ROOT, "p", lambda _: None)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("unauthorized: authentication required", "docker login"),
        (
            "pull access denied for nobody/x, repository does not exist or may require 'docker login'",
            "the name right",
        ),
        ("manifest unknown", "the name right"),
        ("dial tcp: lookup ghcr.io: no such host", "does the registry answer"),
        ("net/http: TLS handshake timeout", "does the registry answer"),
    ],
)
def test_an_image_that_cannot_be_pulled_gets_the_advice_for_its_cause(
    monkeypatch: pytest.MonkeyPatch, said: str, advice: str
) -> None:
    def fail(*_: str) -> str:
        raise DeployError(f"docker pull failed: Error response from daemon: {said}")

    monkeypatch.setattr(up.build, "run", fail)
    with pytest.raises(PreflightError) as error:
        up._pull("ghcr.io/o/x:1", lambda _: None)
    assert said in error.value.what
    assert advice in (error.value.hint or "")
    assert ("login" in (error.value.hint or "")) == ("denied" in said or "unauthorized" in said)


def test_ports_that_two_services_want_are_named_with_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_ours", lambda _: iter(()))
    monkeypatch.setattr(ports, "_can_be_had", lambda port: port != 3000)
    monkeypatch.setattr(ports, "_holder", lambda _: "another program")

    def service(published: int, target: int) -> dict[str, Any]:
        return {"ports": [{"published": str(published), "target": target}]}

    model = {"services": {"a": service(8000, 8000), "b": service(8000, 9090), "c": service(3000, 3000)}}
    text = (ROOT / compose.COMPOSE).read_text()
    with pytest.raises(PreflightError) as error:
        ports.require(model, text, "p")
    assert "DEV_API_PORT has port 8000 (DEV_PROMETHEUS_PORT)" in error.value.what
    assert "another program has port 3000 (DEV_GRAFANA_PORT)" in error.value.what


def test_every_port_of_the_file_has_a_variable_and_the_loopback_alone() -> None:
    data = compose.variables((ROOT / compose.COMPOSE).read_bytes(), "dev").read
    text = (ROOT / compose.COMPOSE).read_text()
    entries = re.findall(r'"(\S+:\S+:\d+)"', text)
    assert len(entries) == len([name for name in data if name.endswith("_PORT")]) == 8
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{DEV_\w+_PORT:-\d+\}:\d+", entry) for entry in entries)


# --- hot reload ---


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    package = folder / "ktrdr_backend"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    ours = ROOT / "docker/backend/src/ktrdr_backend/entrypoint.py"
    (package / "entrypoint.py").write_bytes(ours.read_bytes())
    return folder


def program(answer: str, out: Path) -> str:
    """Writes who it is and what its arguments are, and goes on until it is told to end."""
    return (
        "import json, sys, time\n"
        f"open({str(out)!r}, 'a').write({answer!r} + ' ' + ' '.join(sys.argv[1:]) + chr(10))\n"
        "time.sleep(60)\n"
    )


@pytest.fixture
def reloading(
    source: Path, tmp_path: Path
) -> Iterator[tuple[Callable[[str], None], Path, subprocess.Popen[str]]]:
    out, module = tmp_path / "out", source / "ktrdr_backend" / "sample.py"
    out.touch()
    module.write_text(program("first", out))
    command = [sys.executable, str(ROOT / "docker/backend/dev/reload.py")]
    process = subprocess.Popen(
        [*command, "python", "-m", "ktrdr_backend.sample", "with", "arguments"],
        env={**os.environ, "PYTHONPATH": str(source)},
        stderr=subprocess.PIPE,
        text=True,
    )
    yield lambda text: void(module.write_text(text)), out, process
    process.kill()
    process.communicate()


def void(_: object) -> None: ...


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_changed_source_runs_anew_also_after_a_mistake(
    reloading: tuple[Callable[[str], None], Path, subprocess.Popen[str]],
) -> None:
    write, out, process = reloading
    until(lambda: out.read_text() == "first with arguments\n")
    write(program("second", out))
    until(lambda: out.read_text().endswith("second with arguments\n"))
    write(f"open({str(out)!r}, 'a').write('broken' + chr(10))\n1 / 0\n")
    until(lambda: out.read_text().endswith("broken\n"))
    write(program("third", out))
    until(lambda: out.read_text().endswith("third with arguments\n"))
    assert process.poll() is None
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "ZeroDivisionError" in said
    assert "the source has changed" in said


def test_what_is_no_module_is_run_as_it_is(source: Path) -> None:
    command = [sys.executable, str(ROOT / "docker/backend/dev/reload.py")]
    env = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run([*command, "echo", "a shell"], env=env, capture_output=True, text=True)
    assert done.stdout == "a shell\n"
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "usage" in done.stderr
