import io
import os
import re
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy_lib import layout
from deploy_lib.host.change import values
from deploy_lib.secrets.places import Place
from deploy_lib.shell import TRUST, ScriptExit
from tests.unit import build
from tests.worst import WORST

STACK = build.stack()

DOCKER = """#!/bin/sh
case $1 in
  ps)
    [ -z "$DOWN" ] || { echo "Cannot connect to the Docker daemon" >&2; exit 1; }
    [ -z "$LISTED" ] || { echo "$LISTED"; exit; }
    echo stopped; echo running;;
  cp)
    case $2 in
      *:/run/secrets/of) c=${2%%:*}; cd "$FAKE" && mkdir -p "$c" && printf 'of %s' "$c" > "$c/of" && exec tar -cf - -C "$c" of;;
      running:/run/secrets/token) [ -n "$COMPLAINT" ] || exec cat "$FAKE/token.tar"; echo "$COMPLAINT" >&2; exit 1;;
    esac
    echo "Error response from daemon: Could not find the file ${2#*:} in container ${2%%:*}" >&2
    exit 1;;
  # As the Engine prints the variable that the format asks for.
  inspect) case $3 in *\\"$VARIABLE\\"*) printf '%s=%sx\\n' "$VARIABLE" "$SHOWN";; *Config.Env*) echo;; *Mounts*) echo "$MOUNT";; *) echo "/shop-1-web-1";; esac;;
esac
"""
PLACES = [
    Place("web", "file", "/run/secrets/token", ("", "TOKEN", "")),
    Place("web", "file", "/run/secrets/gone", ("", "GONE", "")),
]
NAMES = ["GONE", "TOKEN"]


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    return tmp_path


