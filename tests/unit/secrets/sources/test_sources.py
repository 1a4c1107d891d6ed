import secrets
from pathlib import Path

import pytest

from deploy_lib.config import Environment
from deploy_lib.errors import PreflightError, UsageError
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.secrets.sources import fetch
from tests.unit import sample

DEPLOY = sample.DEPLOY.replace(
    "[stacks.shop]",
    """\
[secrets.DB_USER]
field = "user"
redact = false

[secrets.TOKEN]
field = "token"

[stacks.shop]""",
    1,
)


@pytest.fixture
def ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """A project whose secrets come from the process's environment, which has none."""
    for name in ("DB_PASSWORD", "DB_USER", "TOKEN", "REGISTRY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return sample.environment(tmp_path, deploy=DEPLOY)


def test_every_broken_rule_is_named_at_once_and_no_value_is_shown(
    ci: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"DB_PASSWORD": "short", "DB_USER": "", "REGISTRY_TOKEN": "fine"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PreflightError) as caught:
        fetch(ci, ["DB_USER", "DB_PASSWORD", "TOKEN", "REGISTRY_TOKEN"])
    message = str(caught.value)
    assert "DB_USER (field user) is empty" in message
    assert "DB_PASSWORD (field database) has fewer than 8" in message
    assert "TOKEN (field token) is missing" in message
    assert "REGISTRY_TOKEN" not in message
    assert "short" not in message


def test_a_name_that_is_not_declared_is_refused(ci: Environment) -> None:
    with pytest.raises(UsageError, match="declares no secret NOPE"):
        fetch(ci, ["NOPE"])


def test_the_process_environment_has_them_under_the_same_names(
    ci: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "p" * 15 + "\n")
    assert fetch(ci, ["DB_PASSWORD"])["DB_PASSWORD"].reveal() == "p" * 15 + "\n"
    with pytest.raises(PreflightError, match=r"TOKEN \(field token\) is missing"):
        fetch(ci, ["DB_PASSWORD", "TOKEN"])


def test_bytes_that_are_no_text_are_refused_before_a_host_is_asked(
    ci: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "precious-and-long" + "\udcff")
    with pytest.raises(PreflightError, match=r"DB_PASSWORD .* is not text in UTF-8") as caught:
        fetch(ci, ["DB_PASSWORD"])
    assert "precious" not in str(caught.value)


def test_what_was_fetched_is_hidden_at_once_unless_it_is_no_secret(
    ci: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, password = (secrets.token_hex(12) for _ in range(2))
    monkeypatch.setenv("DB_USER", user)
    monkeypatch.setenv("DB_PASSWORD", password)
    fetch(ci, ["DB_USER", "DB_PASSWORD"])
    assert REDACTOR.clean(f"{user}:{password}") == f"{user}:***"
