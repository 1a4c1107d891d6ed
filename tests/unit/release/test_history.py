"""What a history tells: which releases count, what a rollback would go to, and what is kept for it."""

import json

from deploy_lib.host.change.history import event
from deploy_lib.release import history
from deploy_lib.release.history import Event, parse_events
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.values import replace

RELEASE = Release("r1", "sha-0000001", None, {"web": Image("x", digest="sha256:1")}, {"a": "1"})


def test_what_was_aborted_hides_no_interrupted_switch() -> None:
    started, aborted = event("started", RELEASE), event("aborted", RELEASE)
    assert history.interrupted([started, aborted]) is started
    assert history.unsettled([started, aborted]) is started
    assert history.proven([aborted]) is None


def proven_line(*steps: tuple[str, str | None]) -> list[Event]:
    return [event("proven", replace(RELEASE, id=i), before=before) for i, before in steps]


def test_rolling_back_twice_goes_two_releases_back() -> None:
    # r1, r2, r3, then back to r2 as r4, whose way back is that of r2.
    past = proven_line(("r1", None), ("r2", "r1"), ("r3", "r2"), ("r4", "r1"))
    assert [e.release.id for e in history.lineage(past, 5)] == ["r4", "r1"]


def test_what_a_rollback_could_need_is_kept_by_time_and_by_lineage() -> None:
    past = proven_line(("r1", None), ("r2", "r1"), ("r3", "r2"), ("r4", "r1"))
    assert {e.release.id for e in history.kept(past, 2)} == {"r4", "r3", "r1"}


def test_the_newest_proven_release_counts_and_a_start_without_an_end_is_interrupted() -> None:
    started, proven = event("started", RELEASE), event("proven", RELEASE)
    failed = event("failed", RELEASE)
    assert history.proven([started, proven, started, failed]) is proven
    assert history.proven([started, failed]) is None
    assert history.interrupted([proven, started]) is started
    assert history.interrupted([started, proven]) is None


def test_a_switch_is_unsettled_until_it_ended_on_a_whole_release() -> None:
    started = event("started", RELEASE)
    for kind, whole in (("proven", True), ("reverted", True), ("adopted", True), ("failed", False)):
        newest = replace(started, kind=kind)
        assert history.unsettled([started, newest]) is (None if whole else newest)
    assert history.unsettled([started]) is started
    assert history.unsettled([]) is None


def test_a_restore_is_unsettled_until_it_or_a_release_is_proven() -> None:
    began = event("restoring", RELEASE, backups=("b1", "b2"))
    for kind, whole in (
        ("restored", True),
        ("restore-reverted", True),
        ("proven", True),
        ("restore-failed", False),
    ):
        newest = replace(began, kind=kind)
        assert history.unsettled_restore([began, newest]) is (None if whole else newest)
    made, failed = event("backup", RELEASE), event("failed", RELEASE)
    assert history.unsettled_restore([began, made, failed]) is began
    assert history.unsettled_restore([made, failed]) is None


def test_what_a_restore_has_stopped_is_read_again() -> None:
    events = [event("restoring", RELEASE, stopped=given) for given in (None, (), ("web",))]
    assert history.parse_events("\n".join(each.line() for each in events)) == events


def test_restores_and_backups_hide_no_switch_and_a_proven_restore_ends_one_that_failed() -> None:
    started, failed = event("started", RELEASE), event("failed", RELEASE)
    aside = [event(kind, RELEASE) for kind in ("backup", "restoring", "restore-reverted")]
    assert history.interrupted([started, *aside]) is started
    assert history.unsettled([failed, *aside]) is failed
    assert history.unsettled([failed, *aside, event("restored", RELEASE)]) is None
    assert history.newest_switch([failed, event("restored", RELEASE)]) is failed


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
    (found,) = parse_events(line)
    assert found.line() == line
    (more_known,) = parse_events(replace(found, backups=("b1",)).line())
    assert more_known.backups == ("b1",)