def start(fake: Path, script: str, value: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    with tarfile.open(fake / "token.tar", "w") as archive:
        info = tarfile.TarInfo("token")
        info.size = len(value.encode())
        archive.addfile(info, io.BytesIO(value.encode()))
    environment = {**os.environ, "PATH": f"{fake}:{os.environ['PATH']}", "FAKE": str(fake), **env}
    return subprocess.run(["sh", "-c", script], env=environment, capture_output=True)


def run(fake: Path, script: str, value: str, **env: str) -> bytes:
    done = start(fake, script, value, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "value", ["", "plain", 'it\'s "$X" `id`\\n', "ends in lines\n\n", "\n-n x", "🔑 % # x"]
)
def test_a_value_that_runs_is_restored_byte_for_byte(fake: Path, value: str) -> None:
    script = f'{values.capture(STACK, PLACES)}\n{values.restore(NAMES)}\nprintf %s "$TOKEN"'
    assert run(fake, script, value, TOKEN="given").decode() == value


def test_what_cannot_be_read_keeps_the_value_that_was_given(fake: Path) -> None:
    script = f'{values.capture(STACK, PLACES)}\n{values.restore(NAMES)}\nprintf %s "$GONE"'
    assert run(fake, script, "x", GONE="given") == b"given"


def test_a_secret_without_any_value_is_noticed(fake: Path) -> None:
    script = f"{values.capture(STACK, PLACES)}\n{values.restore(NAMES)}\n{values.have_values(NAMES)} && echo all; true"
    assert run(fake, script, "x") == b""
    assert run(fake, script, "x", GONE="") == b"all\n"


def shown(fake: Path, places: list[Place], names: list[str], variable: str, text: str, value: str) -> str:
    """The values that are restored, one after the other, where a container shows `text` in a variable."""
    script = f"{values.capture(STACK, places)}\n{values.restore(names)}\n" + "; ".join(
        f'printf %s "${n}"' for n in names
    )
    return run(fake, script, value, VARIABLE=variable, SHOWN=text).decode()


@pytest.mark.parametrize("value", ["plain", 'a"$X" `id`\\n=%', "two\nlines\n\n", "@db", "🔑"])
def test_a_value_in_the_environment_is_restored_byte_for_byte(fake: Path, value: str) -> None:
    bare = Place("web", "environment", "KEY", ("", "PW", ""))
    url = Place("web", "environment", "URL", ("db://it's:", "PW", "@db"))
    assert shown(fake, [bare], ["PW"], "KEY", value, "") == value
    assert shown(fake, [url], ["PW"], "URL", f"db://it's:{value}@db", "") == value


def test_a_value_beside_another_is_found_by_means_of_that_one(fake: Path) -> None:
    dsn = Place("web", "environment", "DSN", ("db://", "WHO", ":", "TOKEN", "@db"))
    token = PLACES[0]
    assert shown(fake, [dsn, token], ["WHO"], "DSN", "db://me:you:a*[b@db", "a*[b") == "me:you"


@pytest.mark.parametrize("text", ["other://x@db", "db://x@elsewhere", "db://@d"])
def test_a_text_of_another_shape_gives_no_value(fake: Path, text: str) -> None:
    url = Place("web", "environment", "URL", ("db://", "PW", "@db"))
    assert shown(fake, [url], ["PW"], "URL", text, "") == ""


TWO = [*PLACES[:1], Place("web", "file", "/run/secrets/other", ("", "OTHER", ""))]
WHOLE = """case "$1 $2" in
  "cp stopped:/run/secrets") echo "cp $2" >>"$FAKE/calls"; exit 1;;
  "cp running:/run/secrets") echo "cp $2" >>"$FAKE/calls"; exec tar -cf - -C "$FAKE" secrets;;
  "cp "*|"ps "*) echo "$1 $2" >>"$FAKE/calls";;
esac
"""


@pytest.mark.parametrize("value", ["plain", "ends in lines\n\n", "🔑 % # x"])
def test_the_files_of_a_directory_are_read_by_one_call(fake: Path, value: str) -> None:
    (fake / "docker").write_text(DOCKER.replace("case $1 in", f"{WHOLE}\ncase $1 in", 1))
    (fake / "secrets").mkdir()
    for name in ("token", "other"):
        (fake / "secrets" / name).write_text(f"{name} {value}")
    script = f'{values.capture(STACK, TWO)}\nprintf %s "$old_OTHER$old_TOKEN"'
    assert run(fake, script, "", LISTED="running").decode() == f"other {value}token {value}"
    assert (fake / "calls").read_text().splitlines() == ["ps -a", "cp running:/run/secrets"]


def test_of_any_other_directory_only_the_secrets_are_read(fake: Path) -> None:
    (fake / "docker").write_text(DOCKER.replace("case $1 in", f"{WHOLE}\ncase $1 in", 1))
    elsewhere = [Place("web", "file", f"/data/{name.lower()}", ("", name, "")) for name in ("TOKEN", "OTHER")]
    run(fake, values.capture(STACK, elsewhere), "", LISTED="running")
    copied = [call for call in (fake / "calls").read_text().splitlines() if call.startswith("cp")]
    assert {*copied} == {"cp running:/data/token", "cp running:/data/other"}


def test_what_a_directory_does_not_give_is_asked_for_by_itself(fake: Path) -> None:
    (fake / "docker").write_text(DOCKER.replace("case $1 in", f"{WHOLE}\ncase $1 in", 1))
    (fake / "secrets").mkdir()
    # A link has no content in an archive, and is no empty value.
    (fake / "secrets" / "token").symlink_to("elsewhere")
    (fake / "secrets" / "other").write_text("other")
    script = f'{values.capture(STACK, TWO)}\nprintf %s "$old_OTHER$old_TOKEN"'
    assert run(fake, script, "token", LISTED="stopped\nrunning") == b"othertoken"


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (
            {"COMPLAINT": "Error response from daemon: context deadline exceeded"},
            "cannot be read from the container shop-1-web-1: Error response from daemon: context deadline exceeded",
        ),
        ({"DOWN": "1"}, "cannot be read: the containers of web cannot be listed: Cannot connect"),
    ],
)
def test_a_secret_that_docker_does_not_give_is_not_an_absent_one(
    fake: Path, trouble: dict[str, str], said: str
) -> None:
    done = start(fake, f"{values.capture(STACK, PLACES)}\necho went on", "value", TOKEN="given", **trouble)
    assert done.returncode == ScriptExit.NO_OLD_VALUES
    assert (
        f"the secret TOKEN {said}" in done.stdout.decode()
        or f"the secret GONE {said}" in done.stdout.decode()
    )
    assert b"went on" not in done.stdout


def test_a_second_place_that_is_empty_does_not_make_the_first_an_absent_one(fake: Path) -> None:
    variable = Place("web", "environment", "KEY", ("", "TOKEN", ""))
    script = f"{values.capture(STACK, [PLACES[0], variable])}\necho went on"
    trouble = {"COMPLAINT": "Error response from daemon: context deadline exceeded", "VARIABLE": "OTHER"}
    done = start(fake, script, "value", TOKEN="given", **trouble)
    assert (done.returncode, b"went on" in done.stdout) == (ScriptExit.NO_OLD_VALUES, False)
    # Where the second has it, nothing is wanting.
    found = start(fake, script, "value", TOKEN="given", **{**trouble, "VARIABLE": "KEY", "SHOWN": "x"})
    assert (found.returncode, found.stdout) == (0, b"went on\n")


