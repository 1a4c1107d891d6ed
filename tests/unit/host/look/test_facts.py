import subprocess

import pytest

from deploy_lib.errors import RemoteError
from deploy_lib.host.look import facts
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
