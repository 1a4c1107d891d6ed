import pytest

from deploy_lib.cli.report import going_back
from deploy_lib.compose.labels import CONFIG_HASH
from deploy_lib.plan.plan import make_plan
from deploy_lib.plan.preview import diff, diffs, foresee
from deploy_lib.release.files import Entry, digest, file_mark
from deploy_lib.release.image import Image
from deploy_lib.values import replace
from tests.unit.plan.test_plan import NEW, NODE, OLD, desired, settled


def test_files_are_shown_as_what_changes_in_them() -> None:
    plan = make_plan(NODE, settled(), desired(files={"compose.yml": b"one\nthree\n"}))
    old = {"compose.yml": b"one\ntwo\n", "conf/site.conf": b"p\n"}
    found = diffs(plan, old, plan.desired.files, [])
    assert found["compose.yml"].splitlines() == [
        *("--- a/compose.yml", "+++ b/compose.yml"),
        *("@@ -1,2 +1,2 @@", " one", "-two", "+three"),
    ]
    assert "+++ /dev/null" in found["conf/site.conf"]
    assert "-p" in found["conf/site.conf"].splitlines()


def test_modes_links_and_what_is_not_for_everybody_are_said_and_not_shown() -> None:
    files = {
        "run": Entry(b"r", 0o755),
        "key": Entry(b"private", 0o600),
        "link": Entry(target="run"),
        "d": Entry(folder=True),
    }
    plan = make_plan(NODE, settled(), desired(files=files))  # type: ignore[arg-type]
    found = diffs(plan, {"run": b"r", "key": b"old"}, plan.desired.files, [])
    assert {path: found[path] for path in files} == {
        "run": "run has the mode 755",
        "key": "key differs; its mode says that it is not for everybody to read",
        "link": "link becomes a link to run",
        "d": "d is made",
    }


def test_what_was_not_for_everybody_is_not_shown_when_it_goes_or_becomes_open_either() -> None:
    facts = settled()
    (proven,) = facts.history
    closed = {name: file_mark(digest(b"old"), 0o600) for name in ("gone", "opened")}
    held = replace(proven, release=replace(proven.release, files={**proven.release.files, **closed}))
    facts = replace(facts, history=(held,), files={**facts.files, **closed})
    plan = make_plan(NODE, facts, desired(files={"opened": b"new"}))
    found = diffs(plan, {"gone": b"PASSWORD: x", "opened": b"old"}, {"opened": b"new"}, [])
    assert {found["gone"], found["opened"]} == {
        f"{path} differs; its mode says that it is not for everybody to read" for path in ("gone", "opened")
    }


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660, 0o400])
@pytest.mark.parametrize("where", ["desired", "recorded", "on the host", "unsettled"])
def test_whoever_closed_a_file_it_is_not_shown(mode: int, where: str) -> None:
    mark = file_mark(digest(b"x"), mode)
    facts = settled()
    (proven,) = facts.history
    if where == "recorded":
        proven = replace(proven, release=replace(proven.release, files={**proven.release.files, "f": mark}))
    facts = replace(facts, history=(proven,), files={**facts.files, "f": file_mark(digest(b"x"))})
    entry = Entry(b"new", mode if where == "desired" else 0o644)
    plan = make_plan(NODE, facts, desired(files={"f": entry}))  # type: ignore[dict-item]
    there = [{"f": mark}] if where in ("on the host", "unsettled") else []
    assert diffs(plan, {"f": b"PASSWORD"}, {"f": b"new"}, [facts.files, *there])["f"] == (
        "f differs; its mode says that it is not for everybody to read"
    )


def test_variables_that_somebody_else_has_deployed_are_not_shown() -> None:
    facts = settled()
    (proven,) = facts.history
    adopted = replace(
        proven, kind="adopted", release=replace(proven.release, env_files=(".env",), files={".env": "1"})
    )
    plan = make_plan(
        NODE, replace(facts, history=(adopted,), files={".env": "1"}), desired(files={".env": b"A=1\n"})
    )
    found = diffs(plan, {".env": b"PASSWORD=x\n"}, {".env": b"A=1\n"}, [])
    assert "PASSWORD" not in found[".env"]


def test_a_new_file_comes_from_nowhere_and_what_is_no_text_is_not_shown() -> None:
    assert diff("x", b"", b"new\n").splitlines()[:2] == ["--- /dev/null", "+++ b/x"]
    assert diff("x", b"\xff\x00", b"new\n") == "binary file x differs"


def test_what_compose_would_recreate_is_foreseen_with_its_reason() -> None:
    facts = settled()
    running = facts.containers[0].labels[CONFIG_HASH]

    def change(found: str, changed: tuple[str, ...], image: Image = OLD) -> tuple[str, str]:
        plan = replace(make_plan(NODE, facts, desired(image)), changed=changed)
        (change,) = foresee(plan, {"web": running}, {"web": found}, ("shop.env", "release.env")).changes
        return change.action, change.why

    assert change(running, ("shop.env",)) == ("keep", "")
    assert change("other", ("shop.env", "release.yml")) == ("recreate", "environment")
    assert change("other", ("compose.yml", "shop.env")) == ("recreate", "configuration")
    assert change("other", ("compose.yml",), NEW) == ("recreate", "image")


def test_a_failure_and_a_later_rollback_may_lead_to_different_releases() -> None:
    plan = make_plan(NODE, settled(), desired(NEW))
    assert plan.back is not None
    running = f"{plan.back.release.tag} (release r1)"
    assert going_back(plan) == f"if it fails, and for a rollback afterwards: {running}"
    # As it is when a rollback, or a release of the same content, is what would be deployed.
    skipping = replace(plan, next_before="r0")
    assert going_back(skipping) == f"if it fails: {running}; for a rollback afterwards: release r0"
    first = replace(plan, next_before=None)
    assert going_back(first) == f"if it fails: {running}; there is nothing for a rollback afterwards"
