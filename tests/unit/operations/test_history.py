import subprocess
from pathlib import Path, PurePosixPath

from deploy_lib.operations import history
from deploy_lib.release import Release

RELEASE = Release("r1", "sha-0000001", None, {"web": "x@sha256:1"}, {"a": "1"})


def test_events_survive_a_torn_line_and_one_of_another_program(tmp_path: Path) -> None:
    directory = PurePosixPath(tmp_path)
    (tmp_path / ".deploy").mkdir()
    path = tmp_path / ".deploy/history.jsonl"
    first, second = history.event("started", RELEASE), history.event("proven", RELEASE, detail="it's $HOME")
    for script in (history.append_command(directory, first), history.append_command(directory, second)):
        path.write_text(path.read_text() + '{"kind":"pro' if path.exists() else "not json\n")
        subprocess.run(["sh", "-c", script], check=True)
    assert list(history.parse_events(path.read_text())) == [first, second]


def test_the_newest_proven_release_counts_and_a_start_without_an_end_is_interrupted() -> None:
    started, proven = history.event("started", RELEASE), history.event("proven", RELEASE)
    failed = history.event("failed", RELEASE)
    assert history.proven([started, proven, started, failed]) is proven
    assert history.proven([started, failed]) is None
    assert history.interrupted([proven, started]) is started
    assert history.interrupted([started, proven]) is None
