import json
import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath

from deploy_lib.host.change import history
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release

RELEASE = Release("r1", "sha-0000001", None, {"web": Image("x", digest="sha256:1")}, {"a": "1"})


def test_events_survive_a_torn_line_and_one_of_another_program(tmp_path: Path) -> None:
    directory = PurePosixPath(tmp_path)
    (tmp_path / ".deploy").mkdir()
    path = tmp_path / ".deploy/history.jsonl"
    first, second = history.event("started", RELEASE), history.event("proven", RELEASE, detail="it's $HOME")
    for happened, torn in ((first, '{"a":' * 100_000), (second, '{"kind":"pro')):
        path.write_text((path.read_text() if path.exists() else "not json\n") + torn)
        script = f"{history.append_function(directory)}append"
        subprocess.run(["sh", "-c", script], input=f"{happened.line()}\n".encode(), check=True)
    assert history.parse_events(path.read_text()) == [first, second]


def test_what_is_read_of_a_long_history_is_in_its_order(tmp_path: Path) -> None:
    (tmp_path / ".deploy").mkdir()
    events = [history.event(k, replace(RELEASE, id=f"r{i}")) for i in range(9) for k in ("started", "proven")]
    events.append(history.event("started", replace(RELEASE, id="r9")))
    events += [history.event("aborted", replace(RELEASE, id=f"a{i}")) for i in range(5)]
    (tmp_path / ".deploy/history.jsonl").write_text("".join(f"{e.line()}\n" for e in events))
    script = history.read_command(PurePosixPath(tmp_path), 4, 3)
    found = history.parse_events(
        subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    )
    assert [(e.kind, e.release.id) for e in found] == [
        ("proven", "r5"),
        ("proven", "r6"),
        ("proven", "r7"),
        ("started", "r8"),
        ("proven", "r8"),
        ("started", "r9"),
    ]
    assert history.interrupted(found) is found[-1]


def test_what_was_aborted_hides_no_interrupted_switch() -> None:
    started, aborted = history.event("started", RELEASE), history.event("aborted", RELEASE)
    assert history.interrupted([started, aborted]) is started
    assert history.unsettled([started, aborted]) is started
    assert history.proven([aborted]) is None


def proven_line(*steps: tuple[str, str | None]) -> list[history.Event]:
    return [history.event("proven", replace(RELEASE, id=i), before=before) for i, before in steps]


def test_rolling_back_twice_goes_two_releases_back() -> None:
    # r1, r2, r3, then back to r2 as r4, whose way back is that of r2.
    past = proven_line(("r1", None), ("r2", "r1"), ("r3", "r2"), ("r4", "r1"))
    assert [e.release.id for e in history.lineage(past, 5)] == ["r4", "r1"]


def test_what_a_rollback_could_need_is_kept_by_time_and_by_lineage() -> None:
    past = proven_line(("r1", None), ("r2", "r1"), ("r3", "r2"), ("r4", "r1"))
    assert {e.release.id for e in history.kept(past, 2)} == {"r4", "r3", "r1"}


def test_the_newest_proven_release_counts_and_a_start_without_an_end_is_interrupted() -> None:
    started, proven = history.event("started", RELEASE), history.event("proven", RELEASE)
    failed = history.event("failed", RELEASE)
    assert history.proven([started, proven, started, failed]) is proven
    assert history.proven([started, failed]) is None
    assert history.interrupted([proven, started]) is started
    assert history.interrupted([started, proven]) is None


def test_a_switch_is_unsettled_until_it_ended_on_a_whole_release() -> None:
    started = history.event("started", RELEASE)
    for kind, whole in (("proven", True), ("reverted", True), ("adopted", True), ("failed", False)):
        newest = replace(started, kind=kind)
        assert history.unsettled([started, newest]) is (None if whole else newest)
    assert history.unsettled([started]) is started
    assert history.unsettled([]) is None


def test_what_an_earlier_program_has_written_comes_back_byte_for_byte() -> None:
    """Whatever it was written as: other spellings would be other images for Compose, and for what compares records."""
    images = {
        "a": f"docker.io/library/redis:7@sha256:{'a' * 64}",
        "b": f"prom/prometheus@sha256:{'b' * 64}",
        "c": "sha256:" + "c" * 64,
        "d": f"h:5443/o/x:sha-0000001@sha256:{'d' * 64}",
    }
    release = {
        "id": "r1",
        "tag": "t",
        "commit": None,
        "images": images,
        "files": {"a": "1"},
        "secrets": {"a": "S=1"},
    }
    more = {"replicas": {"a": 1}, "restores": None, "secret_files": {}, "probes": None}
    line = json.dumps(
        {
            **{"kind": "proven", "at": "2026-01-01T00:00:00Z", "who": "me", "origin": "here"},
            **{"release": {**release, **more}, "command": "deploy-web", "seconds": 1.5, "hashes": {"a": "h"}},
            **{"before": None, "replaced": None, "detail": ""},
        },
        separators=(",", ":"),
    )
    (found,) = history.parse_events(line)
    assert found.line() == line
