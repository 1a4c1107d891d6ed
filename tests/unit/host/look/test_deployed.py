"""What lies on a host already: which files are rendered, and what it means when that fails."""

import json
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy_lib.compose.project import Project
from deploy_lib.errors import CommandError, NotUnderstoodError
from deploy_lib.host.look.deployed import ask_deployed
from deploy_lib.secrets.placeholders import placeholder
from deploy_lib.ssh.session import Session

MADE = Project("shop", PurePosixPath("/srv/shop"), ("a.yml", "/etc/shop/b.yml"), (".env",))


def asked(answer: str | Exception, made: Project = MADE) -> tuple[Any, dict[str, Any]]:
    given: dict[str, Any] = {}

    def run(script: str, **more: Any) -> Any:
        given.update(more, script=script)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(stdout=answer)

    return ask_deployed(cast(Session, SimpleNamespace(run=run)), made, ["PW"]), given


def test_the_files_are_rendered_where_they_lie_with_something_for_each_secret() -> None:
    spec = {
        "image": "x",
        "environment": {"KEY": placeholder("PW")},
        "volumes": [{"type": "bind", "source": "/srv/shop/c", "target": "/c"}],
    }
    found, given = asked(json.dumps({"services": {"web": spec}}))
    assert "-f /srv/shop/a.yml -f /etc/shop/b.yml --env-file /srv/shop/.env" in given["script"]
    assert given["env"] == {"PW": placeholder("PW")}
    assert found["web"].secret_names == ("PW",)
    assert found["web"].mounts[0].shipped == "c"


def test_files_that_compose_does_not_read_tell_nothing() -> None:
    assert asked(CommandError("no such file"))[0] is None


def test_an_answer_that_is_no_model_is_an_error() -> None:
    with pytest.raises(NotUnderstoodError):
        asked("Welcome")