def test_a_refusal_of_an_engine_under_load_is_asked_again(fake: Path) -> None:
    # Both the attempt and the question why fail, of one container.
    busy = """case "$1 $2" in "cp running:/run/secrets/token") mkdir "$FAKE/a" || mkdir "$FAKE/b" && exit 1;; esac 2>/dev/null"""
    (fake / "docker").write_text(DOCKER.replace("case $1 in", f"{busy}\ncase $1 in", 1))
    script = f'{values.capture(STACK, PLACES)}\n{values.restore(NAMES)}\nprintf %s "$TOKEN"'
    assert run(fake, script, "value", TOKEN="given") == b"value"


@pytest.mark.parametrize(
    "complaint",
    ["Error response from daemon: No such container: running", "Error: No such container:path: running:/x"],
)
def test_a_container_that_is_gone_by_then_has_no_secret(fake: Path, complaint: str) -> None:
    script = f'{values.capture(STACK, PLACES)}\n{values.restore(NAMES)}\nprintf %s "$TOKEN"'
    assert run(fake, script, "value", TOKEN="given", COMPLAINT=complaint) == b"given"


def test_files_in_memory_that_a_reboot_has_taken_are_absent(fake: Path, tmp_path: Path) -> None:
    mounts = {"COMPLAINT": "Error response from daemon: mount /x: not a directory"}
    script = f'{values.capture(STACK, PLACES)}\n{values.restore(NAMES)}\nprintf %s "$TOKEN"'
    lost = f"{STACK.secret_places[0]}/TOKEN"
    assert run(fake, script, "value", TOKEN="given", MOUNT=lost, **mounts) == b"given"
    done = start(fake, script, "value", TOKEN="given", MOUNT=str(tmp_path / "config"), **mounts)
    assert done.returncode == ScriptExit.NO_OLD_VALUES


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def deliver(directory: Path, *names: str, **env: str) -> subprocess.CompletedProcess[str]:
    files = {name.lower(): str(directory / name) for name in names}
    return subprocess.run(
        ["sh", "-c", TRUST + values.deliver(files)], env={**os.environ, **env}, capture_output=True, text=True
    )


@pytest.mark.parametrize("value", WORST.values(), ids=WORST)
def test_a_file_in_memory_has_the_value_byte_for_byte(memory: Path, value: str) -> None:
    file = memory / "secrets/p/A"
    assert deliver(file.parent, "A", A=value).returncode == 0
    assert file.read_bytes() == value.encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    assert (
        stat.S_IMODE(file.parent.stat().st_mode) == stat.S_IMODE(file.parent.parent.stat().st_mode) == 0o700
    )


def test_a_container_that_runs_keeps_the_file_that_it_has(memory: Path) -> None:
    file = memory / "secrets/p/A"
    deliver(file.parent, "A", A="old")
    with file.open() as mounted:
        deliver(file.parent, "A", A="new")
        assert (mounted.read(), file.read_text()) == ("old", "new")


def test_where_memory_is_full_no_file_is_another_one_and_what_is_there_is_not_written_again(
    memory: Path, tmp_path: Path
) -> None:
    """What stands for a full one: the second file cannot be finished, and later none."""
    place = memory / "secrets/p"
    assert deliver(place, "A", "B", A="old", B="old").returncode == 0
    (tmp_path / "chmod").write_text(
        '#!/bin/sh\ncase $* in *"$FULL".new) echo No space left on device >&2; exit 1;; esac\nexec /bin/chmod "$@"\n'
    )
    (tmp_path / "chmod").chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert deliver(place, "A", "B", A="new", B="new", FULL="B", **env).returncode == 1
    assert {path.name: path.read_text() for path in place.iterdir()} == {"A": "old", "B": "old"}
    assert deliver(place, "A", "B", A="old", B="old", FULL="", **env).returncode == 0


def test_no_file_is_written_where_there_is_no_memory(tmp_path: Path) -> None:
    done = deliver(tmp_path / "secrets/p", "A", A="value")
    assert done.returncode
    assert "is not in memory" in done.stdout
    assert list((tmp_path / "secrets/p").iterdir()) == []


