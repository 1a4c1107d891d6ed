import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import cast

import pytest

from deploy_lib import shell
from deploy_lib.compose.mounts import wanted
from deploy_lib.config import load
from deploy_lib.errors import RemoteError
from deploy_lib.host.change.history import event, read_history
from deploy_lib.host.files import pack
from deploy_lib.host.look import gather, reading
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.gather import facts_script
from deploy_lib.host.look.shape import SHAPE
from deploy_lib.host.stack import HostStack
from deploy_lib.layout import SECRETS_LABEL
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.secrets.fingerprint import fingerprints
from deploy_lib.secrets.value import Secret
from deploy_lib.shell import PATIENT
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace
from tests import ROOT
from tests.unit import build

NODE = load(ROOT, "lab").nodes["core"]

ANSWER = r"""=== memory
/run

=== memory exit 0
=== user
deploy

=== user exit 0
=== tools
docker
flock

=== tools exit 0
=== engine
26.1.5+dfsg1 linux/amd64

=== engine exit 0
=== compose

=== compose exit 1
! docker: 'compose' is not a docker command.
=== directory
writable

=== directory exit 0
=== strangers
/opt is loose	chmod go-w /opt

=== strangers exit 0
=== files
link ./latest	conf/new
directory ./empty
occupied ./full
mode 644 ./docker-compose.core.yml
mode 755 ./run.sh
aa11  ./docker-compose.core.yml
cc33  ./run.sh
\bb22  ./odd\\name

=== files exit 0
=== key
c0ffee
=== key exit 0
=== history

=== history exit 0
=== objects
aa11
bb22

=== objects exit 0
=== delivered
/run/ktrdr-secrets/ktrdr-core/DB_PASSWORD

=== delivered exit 0
=== present
targets

=== present exit 0
=== images
prom/prometheus v1 sha256:1234 sha256:id1
ktrdr-deploy.local/keep abcd <none> sha256:id1
<none> <none> <none> sha256:id2

=== images exit 0
=== containers
{"id":"1","name":"/web-1","image":"x","image_id":"i","state":"running","exit_code":0,"restarts":0,"started":"t","labels":{"com.docker.compose.service":"web"},"ports":{"5003/tcp":[{"HostIp":"","HostPort":"5003"}],"9/udp":[{"HostIp":"","HostPort":""}]},"health":null}
{"id":"2","name":"/web-run","image":"x","image_id":"i","state":"running","exit_code":0,"restarts":0,"started":"t","labels":{"com.docker.compose.oneoff":"True"},"ports":null,"health":null}

=== containers exit 0
=== config
/opt/shop
{"services": {"web": {"image": "x", "volumes": [{"type": "bind", "source": "/opt/shop/conf", "target": "/c"}]}}}

=== config exit 0
=== blank
STAGE

=== blank exit 0
=== layers
1 4096
2 ?

=== layers exit 0
=== clock
1764400000.5

=== clock exit 0
=== space
directory /dev/sda1 100 40 60 40% /
root /var/lib/docker
docker /dev/sda1 100 40 60 40% /

=== space exit 0
=== ram
MemAvailable:    1024 kB

=== ram exit 0
=== listening
tcp
   0: 00000000:0016 00000000:0000 0A

=== listening exit 0
=== published
{"id":"c1","started":"2026-01-01T00:00:00Z","name":"/web-1","project":"ktrdr-core","service":"web","directory":"/opt/ktrdr-core","image":"h/web:1","network":"bridge","ports":{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"5003"}]}}

=== published exit 0
=== swap

=== swap exit 0
=== storage

=== storage exit 0
=== locked

=== locked exit 0
=== offers
cpus 4
memory 8000000000
runtime runc

=== offers exit 0
=== end
"""


