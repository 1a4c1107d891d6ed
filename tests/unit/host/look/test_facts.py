import secrets
import subprocess
from dataclasses import replace

import pytest

from deploy_lib.errors import RemoteError
from deploy_lib.host.change.history import event
from deploy_lib.host.look import facts
from deploy_lib.host.look.facts import Facts
from deploy_lib.layout import SECRETS_LABEL
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.secrets.fingerprint import fingerprints
from deploy_lib.secrets.value import Secret
from tests.unit import build

ANSWER = r"""=== memory
/run

=== memory exit 0
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
=== files
aa11  ./docker-compose.core.yml
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
=== deployed
bmFtZTogeAo=
=== deployed exit 0
=== delivered
/run/ktrdr-secrets/ktrdr-core/DB_PASSWORD

=== delivered exit 0
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
{"services": {"web": {"image": "x"}}}

=== config exit 0
=== end
"""


def test_the_parts_become_facts() -> None:
    found = facts.read_facts(ANSWER, "core")
    assert (found.engine, found.platform, found.memory) == ("26.1.5+dfsg1", "linux/amd64", "/run")
    assert found.writable
    assert found.key == "c0ffee"
    assert found.files == {"docker-compose.core.yml": "aa11", r"odd\\name": "bb22"}
    assert found.images == {"prom/prometheus@sha256:1234": "sha256:id1"}
    assert found.image_ids == {"sha256:id1", "sha256:id2"}
    assert found.tags["prom/prometheus:v1"] == "sha256:id1"
    assert found.keep_tags == {"ktrdr-deploy.local/keep:abcd"}
    assert found.objects == {"aa11", "bb22"}
    assert found.deployed == b"name: x\n"
    assert found.delivered == {"/run/ktrdr-secrets/ktrdr-core/DB_PASSWORD"}
    assert [(c.name, c.ports) for c in found.containers] == [("web-1", (5003,))]
    assert set(found.services) == {"web"}


def test_a_part_that_failed_says_why_and_the_others_count() -> None:
    found = facts.read_facts(ANSWER, "core")
    assert found.problems == {"compose": "docker: 'compose' is not a docker command."}
    assert found.compose == ""


@pytest.mark.parametrize("length", [0, 200, len(ANSWER) - 20])
def test_an_answer_that_was_cut_short_is_an_error(length: int) -> None:
    with pytest.raises(RemoteError, match="cut short"):
        facts.read_facts(ANSWER[:length], "core")


def test_the_key_is_in_no_repr() -> None:
    assert "c0ffee" not in repr(facts.read_facts(ANSWER, "core"))


@pytest.mark.parametrize("render", [True, False])
def test_the_script_is_one_that_sh_understands(render: bool) -> None:
    script = facts.facts_script(build.stack(), render=render)
    assert subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True).stderr == ""


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
    assert known.recorded_digest(Image.parse("docker.io/library/redis:7")) == A
    assert known.recorded_digest(Image.parse("redis:8")) == ""
    assert known.recorded_digest(Image.parse("h:5000/x:1")) == ""
    # A reference that is pinned needs no record.
    assert known.recorded_digest(Image.parse(f"redis:8@{B}")) == B
    assert Facts().recorded_digest(Image.parse("redis:7")) == ""


def test_a_host_has_an_image_under_the_name_that_docker_lists_or_by_its_id() -> None:
    known = Facts(images={f"redis@{A}": "i"}, image_ids=frozenset({B}))
    assert known.id_of(Image.parse(f"docker.io/library/redis:7@{A}")) == "i"
    assert known.id_of(Image.parse(B)) == B
    assert not known.has(Image.parse(f"redis:7@{B}"))
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