def test_no_file_is_written_into_a_directory_of_somebody_else(memory: Path) -> None:
    # For root, only what it gives away is somebody else's; for others, /dev/shm is.
    place = memory
    if os.geteuid() == 0:
        place = memory / "p"
        place.mkdir()
        os.chown(place, 12345, -1)
    done = deliver(place, "A", A="value")
    assert done.returncode
    assert re.search(r"belongs to \S+", done.stdout)
    assert not (place / "A").exists()


def test_what_no_release_has_any_more_is_swept(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MEMORY", (str(memory / "a"), str(memory / "b")))
    kept, other = (Path(layout.secrets_in(place, "shop-1")) for place in layout.MEMORY)
    for directory in (kept, other):
        directory.parent.parent.mkdir()
        deliver(directory, "A", "B", A="1", B="2")
    subprocess.run(["sh", "-c", TRUST + values.sweep(STACK, {"a": str(kept / "A")})], check=True)
    assert [path.name for path in kept.iterdir()] == ["A"]
    assert not other.parent.exists()
    subprocess.run(["sh", "-c", TRUST + values.sweep(STACK, {})], check=True)
    assert not kept.parent.exists()


def test_a_link_of_another_user_is_not_swept_through(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MEMORY", (str(memory),))
    victim = memory / "victim/p/file"
    victim.parent.mkdir(parents=True)
    victim.touch()
    (memory / "ktrdr-secrets").symlink_to(memory / "victim")
    subprocess.run(["sh", "-c", TRUST + values.sweep(STACK, {})], check=True)
    assert victim.exists()


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_no_file_is_written_where_others_could_replace_it(memory: Path, mode: int) -> None:
    (memory / "secrets").mkdir()
    (memory / "secrets").chmod(mode)
    done = deliver(memory / "secrets/p", "A", A="value")
    assert done.returncode
    assert f"chmod go-w {memory}/secrets" in done.stdout
    assert list((memory / "secrets").iterdir()) == []


def test_no_file_is_written_into_memory_in_which_others_can_rename(memory: Path) -> None:
    memory.chmod(0o777)
    done = deliver(memory / "secrets/p", "A", A="value")
    assert done.returncode
    assert f"chmod go-w {memory}" in done.stdout
    assert list(memory.iterdir()) == []


def test_a_name_that_is_there_already_is_not_written_through(memory: Path) -> None:
    victim = memory / "victim"
    victim.write_text("kept")
    place = memory / "secrets/p"
    place.mkdir(parents=True, mode=0o700)
    for name in ("A", "A.new"):
        (place / name).symlink_to(victim)
    assert deliver(place, "A", A="value").returncode == 0
    assert ((place / "A").read_text(), victim.read_text()) == ("value", "kept")
    assert not (place / "A").is_symlink()


OF = [Place("web", "file", "/run/secrets/of", ("", "OF", ""))]


@pytest.mark.parametrize(
    ("listed", "mark", "value"),
    [
        ("newest OF=2\nolder A=1 OF=1\noldest OF=1", "1", b"of older"),
        ("newest OF=1\nolder OF=2", "1", b"of newest"),
        # Without one that has it, what runs is the best that there is; nor is a mark known of what somebody else started.
        ("newest OF=2\nolder OF=3", "1", b"of newest"),
        ("newest\nolder", "1", b"of newest"),
        ("newest OF=2\nolder OF=1", "", b"of newest"),
        ("newest NOT_OF=1\nolder OF=1", "1", b"of older"),
    ],
)
def test_of_several_containers_the_one_counts_that_has_the_value_of_the_release(
    fake: Path, listed: str, mark: str, value: bytes
) -> None:
    script = values.capture(STACK, OF, {"web": {"OF": mark}}) + '\nprintf %s "$old_OF"'
    assert run(fake, script, "", LISTED=listed) == value


def test_a_container_with_the_value_that_does_not_give_it_is_not_passed_over(fake: Path) -> None:
    places = [Place("web", "file", "/run/secrets/token", ("", "TOKEN", ""))]
    script = values.capture(STACK, places, {"web": {"TOKEN": "1"}}) + '\necho "$old_TOKEN"'
    done = start(fake, script, "v", LISTED="running TOKEN=1\nother TOKEN=2", COMPLAINT="no answer")
    assert done.returncode == ScriptExit.NO_OLD_VALUES
    assert b"no answer" in done.stdout
