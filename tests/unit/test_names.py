from deploy_lib.names import did_you_mean, nearest

NAMES = ["core", "B", "C", "workers"]


def test_the_likest_name_is_asked_for_whatever_its_case() -> None:
    assert nearest("cor", NAMES) == "core"
    assert nearest("WORKER", NAMES) == "workers"
    assert nearest("b", NAMES) == "B"
    assert did_you_mean("coer", NAMES) == "did you mean core?"


def test_what_is_like_none_is_no_question() -> None:
    assert did_you_mean("xyzzy", NAMES) is None
    assert did_you_mean("", NAMES) is None
    assert did_you_mean("core", []) is None
