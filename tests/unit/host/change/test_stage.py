import os
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from deploy_lib.host.change import stage
from deploy_lib.host.change.stage import Staging
from deploy_lib.host.files import pack
from deploy_lib.host.look.registry import Login
from deploy_lib.release.files import digest
from deploy_lib.release.image import Image
from deploy_lib.secrets.value import Secret
from tests.unit import build

HOME = PurePosixPath("/opt/x")
DIGEST = "sha256:" + "a" * 64
LOGIN = Login("ghcr.io", "me", Secret("registry-pass"))


def run(home: Path, staging: Staging) -> subprocess.CompletedProcess[bytes]:
    script = stage.staging_script(build.stack(str(home)), staging, ())
    command = ["sh", "-c", script]
    return subprocess.run(
        command, input=pack(staging.uploads), capture_output=True, env={"FINGERPRINT_KEY": "k"}
    )


def test_nothing_is_logged_in_to_when_nothing_private_is_pulled() -> None:
    script = stage.staging_script(build.stack(), Staging(pulls=[Image("a/b", "1", DIGEST)]), ())
    assert "login" not in script
    assert f"docker pull --quiet a/b:1@{DIGEST}" in script


def test_the_password_stands_in_no_script() -> None:
    script = stage.staging_script(build.stack(), Staging(pulls=[Image("ghcr.io/b", "1", DIGEST)]), [LOGIN])
    assert "registry-pass" not in script
    assert "--password-stdin" in script


def test_files_are_kept_by_their_content_and_those_of_the_release_before_are_saved(tmp_path: Path) -> None:
    new, old = b"new", b"old"
    (tmp_path / "it's").write_bytes(old)
    (tmp_path / "edited").write_bytes(b"by hand")
    saves = {"it's": digest(old), "edited": digest(b"as recorded")}
    done = run(tmp_path, Staging(uploads={digest(new): new}, saves=saves))
    assert done.returncode == 0, done.stderr
    kept = {p.name: p.read_bytes() for p in (tmp_path / ".deploy/objects").iterdir()}
    assert kept == {digest(new): new, digest(old): old}
    assert (tmp_path / ".deploy/key").read_text() == "k"


def test_names_of_files_last_only_after_their_contents(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sync").write_text(f"#!/bin/sh\nls {tmp_path}/.deploy/objects; printf '%s\\n' \"$@\"\n")
    (tmp_path / "bin/sync").chmod(0o755)
    staging = Staging(uploads={digest(b"new"): b"new"})
    script = stage.staging_script(build.stack(str(tmp_path)), staging, ())
    env = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "REGISTRY_KEY": "k"}
    done = subprocess.run(["sh", "-c", script], input=pack(staging.uploads), capture_output=True, env=env)
    objects = f"{tmp_path}/.deploy/objects"
    new = digest(b"new")
    key = f"{tmp_path}/.deploy/key"
    assert done.stdout.decode().split() == [f"{objects}.new/{new}", f"{objects}.new", new, f"{key}.new"]
    assert Path(key).exists()


def test_an_upload_that_was_cut_short_leaves_no_object_and_the_next_one_succeeds(tmp_path: Path) -> None:
    content = b"x" * 100_000
    staging = Staging(uploads={digest(content): content})
    script = stage.staging_script(build.stack(str(tmp_path)), staging, ())
    cut = subprocess.run(["sh", "-c", script], input=pack(staging.uploads)[:50_000], capture_output=True)
    assert cut.returncode != 0
    assert b"the files could not be written; their disk:" in cut.stderr
    assert list((tmp_path / ".deploy/objects").iterdir()) == []
    assert run(tmp_path, staging).returncode == 0
    assert [p.name for p in (tmp_path / ".deploy/objects").iterdir()] == [digest(content)]


@pytest.mark.parametrize("known", [True, False])
def test_content_that_has_another_name_is_pulled_where_the_engine_does_not_take_it(
    tmp_path: Path, known: bool
) -> None:
    (tmp_path / "docker").write_text(
        f"""#!/bin/sh
echo "$1 $2" >>{tmp_path}/calls
[ "$1" != tag ] || [ -e {tmp_path}/pulled ] || {str(known).lower()} || {{ echo 'No such image' >&2; exit 1; }}
[ "$1" != pull ] || touch {tmp_path}/pulled
"""
    )
    (tmp_path / "docker").chmod(0o755)
    image, old = Image("h/x", "1", DIGEST), Image("h/y", "1", DIGEST)
    staging = Staging(protect=[image], unnamed=[image], keep=[old])
    script = stage.staging_script(build.stack(str(tmp_path / "home")), staging, ())
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FINGERPRINT_KEY": "k"}
    done = subprocess.run(["sh", "-c", script], input=pack({}), capture_output=True, env=env)
    assert done.returncode == 0, done.stderr
    calls = [
        line for line in (tmp_path / "calls").read_text().splitlines() if " h/x" in line or "pull" in line
    ]
    tag = f"tag h/x@{DIGEST}"
    assert calls == ([tag] if known else [tag, "pull --quiet", tag])