def test_the_parts_become_facts() -> None:
    found = reading.read_facts(ANSWER, "core")
    assert (found.engine, found.platform, found.memory) == ("26.1.5+dfsg1", "linux/amd64", "/run")
    assert found.writable
    assert found.strangers == (("/opt is loose", "chmod go-w /opt"),)
    assert found.key == "c0ffee"
    assert found.files == {
        **{"docker-compose.core.yml": "aa11", r"odd\\name": "bb22", "run.sh": "cc33:755"},
        **{"latest": "link:conf/new", "empty": "directory", "full": "directory"},
    }
    assert (found.occupied, found.present) == ({"full"}, {"targets"})
    assert found.images == {"prom/prometheus@sha256:1234": "sha256:id1"}
    assert found.image_ids == {"sha256:id1", "sha256:id2"}
    assert found.tags["prom/prometheus:v1"] == "sha256:id1"
    assert found.keep_tags == {"ktrdr-deploy.local/keep:abcd"}
    assert found.objects == {"aa11", "bb22"}
    assert found.blank == {"STAGE"}
    assert found.layers == {"1": 4096, "2": None}
    assert found.delivered == {"/run/ktrdr-secrets/ktrdr-core/DB_PASSWORD"}
    assert [(c.name, c.ports) for c in found.containers] == [("web-1", (5003,))]
    assert [m.shipped for m in found.services["web"].mounts] == ["conf"]


def test_a_part_that_failed_says_why_and_the_others_count() -> None:
    found = reading.read_facts(ANSWER, "core")
    assert found.problems == {"compose": "docker: 'compose' is not a docker command."}
    assert found.compose == ""


def changing(answer: str = ANSWER) -> str:
    """Those of an answer's parts that are asked again."""
    parts = re.findall(r"^=== (\w+)\n.*?^=== \1 exit \d+\n", answer, re.MULTILINE | re.DOTALL)
    texts = [re.findall(rf"^=== {part}\n.*?^=== {part} exit \d+\n", answer, re.M | re.S)[0] for part in parts]
    return "".join(t for part, t in zip(parts, texts, strict=True) if part in reading.CHANGING) + "=== end\n"


def test_the_second_time_what_may_have_changed_counts_as_it_is_now_and_all_else_as_it_was() -> None:
    first = reading.read_facts(ANSWER, "core")
    known = replace(first, deployed=first.services, by_hand="unreadable", inactive=frozenset({"web"}))
    now = changing().replace("c0ffee", "7ea").replace("aa11", "ee55").replace("web-1", "web-2")
    found = reading.read_again(now, "core", known)
    assert (found.key, found.files["docker-compose.core.yml"]) == ("7ea", "ee55")
    assert [c.name for c in found.containers] == ["web-2"]
    # What was found out about the containers of then is not known of these.
    assert (found.deployed, found.by_hand, found.inactive) == (None, None, frozenset())
    assert (found.engine, found.services, found.machine) == (first.engine, first.services, first.machine)
    # A problem stays as long as its question is not asked again.
    assert set(found.problems) == {"compose"}


def test_of_the_second_answer_no_part_may_be_missing_and_a_failed_one_hides_what_was() -> None:
    first = reading.read_facts(ANSWER, "core")
    with pytest.raises(RemoteError, match="lacks key"):
        reading.read_again(re.sub(r"(?s)=== key\n.*?=== key exit 0\n", "", changing()), "core", first)
    found = reading.read_again(changing().replace("=== images exit 0", "=== images exit 1"), "core", first)
    assert (found.images, "images" in found.problems) == ({}, True)


@pytest.mark.parametrize("length", [0, 200, len(ANSWER) - 20])
def test_an_answer_that_was_cut_short_is_an_error(length: int) -> None:
    with pytest.raises(RemoteError, match="cut short"):
        reading.read_facts(ANSWER[:length], "core")


def test_the_key_is_in_no_repr() -> None:
    assert "c0ffee" not in repr(reading.read_facts(ANSWER, "core"))


