"""Which containers are as the new files have them."""

from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.compose.command import mirror
from deploy_lib.compose.labels import CONFIG_HASH
from deploy_lib.compose.project import Project
from deploy_lib.host.look.alike import Alike, ask_alike
from deploy_lib.ssh.session import Session
from tests.unit import build

WEB = build.container(labels={CONFIG_HASH: "h1"})
SECOND = build.container(id="c2", labels={CONFIG_HASH: "h2"})
DB = build.container(id="d", service="db", labels={CONFIG_HASH: "h3"})


@pytest.mark.parametrize(
    ("said", "containers", "expected"),
    [
        (
            "= web h1\n= db h3\nweb\ndb\nidle\n",
            (WEB, DB),
            Alike(frozenset({"web", "db"}), frozenset({"idle"})),
        ),
        ("= web h1\n= db h4\nweb\ndb\n", (WEB, DB), Alike(frozenset({"web"}))),
        # One of two ways to hash is that of this version.
        ("= web h0\n= web h1\nweb\n", (WEB,), Alike(frozenset({"web"}))),
        ("= web h1\nweb\n", (WEB, SECOND), Alike()),
        # Compose did not read the files where they were put: nothing is known.
        ("", (WEB,), Alike()),
    ],
)
def test_every_container_of_a_service_must_have_the_very_hash(
    said: str, containers: Any, expected: Alike
) -> None:
    given: dict[str, Any] = {}

    def run(script: str, **more: Any) -> Any:
        given.update(more, script=script)
        return SimpleNamespace(stdout=said)

    project = Project("shop", PurePosixPath("/srv/shop"), ("a.yml",), ("a.env",))
    session = cast(Session, SimpleNamespace(run=run))
    assert ask_alike(session, project, {}, {"PW": "x"}, containers) == expected
    assert given["env"] == {"PW": "x"}
    lying = mirror(project)
    assert f"--project-directory {lying} -f {lying}/a.yml --env-file {lying}/a.env" in given["script"]
    assert "--project-directory /srv/shop --profile '*' -f -" in given["script"]
    # What lies there now is read only where it is as it is to be.
    assert f"--project-directory /srv/shop -f {lying}" not in given["script"]
    ask_alike(session, project, {}, {}, containers, lying=True)
    assert f"--project-directory /srv/shop -f {lying}" in given["script"]
