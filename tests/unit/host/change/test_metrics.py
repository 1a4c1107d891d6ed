"""Metrics of deployments, as the host itself makes them from its history."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy_lib.host.change.history import append_function, append_now, event
from deploy_lib.host.change.metrics import KINDS
from deploy_lib.release.history import RESTORES, Event, Kind, parse_events
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.values import replace
from tests.unit.build import stack

RELEASE = Release("r1", "sha-0000001", None, {"web": Image("x", digest="sha256:1")}, {"a": "1"})
SHELLS = [["sh"], ["bash"], *([["busybox", "sh"]] if shutil.which("busybox") else [])]


def happened(kind: Kind, at: str, seconds: float, release: Release = RELEASE, **more: str) -> Event:
    return replace(event(kind, release, **more), at=at, seconds=seconds)


def append(home: Path, *events: Event, shell: tuple[str, ...] = ("sh",), before: str = "") -> str:
    (home / ".deploy").mkdir(exist_ok=True)
    lines = "".join(f"{e.line()}\n" for e in events)
    script = f"umask 077\n{append_function(stack(str(home)))}{before}append"
    done = subprocess.run([*shell, "-c", script], input=lines, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def read(home: Path) -> dict[str, float]:
    """By name, and what differs in its labels, each value."""
    text = (home / "deploy-metrics/deploy.prom").read_text()
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            labels = dict(sample.labels)
            assert (labels.pop("node"), labels.pop("stack")) == ("A", "shop")
            found[" ".join([sample.name, *labels.values()])] = sample.value
    return found


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_they_follow_the_history(tmp_path: Path, shell: list[str]) -> None:
    def outcome() -> str:
        (kind,) = (name.split()[1] for name, v in read(tmp_path).items() if "outcome" in name and v)
        return kind

    run = tuple(shell)
    append(tmp_path, happened("started", "2026-01-02T00:00:00Z", 3), shell=run)
    assert outcome() == "started"
    assert not [name for name in read(tmp_path) if "outcome" not in name]

    append(tmp_path, happened("proven", "2026-01-02T00:00:10Z", 12.5), shell=run)
    assert outcome() == "proven"
    found = read(tmp_path)
    assert found["deploy_last_success_timestamp_seconds"] == 1767312010
    assert found["deploy_last_end_timestamp_seconds"] == 1767312010
    assert found["deploy_duration_seconds"] == 12.5
    assert found["deploy_release_info r1 sha-0000001"] == 1
    assert {name.split()[1] for name in found if "outcome" in name} == set(KINDS)

    second = replace(RELEASE, id="r2", tag="2.0")
    append(tmp_path, happened("started", "2026-01-02T01:00:00Z", 1, second), shell=run)
    assert outcome() == "started"
    assert read(tmp_path)["deploy_duration_seconds"] == 12.5  # of the last one that ended
    for kind, at in (("failed", "2026-01-02T01:00:30Z"), ("reverted", "2026-01-02T01:00:40Z")):
        append(tmp_path, happened(kind, at, 40, second, detail="why"), shell=run)  # type: ignore[arg-type]
        assert outcome() == kind
    found = read(tmp_path)
    assert found["deploy_last_success_timestamp_seconds"] == 1767312010
    assert found["deploy_last_end_timestamp_seconds"] == 1767312010 + 3630
    assert found["deploy_duration_seconds"] == 40
    assert found["deploy_release_info r1 sha-0000001"] == 1


def test_backups_and_restores_are_no_deployments(tmp_path: Path) -> None:
    append(tmp_path, happened("backup", "2026-01-01T00:00:00Z", 9))
    assert read(tmp_path) == {}
    append(tmp_path, happened("proven", "2026-01-02T00:00:00Z", 3))
    before = read(tmp_path)
    for kind in ("backup", *RESTORES):
        append(tmp_path, happened(kind, "2026-01-03T00:00:00Z", 9))  # type: ignore[arg-type]
        assert read(tmp_path) == before


def test_text_of_an_event_is_not_taken_for_its_fields(tmp_path: Path) -> None:
    odd = 'x","seconds":99,"hashes":{} \\","release":{"id":"no","tag":"no"} \n $(id) `id` %s'
    append(
        tmp_path,
        replace(happened("proven", "2026-01-02T00:00:00Z", 7, detail=odd), who=odd, command=odd),
    )
    found = read(tmp_path)
    assert found["deploy_duration_seconds"] == 7
    assert found["deploy_release_info r1 sha-0000001"] == 1


def test_everybody_may_read_them_whatever_the_script_s_own_mask(tmp_path: Path) -> None:
    append(tmp_path, happened("started", "2026-01-02T00:00:00Z", 3))
    directory = tmp_path / "deploy-metrics"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o755
    assert stat.S_IMODE((directory / "deploy.prom").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / ".deploy/history.jsonl").stat().st_mode) == 0o600
    assert [path.name for path in directory.iterdir()] == ["deploy.prom"]


def test_the_file_is_never_seen_half_written(tmp_path: Path) -> None:
    append(tmp_path, happened("started", "2026-01-02T00:00:00Z", 3))
    path = tmp_path / "deploy-metrics/deploy.prom"
    reader = path.open()
    before = path.read_text()
    append(tmp_path, happened("proven", "2026-01-02T00:00:00Z", 3))
    with reader:
        assert reader.read() == before


@pytest.mark.parametrize("leads_elsewhere", [False, True])
def test_what_cannot_be_measured_is_said_and_recorded_all_the_same(
    tmp_path: Path, leads_elsewhere: bool
) -> None:
    if leads_elsewhere:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "deploy-metrics").symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / "deploy-metrics").write_text("in the way")
    (tmp_path / ".deploy").mkdir()
    script = f"{append_function(stack(str(tmp_path)))}append"
    done = subprocess.run(
        ["sh", "-c", script],
        input=happened("proven", "2026-01-02T00:00:00Z", 3).line() + "\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "deploy-metrics/deploy.prom could not be written" in done.stdout
    assert not list(tmp_path.glob("elsewhere/*"))
    assert [e.kind for e in parse_events((tmp_path / ".deploy/history.jsonl").read_text())] == ["proven"]


def test_what_a_power_cut_left_in_the_history_is_no_event(tmp_path: Path) -> None:
    append(tmp_path, happened("proven", "2026-01-02T00:00:00Z", 3))
    with (tmp_path / ".deploy/history.jsonl").open("ab") as history:
        history.write(b'{"kind":"failed","at":"2026' + b"\xff\x00" * 3)
    append(tmp_path, happened("aborted", "2026-01-02T00:00:20Z", 4))
    found = read(tmp_path)
    assert found["deploy_last_outcome aborted"] == 1
    assert found["deploy_last_success_timestamp_seconds"] == 1767312000


def test_a_host_that_goes_back_by_itself_says_how_long_it_took(tmp_path: Path) -> None:
    (tmp_path / ".deploy").mkdir()
    abandoned = replace(event("reverted", RELEASE, detail='"seconds":0, stays'), seconds=5.2)
    script = f"{append_function(stack(str(tmp_path)))}began=$(($(date +%s) - 20))\n{append_now(abandoned)}"
    subprocess.run(["sh", "-c", script], check=True, env={"PATH": os.environ["PATH"]})
    (written,) = parse_events((tmp_path / ".deploy/history.jsonl").read_text())
    assert 25 <= written.seconds < 60
    assert written.detail == abandoned.detail
    assert read(tmp_path)["deploy_duration_seconds"] == written.seconds
