import pytest

from deploy_lib.compose.interpolation import filled


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a$$b ${A} $A", "a$b one one"),
        ("${NO:-${NO:-${NO:-${NO:-deep}}}}/x", "deep/x"),
        ("${NO-${A:+${NO:-${A}!}}}", "one!"),
        ('${NO:-{"a": {"b": "${A}"}}}', '{"a": {"b": "one"}}'),
        ("${EMPTY:-${A}} ${EMPTY-x}|", "one |"),
        ("${NO}", None),
        ("${NO:-${NO:-${NO}}}", None),
        ("${A:?${NO}}", "one"),
    ],
)
def test_variables_are_filled_in_however_deep_they_lie_in_each_other(text: str, meant: str | None) -> None:
    assert filled(text, {"A": "one", "EMPTY": ""}) == meant


def test_what_never_closes_takes_no_longer_for_it() -> None:
    text = "${A:-" + "{x" * 50_000
    assert filled(text, {"A": "one"}) == text
