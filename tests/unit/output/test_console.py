import io
import json
import secrets

import pytest

from deploy_lib.errors import DeployError
from deploy_lib.output.console import Console
from deploy_lib.secrets.value import Secret

VALUE = secrets.token_urlsafe(60)


@pytest.fixture
def streams() -> tuple[io.StringIO, io.StringIO]:
    return io.StringIO(), io.StringIO()


def console(streams: tuple[io.StringIO, io.StringIO], *, as_json: bool = False) -> Console:
    made = Console(as_json=as_json, debug=True, out=streams[0], err=streams[1])
    made.redactor.add([Secret(VALUE)])
    return made


def test_nothing_that_it_says_shows_a_secret(streams: tuple[io.StringIO, io.StringIO]) -> None:
    speaker = console(streams)
    speaker.say(VALUE)
    speaker.step("core", "pull", VALUE)
    speaker.debug("core", VALUE)
    speaker.error(DeployError(VALUE, hint=VALUE))
    speaker.result(VALUE)
    speaker.table(VALUE, [VALUE], [[VALUE]])  # a table folds what is wider than its column
    text = "".join(stream.getvalue() for stream in streams)
    assert text.count("***") == 9
    assert not any(VALUE[at : at + 6] in text for at in range(len(VALUE) - 6))


def test_a_document_keeps_its_keys_and_hides_its_values(streams: tuple[io.StringIO, io.StringIO]) -> None:
    console(streams, as_json=True).document({VALUE: {"nodes": [VALUE, f"a {VALUE}"]}})
    assert json.loads(streams[0].getvalue()) == {VALUE: {"nodes": ["***", "a ***"]}}


def test_a_line_is_there_as_soon_as_it_is_said(streams: tuple[io.StringIO, io.StringIO]) -> None:
    console(streams).step("core", "pull", "2 of 6 images")
    assert streams[1].getvalue() == "core   pull      2 of 6 images\n"
