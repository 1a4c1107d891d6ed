"""Secrets from a file that only its owner may read."""

import json
import os
import secrets
from pathlib import Path

import pytest

from deploy_lib.config import Environment
from deploy_lib.errors import PreflightError
from deploy_lib.secrets.sources import fetch
from tests.unit import sample

DEPLOY = sample.DEPLOY.replace(
    'secrets = { source = "environment" }', 'secrets = { source = "file", path = "private/secrets.json" }'
)


def environment(root: Path, content: object, mode: int = 0o600) -> Environment:
    (root / "private").mkdir()
    path = root / "private/secrets.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return sample.environment(root, deploy=DEPLOY)


def test_values_are_found_by_their_fields_and_come_under_their_environment_names(tmp_path: Path) -> None:
    value = secrets.token_hex(8)
    found = fetch(environment(tmp_path, {"database": value, "registry": "x", "more": 7}), ["DB_PASSWORD"])
    assert {name: secret.reveal() for name, secret in found.items()} == {"DB_PASSWORD": value}


@pytest.mark.parametrize("content", [{}, {"database": 7}, {"database": None}])
def test_a_field_that_has_no_text_is_missing(tmp_path: Path, content: object) -> None:
    with pytest.raises(PreflightError, match=r"DB_PASSWORD \(field database\) is missing"):
        fetch(environment(tmp_path, content), ["DB_PASSWORD"])


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment(tmp_path, {})
    if os.geteuid() == 0:
        os.chown(tmp_path / "private/secrets.json", 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(PreflightError, match="belongs to another user"):
        fetch(found, ["DB_PASSWORD"])


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused_with_its_remedy(tmp_path: Path, mode: int) -> None:
    with pytest.raises(PreflightError, match=rf"may be read by others \(mode {mode:04o}\)\n.*chmod 600"):
        fetch(environment(tmp_path, {}, mode), ["DB_PASSWORD"])


@pytest.mark.parametrize("content", ["{broken precious", '["precious"]', "\0precious"])
def test_a_broken_file_is_an_error_that_quotes_nothing_of_it(tmp_path: Path, content: str) -> None:
    with pytest.raises(PreflightError) as caught:
        fetch(environment(tmp_path, content), ["DB_PASSWORD"])
    assert "precious" not in str(caught.value)


def test_a_missing_file_says_how_to_get_one_where_that_is_known(tmp_path: Path) -> None:
    found = environment(tmp_path, {})
    (tmp_path / "private/secrets.json").unlink()
    with pytest.raises(PreflightError, match=r"there is no secret file .*secrets\.json$"):
        fetch(found, ["DB_PASSWORD"])
    with pytest.raises(PreflightError, match="make it: make secrets"):
        fetch(found.model_copy(update={"made_by": "make secrets"}), ["DB_PASSWORD"])
