import copy
import json
import pickle
import traceback
from typing import Any

import pytest
from pydantic import BaseModel

from deploy_lib.console import Redactor
from deploy_lib.secrets.value import Secret

VALUE = "sesame open wide"


class Model(BaseModel):
    secret: Secret


@pytest.mark.parametrize(
    "shown",
    [
        repr,
        str,
        lambda s: f"{s}",
        lambda s: f"{s!r:>40}",
        lambda s: f"{[s]} { ({'k': s}) }",
        "{}".format,
    ],
)
def test_nothing_prints_it(shown: Any) -> None:
    assert VALUE not in shown(Secret(VALUE))
    assert "***" in shown(Secret(VALUE))


def test_a_model_does_not_print_or_dump_it() -> None:
    model = Model(secret=Secret(VALUE))
    assert VALUE not in repr(model) + str(model.model_dump()) + model.model_dump_json()
    with pytest.raises(ValueError, match="a secret is text") as caught:
        Model.model_validate({"secret": [VALUE]})
    assert "a secret is text" in str(caught.value)


def test_it_is_neither_pickled_nor_copied_nor_json() -> None:
    for attempt in (pickle.dumps, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError) as caught:
            attempt(Secret(VALUE))
        assert VALUE not in "".join(traceback.format_exception(caught.value))


def test_equality_and_length_are_the_values() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != VALUE
    assert len(Secret(VALUE)) == len(VALUE)


def test_redaction_finds_a_value_in_every_encoding_and_leaves_keys_alone() -> None:
    redactor = Redactor()
    value = 'quo"te & plus+ ü'
    redactor.add([Secret(value), Secret("short")])
    import base64
    from urllib.parse import quote

    forms = [value, base64.b64encode(value.encode()).decode(), quote(value, safe=""), json.dumps(value)[1:-1]]
    for form in forms:
        assert redactor.clean(f"before {form} after") == "before *** after"
    assert redactor.clean("short") == "short"
    assert redactor.clean_data({value: [value, 1, {"k": value}]}) == {value: ["***", 1, {"k": "***"}]}


def test_a_value_that_holds_another_is_masked_whole() -> None:
    redactor = Redactor()
    redactor.add([Secret("abcdefgh"), Secret("abcdefgh-and-more")])
    assert redactor.clean("abcdefgh-and-more") == "***"