def test_the_second_time_neither_compose_nor_the_machine_is_asked(
    home: Path, memory: Path, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    docker = tmp_path / "bin/docker"
    docker.write_text(f'#!/bin/sh\n[ "$1" = ps ] && echo abc; echo "$@" >>{tmp_path}/calls\n')
    docker.chmod(0o755)
    node = NODE.model_copy(update={"directory": PurePosixPath(home)})
    script = facts_script(HostStack(node, "p"), render=False, weigh=True, again=True)
    env = {**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}"}
    for where in (str(memory), "/nowhere"):
        text = script.replace("/run /dev/shm", where)
        done = subprocess.run(["sh", "-c", text], env=env, capture_output=True, text=True, timeout=30)
        found = reading.read_again(done.stdout, "core", Facts(engine="26.1"))
        assert (found.key, found.engine, found.problems) == ("c0ffee", "26.1", {})
        calls = (tmp_path / "calls").read_text().splitlines()
        assert sorted(call.split()[0] for call in calls) == ["images", "inspect", "inspect", "ps"]
        (tmp_path / "calls").unlink()


@pytest.mark.parametrize("render", [True, False])
def test_the_script_is_one_that_sh_understands(render: bool) -> None:
    script = gather.facts_script(HostStack(NODE, "ktrdr-core"), render=render)
    assert subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True).stderr == ""


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def looked_at(home: Path, memory: str, delivery: str = "compose", **more: object) -> Facts:
    stack = NODE.stack.model_copy(update={"delivery": delivery})
    node = NODE.model_copy(update={"directory": PurePosixPath(home), "stack": stack})
    script = gather.facts_script(HostStack(node, "p"), render=False).replace("/run /dev/shm", memory)
    script = script.replace("/run/ktrdr-secrets/p /dev/shm/ktrdr-secrets/p", f"{memory}/ktrdr-secrets/p")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=30, **more)  # type: ignore[call-overload]
    return reading.read_facts(done.stdout, "core")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "stack"
    (home / ".deploy").mkdir(parents=True, mode=0o700)
    (home / ".deploy/key").write_text("c0ffee")
    (home / "monitoring").mkdir()
    (home / "monitoring/rules.yml").touch(0o644)
    return home


DOCKER = """\
#!/bin/sh
case "$1 $2" in
  "compose -p") sleep 0.3; cat <<'E'
{
  "name": "p",
  "networks": {
    "n": {
      "name": "p_n",
      "internal": true
    },
    "proxy": {
      "name": "proxy",
      "ipam": {}
    }
  },
  "services": {
    "web": {
      "image": "i",
      "volumes": [
        {
          "type": "bind",
          "source": "/nowhere/a b",
          "target": "/x"
        }
      ],
      "logging": {
        "driver": "loki"
      },
      "devices": [
        {
          "source": "/dev/shm/DEVICE/a:b",
          "target": "/dev/x"
        }
      ]
    }
  }
}
E
  ;;
  "info --format") printf 'cpus 2\\nmemory 1\\nswarm active\\nplugin log/json-file\\n';;
  "plugin ls") echo 'plugin any/loki:latest';;
  "network ls") case "$3 $4 $5" in
    "-q --filter label=com.docker.compose.project=p") echo id;;
    '--format network {{.Name}}={{.Label "com.docker.compose.network"}} ') printf 'network proxy=\\nnetwork p_n=n\\n';;
  esac;;
  "network inspect") echo 'made network {"Name": "p_n"}';;
esac
true
"""


def test_what_a_host_offers_is_looked_for_in_what_compose_renders_however_long_that_takes(
    home: Path, memory: Path, tmp_path: Path
) -> None:
    (memory / "a:b").touch()
    (tmp_path / "docker").write_text(DOCKER.replace("/dev/shm/DEVICE", str(memory)))
    (tmp_path / "docker").chmod(0o755)
    node = NODE.model_copy(update={"directory": PurePosixPath(home)})
    stack = HostStack(node, "p", compose_files=("a.yml",))
    script = gather.facts_script(stack, render=True).replace("/run /dev/shm", str(memory))
    files = pack({"a.yml": b"services: {web: {networks: {n: {gw_priority: 1}}, ports: !override ['1:1']}}\n"})
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", script], input=files, env=env, capture_output=True, timeout=30)
    offers = reading.read_facts(done.stdout.decode(), "core").machine.offers
    assert offers is not None
    assert offers.absent == {"/nowhere/a b"}
    assert {"log/json-file", "any/loki:latest"} <= offers.plugins
    assert offers.devices == {f"{memory}/a:b"}
    assert offers.dropped == {"gw_priority", "!override"}
    assert offers.made == (("network", {"Name": "p_n"}),)
    assert offers.networks == {"proxy": "", "p_n": "n"}
    assert offers.swarm
    usual = DOCKER.replace('"name": "proxy"', '"name": "p_proxy"').replace("/dev/shm/DEVICE", str(memory))
    (tmp_path / "docker").write_text(usual)
    done = subprocess.run(["sh", "-c", script], input=files, env=env, capture_output=True, timeout=30)
    asked_less = reading.read_facts(done.stdout.decode(), "core").machine.offers
    assert asked_less is not None
    assert not asked_less.networks


