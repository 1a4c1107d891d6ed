import json
import os
import secrets
from pathlib import Path

import pytest

from deploy_lib.config import Environment, load
from deploy_lib.errors import PreflightError, UsageError
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.secrets.sources import fetch
from deploy_lib.secrets.sources.environment import ProcessEnvironment
from tests import ROOT

GOOD = {"db_username": "u", "db_password": "p" * 16, "jwt_secret": "j" * 32, "grafana_password": "g" * 12}


def environment(tmp_path: Path, content: object, mode: int = 0o600) -> Environment:
    (tmp_path / "deploy.toml").write_text((ROOT / "deploy.toml").read_text())
    (tmp_path / ".lab").mkdir()
    path = tmp_path / ".lab" / "secrets.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return load(tmp_path, "lab")


def test_values_come_under_their_environment_names(tmp_path: Path) -> None:
    values = fetch(environment(tmp_path, GOOD), ["DB_USER", "DB_PASSWORD"])
    assert {name: value.reveal() for name, value in values.items()} == {
        "DB_USER": "u",
        "DB_PASSWORD": "p" * 16,
    }


def test_every_broken_rule_is_named_at_once_and_no_value_is_shown(tmp_path: Path) -> None:
    bad = {**GOOD, "db_password": "tooshort", "db_username": "", "jwt_secret": 7}
    with pytest.raises(PreflightError) as caught:
        fetch(environment(tmp_path, bad), ["DB_USER", "DB_PASSWORD", "JWT_SECRET", "GF_ADMIN_PASSWORD"])
    message = str(caught.value)
    assert "DB_USER (field db_username) is empty" in message
    assert "DB_PASSWORD (field db_password) has fewer than 16" in message
    assert "JWT_SECRET (field jwt_secret) is missing" in message
    assert "GF_ADMIN_PASSWORD" not in message
    assert "tooshort" not in message


def test_a_name_that_is_not_declared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="declares no secret NOPE"):
        fetch(environment(tmp_path, GOOD), ["NOPE"])


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment(tmp_path, GOOD)
    if os.geteuid() == 0:
        os.chown(tmp_path / ".lab/secrets.json", 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(PreflightError, match="belongs to another user"):
        fetch(found, ["DB_USER"])


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="may be read by others"):
        fetch(environment(tmp_path, GOOD, 0o640), ["DB_USER"])


@pytest.mark.parametrize("content", ["{broken precious", '["a"]'])
def test_a_broken_file_is_an_error_that_quotes_nothing_of_it(tmp_path: Path, content: str) -> None:
    with pytest.raises(PreflightError) as caught:
        fetch(environment(tmp_path, content), ["DB_USER"])
    assert "precious" not in str(caught.value)


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    env = environment(tmp_path, GOOD)
    (tmp_path / ".lab" / "secrets.json").unlink()
    with pytest.raises(PreflightError, match=r"invoke lab\.up"):
        fetch(env, ["DB_USER"])


@pytest.fixture
def ci(tmp_path: Path) -> Environment:
    return environment(tmp_path, GOOD).model_copy(update={"secret_source": ProcessEnvironment()})


def test_the_process_environment_has_them_under_the_same_names(
    ci: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "p" * 15 + "\n")
    monkeypatch.delenv("JWT_SECRET", raising=False)
    assert fetch(ci, ["DB_PASSWORD"])["DB_PASSWORD"].reveal() == "p" * 15 + "\n"
    with pytest.raises(PreflightError, match=r"JWT_SECRET \(field jwt_secret\) is missing"):
        fetch(ci, ["DB_PASSWORD", "JWT_SECRET"])


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
