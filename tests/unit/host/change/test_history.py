import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import cast

import pytest

from deploy_lib.errors import CommandError
from deploy_lib.host.change.history import append_function, event, read_command, read_history
from deploy_lib.release.history import Event, interrupted, lineage, parse_events
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.shell import THERE
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace
from tests.unit.build import stack

RELEASE = Release("r1", "sha-0000001", None, {"web": Image("x", digest="sha256:1")}, {"a": "1"})


def test_events_survive_a_torn_line_and_one_of_another_program(tmp_path: Path) -> None:
    (tmp_path / ".deploy").mkdir()
    path = tmp_path / ".deploy/history.jsonl"
    first, second = event("started", RELEASE), event("proven", RELEASE, detail="it's $HOME")
    for happened, torn in ((first, '{"a":' * 100_000), (second, '{"kind":"pro')):
        path.write_text((path.read_text() if path.exists() else "not json\n") + torn)
        script = f"{append_function(stack(str(tmp_path)))}append"
        subprocess.run(["sh", "-c", script], input=f"{happened.line()}\n".encode(), check=True)
    assert parse_events(path.read_text()) == [first, second]


def test_what_is_read_of_a_long_history_is_in_its_order(tmp_path: Path) -> None:
    (tmp_path / ".deploy").mkdir()
    events = [event(k, replace(RELEASE, id=f"r{i}")) for i in range(9) for k in ("started", "proven")]
    events.append(event("started", replace(RELEASE, id="r9")))
    events += [event("aborted", replace(RELEASE, id=f"a{i}")) for i in range(5)]
    events[15:15] = [event(k, replace(RELEASE, id="b")) for k in ("restoring", "restored", "backup")]
    (tmp_path / ".deploy/history.jsonl").write_text("".join(f"{e.line()}\n" for e in events))
    found = read(tmp_path, 4, 3, 2)
    assert [(e.kind, e.release.id) for e in found] == [
        ("proven", "r5"),
        ("proven", "r6"),
        # It began before r7 was proven, and comes before that.
        ("restored", "b"),
        ("proven", "r7"),
        ("started", "r8"),
        ("proven", "r8"),
        ("started", "r9"),
    ]
    assert interrupted(found) is found[-1]


def read(home: Path, *numbers: int) -> list[Event]:
    script = f"{THERE}history() {{\n{read_command(PurePosixPath(home), *numbers)}}}\nhistory"
    return parse_events(
        subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    )


def test_what_rollbacks_would_go_to_is_read_however_many_releases_of_the_same_content_came_since(
    tmp_path: Path,
) -> None:
    (tmp_path / ".deploy").mkdir()
    before = {"r0": None, "r1": "r0", "r2": "r1", **{f"s{i}": "r2" for i in range(9)}}
    # A service may have any name.
    hashes = {"web": "1", "before": "r0"}
    events = [
        event(kind, replace(RELEASE, id=name), before=each, hashes=hashes)
        for name, each in before.items()
        for kind in ("started", "proven")
    ]
    (tmp_path / ".deploy/history.jsonl").write_text("".join(f"{e.line()}\n" for e in events))
    newest = [f"s{i}" for i in range(5, 9)]
    for rollbacks, older in ((1, ["r2"]), (2, ["r1", "r2"]), (5, ["r0", "r1", "r2"])):
        found = [e.release.id for e in read(tmp_path, 4, 3, rollbacks) if e.kind == "proven"]
        assert found == [*older, *newest]
    assert [e.release.id for e in lineage(read(tmp_path, 4, 3, 5), 5)] == ["s8", "r2", "r1", "r0"]


NOBODY = 65534


@pytest.fixture
def home() -> Iterator[Path]:
    """A stack's directory with a history, below directories that anybody may pass."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        home = Path(folder) / "opt/stack"
        (home / ".deploy").mkdir(parents=True)
        (home / ".deploy/history.jsonl").touch()
        for path in (Path(folder), home.parent, home, home / ".deploy"):
            path.chmod(0o755)
            if os.geteuid() == 0:
                os.chown(path, NOBODY, -1)
        yield home
        for path in (home.parent, home, home / ".deploy"):
            path.chmod(0o755)


@pytest.mark.parametrize(
    ("barred", "hint"),
    [
        (".deploy/history.jsonl", "chown -R USER {home}/.deploy"),
        (".deploy", "chown -R USER {home}/.deploy"),
        (".", "chown -R USER {home}"),
        ("..", "as root on the host: let the user who deploys read what is refused"),
    ],
)
def test_why_a_history_cannot_be_read_is_told_with_what_fixes_that(
    home: Path, barred: str, hint: str
) -> None:
    path = Path(os.path.normpath(home / barred))
    path.chmod(0)

    def run(script: str, **_: object) -> None:
        # Nothing is refused to root.
        other = {"user": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, cwd="/", **other)  # type: ignore[call-overload]
        assert done.returncode
        # That of the innermost thing would be refused as well, and is not the cause.
        assert f"{path}" in done.stderr
        assert f"{path}/" not in done.stderr
        raise CommandError(done.stderr)

    with pytest.raises(CommandError) as caught:
        read_history(cast(Session, SimpleNamespace(run=run)), PurePosixPath(home), 5)
    assert str(caught.value).endswith(hint.format(home=home))