ABOVE = """\
#!/bin/sh
# What lies above the project directory is read there, and mounted from there.
[ "$1" = compose ] && cat "$5/../beside.env" >&2 && cat <<E
{"services": {"db": {"image": "x", "environment": {"HERE": "at $5;"}, "volumes": [
  {"type": "bind", "source": "$(dirname "$5")/data", "target": "/data"},
  {"type": "bind", "source": "$5/conf", "target": "/conf"}]}}}
E
true
"""


def test_what_is_mounted_from_above_the_stack_s_directory_is_the_host_s_own(
    home: Path, memory: Path, tmp_path: Path
) -> None:
    (home.parent / "beside.env").write_text("A=1\n")
    (tmp_path / "docker").write_text(ABOVE)
    (tmp_path / "docker").chmod(0o755)
    node = NODE.model_copy(update={"directory": PurePosixPath(home)})
    stack = HostStack(node, "p", compose_files=("a.yml",), borrowed=("../beside.env",))
    script = gather.facts_script(stack, render=True).replace("/run /dev/shm", str(memory))
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", script], input=pack({"a.yml": b""}), env=env, capture_output=True, timeout=30
    )
    db = reading.read_facts(done.stdout.decode(), "core").services["db"]
    data, conf = wanted(db, {}, PurePosixPath(home))
    assert (data.source, conf.source) == (f"{home.parent}/data", f"{home}/conf")
    assert [mount.shipped for mount in db.mounts] == [None, "conf"]
    assert db.environment == {"HERE": f"at {home};"}


def test_a_managed_file_that_others_can_change_is_named_with_its_hint(home: Path, memory: Path) -> None:
    assert looked_at(home, str(memory)).strangers == ()
    (home / "monitoring/rules.yml").chmod(0o664)
    (found,) = looked_at(home, str(memory)).strangers
    path = home / "monitoring/rules.yml"
    assert found == (f"{path} can be changed by others", f"chmod go-w {path}")
    subprocess.run(["sh", "-c", found[1]], check=True)
    assert looked_at(home, str(memory)).strangers == ()


def test_a_managed_file_of_another_user_is_named_with_its_hint(home: Path, memory: Path) -> None:
    # Only root can give a file away; for others, what is not theirs is so by its directory already.
    if os.geteuid() == 0:
        os.chown(home / "monitoring/rules.yml", 12345, -1)
        # What lies beside this program's files is nobody's business here, whoever has put it there.
        assert looked_at(home, str(memory)).strangers == ()
        assert "monitoring/rules.yml" not in looked_at(home, str(memory)).files
        (home / ".deploy/paths").write_text("monitoring/rules.yml\n")
        (found,) = looked_at(home, str(memory)).strangers
        assert found[0] == f"{home}/monitoring/rules.yml belongs to another user"
        assert found[1].startswith("as root: chown ")


def test_an_object_that_another_user_has_planted_is_named_with_its_hint(home: Path, memory: Path) -> None:
    planted = home / ".deploy/objects/planted"
    planted.parent.mkdir()
    planted.touch()
    planted.chmod(0o666)
    (found,) = looked_at(home, str(memory)).strangers
    assert found[0] == f"{home}/.deploy can be changed by others, in part"
    planted.chmod(0o644)
    assert looked_at(home, str(memory)).strangers == ()
    if os.geteuid() == 0:
        os.chown(planted, 12345, -1)
        (found,) = looked_at(home, str(memory)).strangers
        assert found[0] == f"{home}/.deploy is, in part, of another user"
        look = found[1].removeprefix("as root: ").partition(", ")[0]
        listed = subprocess.run(["sh", "-c", look], check=True, capture_output=True, text=True).stdout
        assert str(planted) in listed
        assert len(listed.splitlines()) == 1
        planted.unlink()
        assert looked_at(home, str(memory)).strangers == ()


