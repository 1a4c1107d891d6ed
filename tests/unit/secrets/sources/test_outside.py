"""A source that is no part of the library is used as those are that are."""

from pathlib import Path

import pytest

from deploy_lib.config import Environment, SecretSpec, load
from deploy_lib.errors import PreflightError
from deploy_lib.secrets.redaction import REDACTOR
from deploy_lib.secrets.sources import fetch, mask_what_is_at_hand, source_of
from tests import ROOT
from tests.outside.drawer import Drawer


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    (tmp_path / "drawer").mkdir()
    source = Drawer(source="tests.outside.drawer", drawer="drawer")
    specs = {"PW": SecretSpec(field="pw", min_length=8), "OTHER": SecretSpec(field="other")}
    return load(ROOT, "lab").model_copy(update={"secret_source": source, "secrets": specs, "root": tmp_path})


def test_its_values_are_fetched_checked_and_masked(environment: Environment) -> None:
    (environment.root / "drawer/pw").write_text("a value of the drawer's")
    assert fetch(environment, ["PW"])["PW"].reveal() == "a value of the drawer's"
    assert REDACTOR.clean("> a value of the drawer's") == "> ***"
    with pytest.raises(
        PreflightError, match=r"from the drawer drawer break .* OTHER \(field other\) is missing"
    ):
        fetch(environment, ["PW", "OTHER"])
    (environment.root / "drawer/pw").write_text("short")
    with pytest.raises(PreflightError, match=r"PW \(field pw\) has fewer than 8 characters"):
        fetch(environment, ["PW"])


def test_what_it_has_at_hand_is_masked_without_being_asked_for(environment: Environment) -> None:
    (environment.root / "drawer/pw").write_text("lies in the drawer, unasked")
    mask_what_is_at_hand(environment)
    assert REDACTOR.clean("lies in the drawer, unasked") == "***"
    (environment.root / "drawer/pw").unlink()
    (environment.root / "drawer").rmdir()
    mask_what_is_at_hand(environment)
    assert source_of(environment).at_hand
