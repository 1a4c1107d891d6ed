"""An unforeseen error is reported like any other, and keeps no host from being taken back."""

import io

import pytest

from deploy_lib.errors import ExitCode, PreflightError, UnforeseenError, told
from deploy_lib.output.console import Console


def test_it_names_the_node_and_where_it_comes_from() -> None:
    with (
        pytest.raises(UnforeseenError, match=r"core: unforeseen error: KeyError: 'x' \(test_unf") as caught,
        told("core"),
    ):
        {}["x"]
    assert caught.value.exit_code is ExitCode.UNFORESEEN == 1


def test_an_operators_error_stays_what_it_is() -> None:
    with pytest.raises(PreflightError, match=r"^core: no$"), told("core"):
        raise PreflightError("no")


@pytest.mark.parametrize("debug", [True, False])
def test_its_traceback_is_for_who_asks(debug: bool) -> None:
    err = io.StringIO()
    with pytest.raises(UnforeseenError) as caught, told():
        {}["x"]
    Console(err=err, debug=debug).error(caught.value)
    assert ("Traceback" in err.getvalue()) == debug
