import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from deploy_lib.compose.container import Container
from deploy_lib.config import Probe
from deploy_lib.errors import RemoteError
from deploy_lib.host.prove.probe import dated, judge, log_script, prove
from deploy_lib.release.image import Image
from deploy_lib.ssh.session import Session


def probe(**values: str | int | bool) -> Probe:
    return Probe(name="p", service="s", url="http://127.0.0.1:1/x", json_values=values)


@pytest.mark.parametrize(
    ("expected", "answer", "problem"),
    [
        ({"a.b": "x"}, {"a": {"b": "x"}}, ""),
        ({"a.0.b": 1}, {"a": [{"b": 1}]}, ""),
        ({"a": "ok"}, {"a": "no"}, 'a is "no", expected "ok"'),
        ({"a.1": "ok"}, {"a": ["ok"]}, 'a.1 is null, expected "ok"'),
        ({"a": 1}, {"a": True}, "a is true, expected 1"),
        ({"a.b": "x"}, [], "a.b is null"),
    ],
)
def test_json_is_judged_by_its_values(
    expected: dict[str, str | int | bool], answer: object, problem: str
) -> None:
    found, _ = judge(probe(**expected), 200, json.dumps(answer).encode())
    assert problem in found
    assert bool(found) == bool(problem)


def container(service: str, started: str) -> Container:
    return Container(
        id="1", name=service, service=service, image=Image("x"), image_id="i", state="running", health=None, exit_code=0, restarts=0, started=started
    )  # fmt: skip


def test_an_answer_may_be_asked_for_that_is_not_from_before() -> None:
    found = [
        container("web", "2026-11-29T12:00:00.123456789Z"),
        container("web", "2026-11-29T12:00:10.5Z"),
        container("db", "2026-11-29T13:00:00Z"),
        container("new", "0001-01-01T00:00:00Z"),
        container("odd", "?"),
    ]
    moment = datetime(2026, 11, 29, 12, 0, 10, 500000, tzinfo=UTC).timestamp()
    assert dated("http://h/q?t={started:web}&x={other}", found) == f"http://h/q?t={moment:.3f}&x={{other}}"
    assert dated("{started}", found) == f"{moment + 3589.5:.3f}"
    assert [dated(f"{{started:{name}}}", found) for name in ("new", "odd", "gone")] == ["0.000"] * 3
    asking = Probe(name="p", service="s", url="http://127.0.0.1:1/x?t={started:web}")
    assert asking.services == ["s", "web"]


@pytest.mark.parametrize(
    ("status", "lines", "code", "found"),
    [
        ("Up 40 minutes", 2999, 0, ["1", "1000", "2000", "2999"]),
        ("Up About a minute (healthy)", 7, 0, ["1", "7"]),
        ("Up Less than a second", 0, 0, []),
        ("", 7, 0, ["1", "7"]),
        ("Up About an hour (unhealthy)", 7, 99, []),
        ("Up 3 weeks", 7, 99, []),
    ],
)
def test_a_log_is_searched_at_both_ends_until_it_need_not_be(
    tmp_path: Path, status: str, lines: int, code: int, found: list[str]
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        f"""#!/bin/sh
case "$*" in
  ps*) echo {status!r};;
  *"--since 2026-11-29T12:00:00Z --tail 1000 1") seq 1 {lines} | tail -n 1000;;
  *"--since 2026-11-29T12:00:00Z 1") seq 1 {lines};;
esac
"""
    )
    docker.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", log_script(container("web", "2026-11-29T12:00:00Z"))],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.split()
    assert (done.returncode, [n for n in ("1", "1000", "2000", "2999") if n in said]) == (
        code,
        [n for n in found if n != "7"],
    )
    assert ("7" in said) == ("7" in found or lines > 1000)


def test_a_log_that_takes_too_long_is_asked_again() -> None:
    class Slow:
        def run(self, *_: object, **__: object) -> None:
            raise RemoteError("the log did not come within 10 s", node="A")

        def require_alive(self) -> None:
            pass

    asked = Probe(name="p", service="web", log="ready", timeout=0.01)
    [finding] = prove(cast(Session, Slow()), [asked], lambda: [container("web", "2026-11-29T12:00:00Z")])
    assert finding.problem == "the log did not come within 10 s"


def test_status_and_text_are_named() -> None:
    assert "answered HTTP 503, expected 200: down" in judge(probe(), 503, b"down")[0]
    assert "answered no JSON: <html>" in judge(probe(a=1), 200, b"<html>")[0]