def test_an_earlier_release_s_image_that_cannot_be_tagged_keeps_nothing_back(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    staging = Staging(keep=[Image("h/y", "1", DIGEST)])
    script = stage.staging_script(build.stack(str(tmp_path / "home")), staging, ())
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FINGERPRINT_KEY": "k"}
    assert subprocess.run(["sh", "-c", script], input=pack({}), env=env).returncode == 0


def test_an_image_is_protected_as_soon_as_it_is_there(tmp_path: Path) -> None:
    """What a later pull that fails leaves behind can be told from other people's images."""
    images = [Image("h/x", name, DIGEST) for name in ("there", "first", "second", "third")]
    (tmp_path / "docker").write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\ncase "$*" in *second*) exit 1;; esac\n'
    )
    (tmp_path / "docker").chmod(0o755)
    script = stage.staging_script(
        build.stack(str(tmp_path / "home")), Staging(pulls=images[1:], protect=images), ()
    )
    env = {"FINGERPRINT_KEY": "k", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    (tmp_path / "home").mkdir()
    done = subprocess.run(["sh", "-c", script], input=pack({}), capture_output=True, env=env)
    assert done.returncode == 1, done.stderr
    calls = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    assert [(call[0], call[-1]) for call in calls] == [
        ("tag", images[0].keep_tag("shop-1.")),
        ("pull", str(images[1])),
        ("tag", images[1].keep_tag("shop-1.")),
        ("pull", str(images[2])),
    ]


DOCKER = """\
#!/bin/sh
set -eu
config=${DOCKER_CONFIG:-$HOME/.docker}/config.json
context=$(sed -n 's/.*"currentContext":"\\([^"]*\\)".*/ in \\1/p' "$config" 2>/dev/null || true)
case $1 in
  context) [ ! -d "${config%/*}/contexts/meta" ] || echo "${context# in }";;
  login)
    for host; do :; done
    grep -q "\\"$host\\"" "$DOCKER_CONFIG/config.json" # an entry of its own keeps Docker from the host's credential store
    [ "$(cat)" = "pass-of-$host" ] || { echo "denied: $host" >&2; exit 1; }
    echo "login $host $3" >>"$CALLS"; echo "$host" >>"$DOCKER_CONFIG/in";;
  pull)
    for image; do :; done
    echo "pull $image with ${DOCKER_CONFIG:+$(tr '\\n' ' ' <"$DOCKER_CONFIG/in")}${context% in }" >>"$CALLS";;
esac
"""


def logins(*hosts: str) -> list[Login]:
    return [Login(host, "me", Secret(f"pass-of-{host}")) for host in hosts]


def pulled(folder: Path, given: list[Login], *images: str) -> tuple[list[str], str]:
    """What staging calls Docker for, and what it says."""
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    (folder / "home").mkdir(exist_ok=True)
    staging = Staging(pulls=[Image.parse(f"{image}@{DIGEST}") for image in images])
    needed = stage.needed_logins(staging, given)
    script = stage.staging_script(build.stack(str(folder / "home")), staging, needed)
    env = {
        "FINGERPRINT_KEY": "k",
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": str(folder),
        "CALLS": f"{folder}/calls",
    }
    done = subprocess.run(
        ["sh", "-c", script], input=pack({}), capture_output=True, env=env | stage.passwords(needed)
    )
    calls = folder / "calls"
    said = done.stderr.decode() if done.returncode else ""
    return calls.read_text().replace(f"@{DIGEST}", "").splitlines() if calls.exists() else [], said


def test_each_image_is_pulled_with_our_login_at_its_registry_or_as_the_host_would(tmp_path: Path) -> None:
    images = ("h.example:5000/a:1", "redis:7", "other.example/c:1")
    calls, said = pulled(tmp_path, logins("h.example:5000", "docker.io", "unused.example"), *images)
    assert said == ""
    assert calls == [
        *("login h.example:5000 me", "login docker.io me"),
        "pull h.example:5000/a:1 with h.example:5000 docker.io ",
        "pull redis:7 with h.example:5000 docker.io ",
        "pull other.example/c:1 with ",
    ]


def test_our_logins_pull_through_the_context_that_the_host_uses(tmp_path: Path) -> None:
    """Another engine than the default one, such as a rootless one: what was pulled elsewhere would not be there."""
    (tmp_path / ".docker/contexts/meta").mkdir(parents=True)
    (tmp_path / ".docker/config.json").write_text('{"currentContext":"rootless"}')
    calls, said = pulled(tmp_path, logins("h.example"), "h.example/a:1", "redis:7")
    assert said == ""
    assert calls == [
        "login h.example me",
        "pull h.example/a:1 with h.example  in rootless",
        "pull redis:7 with  in rootless",
    ]


def test_a_login_is_known_by_the_name_that_the_image_has(tmp_path: Path) -> None:
    given = [Login("h.example", "me", Secret("pass-of-H.example"))]
    calls, said = pulled(tmp_path, given, "H.example/a:1")
    assert (calls, said) == (["login H.example me", "pull H.example/a:1 with H.example "], "")


def test_which_login_failed_is_said_and_nothing_is_pulled(tmp_path: Path) -> None:
    wrong = Login("b.example", "me", Secret("another"))
    calls, said = pulled(tmp_path, [*logins("a.example"), wrong], "a.example/x:1", "b.example/y:1")
    assert calls == ["login a.example me"]
    assert said == "the login at b.example failed\ndenied: b.example\n"