def test_a_stack_that_another_user_deployed_is_not_advised_to_be_deleted(home: Path, memory: Path) -> None:
    if os.geteuid() == 0:
        for path in (home / ".deploy", home / ".deploy/key"):
            os.chown(path, 12345, -1)
        (found,) = looked_at(home, str(memory)).strangers
        assert found[0].startswith(f"{home}/.deploy belongs to ")
        assert "delete" not in found[1]


def test_what_another_user_has_put_there_is_not_read(home: Path, memory: Path) -> None:
    if os.geteuid() == 0:
        (home / ".deploy/key").unlink()
        os.mkfifo(home / ".deploy/key")
        os.chown(home / ".deploy", 12345, -1)
        found = looked_at(home, str(memory))
        assert found.key == ""
        assert "belongs to another user" in found.problems["key"]
        assert "belongs to another user" in found.problems["history"]
        assert "log in as" in found.strangers[0][1]

        def run(script: str, **_: object) -> SimpleNamespace:
            done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=30)
            assert "belongs to another user" in done.stderr
            return SimpleNamespace(stdout=done.stdout)

        session = cast(Session, SimpleNamespace(run=run))
        assert read_history(session, PurePosixPath(home), 5) == []


@pytest.mark.parametrize("barred", [".", "stack", "stack/.deploy"])
def test_what_may_not_be_looked_at_is_unknown_and_nothing_of_it_is_absent(memory: Path, barred: str) -> None:
    home = memory / "opt/stack"
    (home / ".deploy").mkdir(parents=True)
    nobody = {"user": 65534, "extra_groups": [], "cwd": "/"} if os.geteuid() == 0 else {}
    for path in (memory, home.parent, home, home / ".deploy"):
        path.chmod(0o755)
        if nobody:
            os.chown(path, 65534, -1)
    path = home.parent / barred
    path.chmod(0)
    found = looked_at(home, "/dev/shm", **nobody)
    path.chmod(0o755)
    for part in ("history", "key", "objects"):
        assert found.problems[part].startswith(f"{path}: Permission denied (as ")
    if barred == ".":
        assert found.problems["directory"].startswith(f"{path}: Permission denied (as ")
    assert not found.missing


def test_secret_files_that_are_not_this_user_s_alone_are_no_answer(home: Path, memory: Path) -> None:
    place = memory / "ktrdr-secrets/p"
    place.mkdir(parents=True, mode=0o700)
    (memory / "ktrdr-secrets").chmod(0o700)
    (place / "A").touch()
    assert looked_at(home, str(memory)).delivered == {str(place / "A")}
    (memory / "ktrdr-secrets").rename(memory / "elsewhere")
    (memory / "ktrdr-secrets").symlink_to(memory / "elsewhere")
    assert looked_at(home, str(memory)).delivered == set()
    assert looked_at(home, str(memory)).strangers == ()
    (found,) = looked_at(home, str(memory), "memory").strangers
    assert found[0].startswith(f"{memory}/ktrdr-secrets, which ")


def test_memory_that_is_not_used_for_being_loose_is_named(home: Path, memory: Path) -> None:
    memory.chmod(0o777)
    found = looked_at(home, str(memory))
    assert found.memory == ""
    assert (f"{memory} can be changed by others (drwxrwxrwx)", f"chmod go-w {memory}") in found.strangers


KEY = secrets.token_hex(8)


def marks(**values: str) -> str:
    return fingerprints({"web": tuple(values)}, {name: Secret(value) for name, value in values.items()}, KEY)[
        "web"
    ]


