"""A check's part of the JSON document."""

from deploy_lib.checks import Check


def test_the_keys_that_scripts_rely_on_are_these_and_no_others() -> None:
    check = Check("ports", "they are free", "failed", "8000", "8000 is taken", hint="stop it")
    assert check.as_dict() == {
        "name": "ports",
        "proves": "they are free",
        "result": "failed",
        "found": "8000",
        "problem": "8000 is taken",
        "mend": "stop it",
    }
