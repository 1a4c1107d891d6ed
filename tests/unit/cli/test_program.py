import pytest

from deploy_lib.cli.program import join_hosts


@pytest.mark.parametrize(
    ("typed", "joined"),
    [
        ("fab -H a -H b status", "fab -H a,b status"),
        ("fab -H a --hosts=b,c status --json", "fab -H a,b,c status --json"),
        ("fab -d --hosts a status -H b", "fab -d -H a,b status"),
        ("fab -H a status", "fab -H a status"),
        ("fab -H a,b status", "fab -H a,b status"),
        ("fab --list", "fab --list"),
        ("fab -H a -- ssh -H b", "fab -H a -- ssh -H b"),
        ("fab -H a status -H", "fab -H a status -H"),
    ],
)
def test_hosts_that_are_given_one_by_one_are_one_list(typed: str, joined: str) -> None:
    assert join_hosts(typed.split()) == joined.split()