def test_a_secret_has_changed_when_a_container_or_the_record_has_another_fingerprint() -> None:
    container = build.container(labels={SECRETS_LABEL: marks(S="1", T="2")})
    recorded = Release("r1", "t", None, {}, {}, secrets={"web": marks(S="1", T="2")})
    known = Facts(key=KEY, containers=(container,), history=(event("proven", recorded),))

    def changed(found: Facts, **values: str) -> list[str]:
        return found.changed({name: Secret(value) for name, value in values.items()})

    assert changed(known, S="1", T="2") == []
    assert changed(known, S="1", T="3") == ["T"]
    # Its containers are gone, or are others than those of the record.
    assert changed(replace(known, containers=()), S="1", T="3") == ["T"]
    assert changed(replace(known, history=()), S="4", T="2") == ["S"]
    # A new host has nothing that could have changed.
    assert changed(replace(known, key=""), S="4", T="5") == []


A, B = (f"sha256:{digit * 64}" for digit in "ab")


def test_the_record_knows_the_digest_of_a_reference_however_it_is_written() -> None:
    images = {"db": Image("redis", "7", A), "web": Image("h:5000/x", "1"), "old": Image("redis", "6", B)}
    known = Facts(history=(event("proven", Release("r1", "t", None, images, {})),))
    assert known.recorded_digest("web", Image.parse("docker.io/library/redis:7")) == A
    assert known.recorded_digest("web", Image.parse("redis:8")) == ""
    assert known.recorded_digest("web", Image.parse("h:5000/x:1")) == ""
    # A reference that is pinned needs no record.
    assert known.recorded_digest("web", Image.parse(f"redis:8@{B}")) == B
    assert Facts().recorded_digest("web", Image.parse("redis:7")) == ""


def test_a_host_has_an_image_under_the_name_that_docker_lists_or_by_its_id() -> None:
    known = Facts(images={f"redis@{A}": "i"}, image_ids=frozenset({B}))
    assert known.id_of(Image.parse(f"docker.io/library/redis:7@{A}")) == "i"
    assert known.id_of(Image.parse(B)) == B
    # In the store of containerd an image's id is its digest.
    assert known.id_of(Image.parse(f"redis:7@{B}")) == B
    assert not known.has(Image.parse(f"h/redis:7@{A}"))


def test_what_runs_is_unrecorded_until_something_was_proven_or_begun() -> None:
    release = Release("r1", "t", None, {}, {}, replicas={"web": 2})
    runs = Facts(containers=(build.container(),))
    assert runs.unrecorded
    assert runs.replicas == {"web": 1}
    assert not Facts().unrecorded
    for kind in ("proven", "adopted", "started", "failed"):
        assert not replace(runs, history=(event(kind, release),)).unrecorded
    assert replace(runs, history=(event("aborted", release),)).unrecorded
    assert replace(runs, history=(event("proven", release),)).replicas == {"web": 2}


def test_a_memory_that_is_full_makes_no_answer_less_whole(home: Path, memory: Path) -> None:
    """What waits there until all is asked is asked once more."""
    node = NODE.model_copy(update={"directory": PurePosixPath(home)})
    whole = gather.facts_script(HostStack(node, "p"), render=False).replace("/run /dev/shm", str(memory))
    for full in ((1, 2, 3), (1,), (3,)):
        script = whole
        for number in full:
            assert f' >"$t/said{number}"' in script
            script = script.replace(f' >"$t/said{number}"', " >/dev/full")
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=30)
        assert reading.read_facts(done.stdout, "core").key == "c0ffee"


