import json
import logging
import logging.config
from collections.abc import Iterator

import pytest
import uvicorn.config

from ktrdr_backend import logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("", "uvicorn", "uvicorn.error", "uvicorn.access")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.level, logger.propagate = handlers, level, propagate


def test_a_message_is_one_json_object_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO")
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("x").exception("two\nlines of %s", "it")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    line = json.loads(said)
    assert (line["level"], line["logger"], line["message"]) == ("ERROR", "x", "two\nlines of it")
    assert line["exception"].endswith("ValueError: why")


def test_uvicorn_s_own_messages_take_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    # As the `uvicorn` command does before it imports the application.
    logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
    logs.configure("INFO")
    logging.getLogger("uvicorn.error").info("Application startup complete.")
    logging.getLogger("uvicorn.access").info("GET /health")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == [
        "Application startup complete.",
        "GET /health",
    ]


def test_no_access_log_stays_none(capsys: pytest.CaptureFixture[str]) -> None:
    uvicorn.Config("app:app", access_log=False)
    logs.configure("INFO")
    logging.getLogger("uvicorn.access").info("GET /health")
    assert capsys.readouterr().err == ""
