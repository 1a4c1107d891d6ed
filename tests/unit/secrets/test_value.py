import copy
import json
import logging
import pickle
import traceback
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from deploy_lib.secrets.value import Secret

VALUE = "sesame open wide"


class Model(BaseModel):
    secret: Secret


@dataclass(frozen=True)
class Holder:
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
        lambda s: "%s %r" % (s, s),  # noqa: UP031 - logging formats like this
        lambda s: "".join(traceback.format_exception(ValueError(s, {"s": s}))),
        lambda s: logging.LogRecord("n", 10, "p", 1, "%s", (s,), None).getMessage(),
        lambda s: json.dumps({"s": s}, default=str),
        lambda s: repr(Holder(s)) + str(asdict(Holder(s))),
        lambda s: str(copy.copy(s)) + str(copy.deepcopy([s])),
    ],
)
def test_nothing_prints_it(shown: Any) -> None:
    assert VALUE not in shown(Secret(VALUE))
    assert "***" in shown(Secret(VALUE))


def test_a_model_does_not_print_or_dump_it() -> None:
    model = Model(secret=Secret(VALUE))
    assert VALUE not in repr(model) + str(model.model_dump()) + model.model_dump_json()
    assert model.model_copy(deep=True).secret.reveal() == VALUE
    with pytest.raises(TypeError, match="a secret is text") as caught:
        Model.model_validate({"secret": [VALUE]})
    assert VALUE not in "".join(traceback.format_exception(caught.value))


def test_it_is_neither_pickled_nor_json() -> None:
    for attempt in (pickle.dumps, json.dumps):
        with pytest.raises(TypeError) as caught:
            attempt(Secret(VALUE))
        assert VALUE not in "".join(traceback.format_exception(caught.value))


def test_equality_and_length_are_the_values() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != VALUE
    assert len(Secret(VALUE)) == len(VALUE)