def test_an_answer_comes_in_few_writes_for_each_is_a_message_of_ssh(home: Path, memory: Path) -> None:
    node = NODE.model_copy(update={"directory": PurePosixPath(home)})
    script = gather.facts_script(HostStack(node, "p"), render=False).replace("/run /dev/shm", str(memory))
    # A write to such a socket is one message.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    with ours, theirs:
        ours.settimeout(30)
        with subprocess.Popen(["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=theirs):
            theirs.close()
            messages = list(iter(lambda: ours.recv(4 << 20), b""))
    assert reading.read_facts(b"".join(messages).decode(), "core").key == "c0ffee"
    assert len(messages) <= 4  # one from each of the three files, and the end


def test_an_engine_that_takes_calls_and_never_answers_is_named_in_good_time(
    home: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = shell.PATIENT.replace(f"set -- {shell.PATIENCE} ", "set -- 1 ").replace("set -- 25 ", "set -- 2 ")
    monkeypatch.setattr(gather, "PATIENT", quick)
    (memory / "bin").mkdir()
    (memory / "bin/docker").write_text("#!/bin/sh\nexec sleep 60\n")
    (memory / "bin/docker").chmod(0o755)
    env = {**os.environ, "PATH": f"{memory}/bin:{os.environ['PATH']}"}
    monkeypatch.setattr(gather.command, "VERSION", "true")
    facts = looked_at(home, str(memory), env=env)
    assert facts.problems["engine"] == "Docker does not answer"
    assert facts.problems["containers"] == "Docker does not answer"
    assert facts.problems["images"] == "Docker does not answer"
    assert facts.key == "c0ffee"


@pytest.mark.parametrize(
    ("counted", "said"), [("a 5", "a 5\nb ?\n"), ("a 5\nb 6", "a 5\nb 6\n"), ("", "a ?\nb ?\n")]
)
def test_a_container_that_is_gone_leaves_the_others_layers_known(
    tmp_path: Path, counted: str, said: str
) -> None:
    script = facts_script(build.stack(), render=False, weigh=True)
    (asked,) = re.findall(r"^layers\(\) \{.*?^\}", script, re.MULTILINE | re.DOTALL)
    (tmp_path / "docker").write_text(f"#!/bin/sh\nprintf %s '{counted}'; exit 1\n")
    (tmp_path / "docker").chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = f"ids='a\nb'\n{asked}\nlayers"
    done = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True)
    assert done.stdout.strip("\n") == said.strip("\n")


@pytest.mark.parametrize(
    ("info", "bits", "platform"),
    [
        ("engine 26.1 linux/x86_64", "64", "linux/amd64"),
        ("engine 26.1 linux/aarch64", "64", "linux/arm64"),
        # What lies on a 64-bit kernel may be of 32.
        ("engine 26.1 linux/aarch64", "32", "linux/asked"),
        ("engine 26.1 linux/riscv64", "64", "linux/asked"),
        ("engine  /", "64", "linux/asked"),
    ],
)
def test_the_engine_s_version_is_in_what_it_says_of_itself(
    home: Path, memory: Path, info: str, bits: str, platform: str
) -> None:
    (memory / "bin").mkdir()
    answers = {
        "docker": f"""case $1 in info) echo '{info}';; version) echo 26.1 linux/asked;; esac""",
        "getconf": f"echo {bits}",
    }
    for name, answer in answers.items():
        (memory / "bin" / name).write_text(f"#!/bin/sh\n{answer}\n")
        (memory / "bin" / name).chmod(0o755)
    facts = looked_at(home, str(memory), env={**os.environ, "PATH": f"{memory}/bin:{os.environ['PATH']}"})
    assert (facts.engine, facts.platform) == ("26.1", platform)


@pytest.mark.parametrize("there", [False, True])
def test_programs_are_looked_for_in_path_although_docker_is_a_function(tmp_path: Path, there: bool) -> None:
    script = facts_script(build.stack(), render=False)
    (asked,) = re.findall(r"^tools\(\) .*$", script, re.MULTILINE)
    if there:
        (tmp_path / "docker").write_text("#!/bin/sh\nexec /usr/bin/podman\n")
        (tmp_path / "docker").chmod(0o755)
    for name in ("find", "tail", "timeout", "sleep", "dd", "tr", "grep", "readlink", "id", "seq"):
        if found := shutil.which(name):
            (tmp_path / name).symlink_to(found)
    shell = shutil.which("sh") or "/bin/sh"
    text = f"{PATIENT}\n{SHAPE}\n{asked}\ntools"
    said = subprocess.check_output([shell, "-c", text], env={"PATH": str(tmp_path)}, text=True).split()
    assert ("docker" in said, "podman:docker" in said) == (there, there)
